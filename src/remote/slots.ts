/**
 * The slots of one session: each carries one changing request at a time, with a sequence that rises by one. Who finds
 * none free waits, first come first served.
 *
 * Invariants: a slot is free or taken, never both; while somebody waits no slot is free; a sequence number is drawn only
 * for a request that is really sent, and its slot is given back only after the reply.
 */
import { assert } from "../base/assert.ts";
import type { Clock } from "../base/clock.ts";
import { limits } from "../base/limits.ts";
import type { OperationToken } from "../protocol/types.ts";
import { WaitingLine, type WaitOptions } from "./waiting-line.ts";

export class Slots {
  readonly #sequences = new Array<number>(limits.sessionSlots).fill(0);
  /** The one given back last is used first: the server's memory of it is warm. */
  readonly #free = Array.from(this.#sequences, (_, slot) => limits.sessionSlots - 1 - slot);
  readonly #line: WaitingLine<number>;
  #failure: Error | undefined;

  constructor(clock: Clock) {
    this.#line = new WaitingLine(clock, "a slot for a change at the name server", limits.waitingCallsMax);
  }

  /** A free slot, or undefined. */
  tryTake(): number | undefined {
    return this.#failure === undefined ? this.#free.pop() : undefined;
  }

  /** Waits for a slot. Rejects as WaitingLine does. */
  take(options: WaitOptions): Promise<number> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    const free = this.#free.pop();
    return free === undefined ? this.#line.wait(options) : Promise.resolve(free);
  }

  /** The token of the next request on a taken slot. */
  next(slot: number): OperationToken {
    const sequence = (this.#sequences[slot] ?? 0) + 1;
    this.#sequences[slot] = sequence;
    return { slot, sequence };
  }

  /** The request of the newest token has not been seen by the server, and never will be: its number is used again. */
  undo(slot: number): void {
    this.#sequences[slot] = Math.max(0, (this.#sequences[slot] ?? 0) - 1);
  }

  give(slot: number): void {
    const first = this.#line.first();
    if (first === undefined) this.#free.push(slot);
    else first.go(slot);
    assert(this.#free.length <= limits.sessionSlots, `slot ${String(slot)} given back twice`);
  }

  /** The session is over: whoever waits, now or later, gets this error. */
  fail(error: Error): void {
    this.#failure = error;
    this.#line.failAll(error);
  }

  get waiting(): number {
    return this.#line.size;
  }
}
