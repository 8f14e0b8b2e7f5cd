/** Pauses between attempts: none before the first retry, then doubling with jitter up to a maximum. */
import type { Random } from "../base/random.ts";

export interface BackOff {
  /** The pause in milliseconds before the next attempt. */
  next(): number;
  /** All is well: the next pause is 0 again. */
  reset(): void;
}

export function createBackOff(random: Random, bounds: { firstMillis: number; maxMillis: number }): BackOff {
  let failures = 0;
  return {
    next() {
      const doubled = failures === 0 ? 0 : bounds.firstMillis * 2 ** Math.min(failures - 1, 30);
      failures++;
      const pause = Math.min(doubled, bounds.maxMillis);
      return pause / 2 + random.below(Math.floor(pause / 2) + 1);
    },
    reset() {
      failures = 0;
    },
  };
}
