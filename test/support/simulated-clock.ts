/**
 * Time that moves only when a test says so. Timers run in order of their due time; after each of them everything that
 * it set in motion (promise reactions, immediates) runs before the next.
 */
import type { Clock, Timer } from "../../src/base/clock.ts";

interface Pending {
  readonly due: number;
  readonly order: number;
  readonly run: () => void;
}

export class SimulatedClock implements Clock {
  #millis = 0;
  #order = 0;
  #wallOffset: bigint;
  readonly #pending = new Set<Pending>();

  constructor(wallStartNanos = 1_700_000_000_000_000_000n) {
    this.#wallOffset = wallStartNanos;
  }

  monotonicMillis(): number {
    return this.#millis;
  }

  wallNanos(): bigint {
    return this.#wallOffset + BigInt(Math.round(this.#millis * 1_000_000));
  }

  after(millis: number, run: () => void): Timer {
    const pending: Pending = { due: this.#millis + Math.max(0, millis), order: this.#order++, run };
    this.#pending.add(pending);
    return {
      cancel: () => {
        this.#pending.delete(pending);
      },
    };
  }

  get timers(): number {
    return this.#pending.size;
  }

  /** Lets `millis` pass, running what falls due on the way. */
  async advance(millis: number): Promise<void> {
    const end = this.#millis + millis;
    await settle();
    for (;;) {
      const next = this.#next();
      if (next === undefined || next.due > end) break;
      this.#pending.delete(next);
      this.#millis = Math.max(this.#millis, next.due);
      next.run();
      await settle();
    }
    this.#millis = end;
    await settle();
  }

  /** The process stood still: time has passed, and no timer ran. What fell due meanwhile runs at the next `advance`. */
  stall(millis: number): void {
    this.#millis += millis;
  }

  /** Somebody set the wall clock. */
  jumpWall(nanos: bigint): void {
    this.#wallOffset += nanos;
  }

  #next(): Pending | undefined {
    let first: Pending | undefined;
    for (const pending of this.#pending) {
      if (
        first === undefined ||
        pending.due < first.due ||
        (pending.due === first.due && pending.order < first.order)
      ) {
        first = pending;
      }
    }
    return first;
  }
}

/** Lets promise reactions and immediates that are under way run: enough turns for a call through in-memory transports. */
export async function settle(turns = 10): Promise<void> {
  for (let turn = 0; turn < turns; turn++) {
    await new Promise<void>((resolve) => {
      setImmediate(resolve);
    });
  }
}
