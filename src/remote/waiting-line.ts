/** Those who wait for something that somebody else hands out: first come first served, bounded, free to leave. */
import type { Clock } from "../base/clock.ts";
import { FsError } from "../base/errno.ts";

export interface WaitOptions {
  readonly signal?: AbortSignal | undefined;
  /** Monotonic milliseconds; ETIMEDOUT from then on. */
  readonly until?: number | undefined;
  /** Anything by which the one who hands out tells waiters apart. */
  readonly era?: number | undefined;
}

export interface Waiter<T> {
  readonly era: number | undefined;
  go(value: T): void;
  fail(error: Error): void;
}

export class WaitingLine<T> {
  readonly #waiters = new Set<Waiter<T>>();
  readonly #clock: Clock;
  readonly #what: string;
  readonly #sizeMax: number;

  /** `what` names in errors what is waited for. */
  constructor(clock: Clock, what: string, sizeMax: number) {
    this.#clock = clock;
    this.#what = what;
    this.#sizeMax = sizeMax;
  }

  get size(): number {
    return this.#waiters.size;
  }

  /** Rejects with the signal's reason, ETIMEDOUT, EAGAIN when too many wait, or what a `fail` was given. */
  wait({ signal, until = Infinity, era }: WaitOptions): Promise<T> {
    if (signal?.aborted === true) return Promise.reject(signal.reason as Error);
    if (this.#waiters.size >= this.#sizeMax) {
      return Promise.reject(new FsError("EAGAIN", `too many wait for ${this.#what}`));
    }
    return new Promise((resolve, reject) => {
      const leave = (): void => {
        this.#waiters.delete(waiter);
        signal?.removeEventListener("abort", onAbort);
        timer?.cancel();
      };
      const waiter: Waiter<T> = {
        era,
        go: (value) => {
          leave();
          resolve(value);
        },
        fail: (error) => {
          leave();
          reject(error);
        },
      };
      const onAbort = (): void => {
        waiter.fail(signal?.reason as Error);
      };
      const timer =
        until === Infinity
          ? undefined
          : this.#clock.after(Math.max(0, until - this.#clock.monotonicMillis()), () => {
              waiter.fail(new FsError("ETIMEDOUT", `waited too long for ${this.#what}`));
            });
      signal?.addEventListener("abort", onAbort, { once: true });
      this.#waiters.add(waiter);
    });
  }

  /** Who has waited longest; stays in line until `go` or `fail`. */
  first(): Waiter<T> | undefined {
    // Mostly nobody waits: then no iterator is made.
    if (this.#waiters.size > 0) for (const waiter of this.#waiters) return waiter;
    return undefined;
  }

  all(): Waiter<T>[] {
    return [...this.#waiters];
  }

  failAll(error: Error): void {
    for (const waiter of this.all()) waiter.fail(error);
  }
}
