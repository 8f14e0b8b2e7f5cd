/**
 * Whether a short disk operation is worth a thread of its own. Handing it to the pool and hearing of its end takes two
 * thread switches, 100 to 200 us; a write to the log of an SSD is done in 140 us, a read from the page cache in 5. So
 * short operations run on the calling thread as long as they turn out to be quick; where they are not (a spinning disk,
 * one that is overloaded), only one in `probeEvery` does, to notice when that changes.
 */
import type { Clock } from "./clock.ts";

const quickMillis = 0.5;
/** One stall does not count as many short operations do. */
const countedMillisMax = 2;
const weight = 1 / 8;
const probeEvery = 50;

export class Pace {
  readonly #clock: Clock;
  #averageMillis = 0;
  #sinceProbe = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Runs `operation` here, or says that it had better not. */
  attempt<T>(operation: () => T): { readonly value: T } | undefined {
    if (this.#averageMillis > quickMillis && ++this.#sinceProbe < probeEvery) return undefined;
    this.#sinceProbe = 0;
    const start = this.#clock.monotonicMillis();
    const value = operation();
    const millis = Math.min(this.#clock.monotonicMillis() - start, countedMillisMax);
    this.#averageMillis += (millis - this.#averageMillis) * weight;
    return { value };
  }
}
