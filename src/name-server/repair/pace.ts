/**
 * How fast repair goes: after each order it pauses for twice as long as the order took, while clients do something; and what
 * it has achieved lately.
 */
import { sleep, type Clock } from "../../base/clock.ts";

export interface Pace {
  /** Runs an order, then pauses as it should. `order` returns how many requests of clients the node saw meanwhile. */
  paced(order: () => Promise<number>, signal: AbortSignal): Promise<void>;
  copied(bytes: number): void;
  /** Over the last seconds. */
  readonly bytesPerSecond: number;
  /** Since the start. */
  readonly copiedBytes: number;
}

/**
 * Pause for each millisecond of work, measured with `make bench BENCH=repair`: with 1 a foreground fsync takes 1.5 to 2.8
 * times its time, with 2 at most 1.3, with 3 repair falls below half of the speed of writing.
 */
const pauseShare = 2;
const pauseMillisMax = 2_000;
const windowMillis = 10_000;

/** `traffic`: a number that rises with each request of a client. */
export function createPace(clock: Clock, traffic: () => number): Pace {
  let window: { at: number; bytes: number }[] = [];
  let copiedBytes = 0;
  let seen = traffic();

  function recent(now: number): typeof window {
    window = window.filter(({ at }) => now - at < windowMillis);
    return window;
  }

  return {
    async paced(order, signal) {
      const before = clock.monotonicMillis();
      const atNode = await order();
      const took = clock.monotonicMillis() - before;
      const isQuiet = atNode === 0 && traffic() === seen;
      seen = traffic();
      if (!isQuiet) await sleep(clock, Math.min(pauseShare * took, pauseMillisMax), signal).catch(() => undefined);
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
