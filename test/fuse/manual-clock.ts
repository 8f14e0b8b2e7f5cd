/** A clock that stands still until it is told to go on. */
import type { Clock } from "../../src/base/clock.ts";

export interface ManualClock extends Clock {
  advance(millis: number): void;
  /** Timers that have not gone off. */
  pending(): number;
}

export function manualClock(): ManualClock {
  let now = 0;
  const timers = new Set<{ at: number; fn: () => void }>();
  return {
    monotonicMillis: () => now,
    wallNanos: () => BigInt(now) * 1_000_000n,
    after(millis, fn) {
      const timer = { at: now + millis, fn };
      timers.add(timer);
      return { cancel: () => void timers.delete(timer) };
    },
    advance(millis) {
      now += millis;
      for (const timer of [...timers].filter(({ at }) => at <= now)) {
        timers.delete(timer);
        timer.fn();
      }
    },
    pending: () => timers.size,
  };
}
