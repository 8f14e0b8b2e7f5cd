/**
 * The name server's wall clock as its replies show it. A reply's time is taken as that of the middle of its round trip;
 * the estimate with the smallest uncertainty counts, which grows with age (clocks drift apart).
 *
 * `nowNanos` never goes back: when a better estimate is behind what was said before, time runs at half speed until the
 * estimate has caught up.
 */
import type { Clock } from "../base/clock.ts";

export interface ServerClock {
  nowNanos(): bigint;
  /** A reply carried `serverNanos`; its request left at `sentMillis` (monotonic) and it arrived just now. */
  learn(serverNanos: bigint, sentMillis: number): void;
}

const nanosPerMilli = 1_000_000;
/** How far two clocks drift apart at most, milliseconds per millisecond. */
const drift = 2e-4;

/** Before the first estimate it shows the local wall clock, which binds to nothing. */
export function createServerClock(clock: Clock): ServerClock {
  /** The estimate: at `atMillis` (monotonic) it was `nanos`, give or take `uncertaintyMillis`. */
  let nanos = clock.wallNanos();
  let atMillis = clock.monotonicMillis();
  let uncertaintyMillis = Infinity;
  /** What `nowNanos` showed at `atMillis` beyond the estimate, nanoseconds. */
  let lead = 0;

  const elapsedNanos = (): number => Math.max(0, Math.floor((clock.monotonicMillis() - atMillis) * nanosPerMilli));
  const shownNanos = (elapsed: number): number => Math.max(elapsed, lead + Math.floor(elapsed / 2));

  return {
    nowNanos: () => nanos + BigInt(shownNanos(elapsedNanos())),
    learn(serverNanos, sentMillis) {
      const now = clock.monotonicMillis();
      const halfTripMillis = Math.max(0, now - sentMillis) / 2;
      const estimate = serverNanos + BigInt(Math.round(halfTripMillis * nanosPerMilli));
      const age = now - atMillis;
      const uncertainty = uncertaintyMillis + age * drift;
      const elapsed = elapsedNanos();
      const differenceMillis = Math.abs(Number(estimate - (nanos + BigInt(elapsed)))) / nanosPerMilli;
      // An estimate that contradicts the present one means that the server's clock was set: the newer one is right.
      if (halfTripMillis > uncertainty && differenceMillis <= halfTripMillis + uncertainty) return;
      const shown = nanos + BigInt(shownNanos(elapsed));
      lead = uncertaintyMillis === Infinity ? 0 : Math.max(0, Number(shown - estimate));
      nanos = estimate;
      atMillis = now;
      uncertaintyMillis = halfTripMillis;
    },
  };
}
