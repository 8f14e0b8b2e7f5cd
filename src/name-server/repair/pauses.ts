/**
 * How long repair pauses for each millisecond that its orders take. What clients wait while it works (median of the last
 * waits, pauses included) is held against what they waited before it began: above `ratioMax` the pauses grow, below
 * `ratioMin` they shrink. The promise is that a foreground fsync at most doubles.
 */
import type { Clock } from "../../base/clock.ts";

export interface Pauses {
  began(): void;
  ended(): void;
  /** A result of a client waited so many milliseconds until it was durable. */
  waited(millis: number): void;
  /** After an order: to pause for so many times the order's own time. */
  share(): number;
}

/** Measured with `make bench BENCH=repair`. */
const shareFirst = 1;
const shareMin = 0.25;
const shareMax = 2;
const ratioMin = 1.4;
const ratioMax = 1.7;
/** So long after the last order waits are what they are without repair. */
const settleMillis = 1_000;
const samples = 16;
/** Fewer waits say nothing, of a change of the pauses neither. */
const samplesMin = 8;

export function createPauses(clock: Clock): Pauses {
  let before: number[] = [];
  let during: number[] = [];
  let underWay = 0;
  /** Waits since the pauses were changed. */
  let fresh = 0;
  let lastAt = -Infinity;
  let share = shareFirst;

  function isWorking(): boolean {
    return underWay > 0 || clock.monotonicMillis() - lastAt < settleMillis;
  }

  function adapt(): void {
    if (before.length < samplesMin || fresh < samplesMin) return;
    fresh = 0;
    const ratio = median(during) / median(before);
    if (ratio > ratioMax) share = Math.min(share * 1.25, shareMax);
    else if (ratio < ratioMin) share = Math.max(share * 0.8, shareMin);
  }

  return {
    began() {
      if (!isWorking()) {
        during = [];
        fresh = 0;
        share = shareFirst;
      }
      underWay += 1;
    },
    ended() {
      underWay -= 1;
      lastAt = clock.monotonicMillis();
    },
    waited(millis) {
      if (isWorking()) {
        during = [...during, millis].slice(-samples);
        fresh += 1;
      } else before = [...before, millis].slice(-samples);
    },
    share() {
      adapt();
      return share;
    },
  };
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? NaN;
}
