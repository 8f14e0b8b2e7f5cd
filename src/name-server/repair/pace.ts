/**
 * How fast repair goes: while clients do something it pauses after each order, the longer the more it makes them wait; and
 * what it has achieved lately.
 */
import { sleep, type Clock } from "../../base/clock.ts";
import type { Foreground } from "./foreground.ts";
import { createPauses } from "./pauses.ts";

export interface Pace {
  /** Runs an order, then pauses as it should. `order` returns how many requests of clients the node saw meanwhile. */
  paced(order: () => Promise<number>, signal: AbortSignal): Promise<void>;
  copied(bytes: number): void;
  /** Over the last seconds. */
  readonly bytesPerSecond: number;
  /** Since the start. */
  readonly copiedBytes: number;
}

const pauseMillisMax = 2_000;
const windowMillis = 10_000;

export function createPace(clock: Clock, foreground: Foreground): Pace {
  const pauses = createPauses(clock);
  let window: { at: number; bytes: number }[] = [];
  let copiedBytes = 0;
  let seen = foreground.requests;
  foreground.onWait((millis) => {
    pauses.waited(millis);
  });

  function recent(now: number): typeof window {
    window = window.filter(({ at }) => now - at < windowMillis);
    return window;
  }

  return {
    async paced(order, signal) {
      const before = clock.monotonicMillis();
      pauses.began();
      const atNode = await order().finally(() => {
        pauses.ended();
      });
      const took = clock.monotonicMillis() - before;
      const isQuiet = atNode === 0 && foreground.requests === seen;
      seen = foreground.requests;
      if (isQuiet) return;
      await sleep(clock, Math.min(pauses.share() * took, pauseMillisMax), signal).catch(() => undefined);
    },
    copied(bytes) {
      copiedBytes += bytes;
      const now = clock.monotonicMillis();
      recent(now);
      const last = window.at(-1);
      if (last !== undefined && now - last.at < 250) last.bytes += bytes;
      else window.push({ at: now, bytes });
    },
    get copiedBytes() {
      return copiedBytes;
    },
    get bytesPerSecond() {
      const now = clock.monotonicMillis();
      const [first] = recent(now);
      if (first === undefined) return 0;
      const bytes = window.reduce((sum, each) => sum + each.bytes, 0);
      return Math.round((1_000 * bytes) / Math.max(1_000, now - first.at));
    },
  };
}
