/** Who waits for which batch to be at all members, oldest first. */
import { deferred, type Deferred } from "../../base/deferred.ts";

export class WaitingRecords {
  #waiting: { readonly index: number; readonly done: Deferred<void> }[] = [];

  /** The batch that is waited for first; undefined: none is. */
  get first(): number | undefined {
    return this.#waiting[0]?.index;
  }

  wait(index: number): Promise<void> {
    const done = deferred<void>();
    this.#waiting.push({ index, done });
    return done.promise;
  }

  /** Lets go, in order, who waited for what is there now. */
  wake(isThere: (index: number) => boolean): void {
    while (this.#waiting[0] !== undefined && isThere(this.#waiting[0].index)) this.#waiting.shift()?.done.resolve();
  }

  /** Lets all go. */
  release(): void {
    this.wake(() => true);
  }
}
