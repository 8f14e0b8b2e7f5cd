/** Time, injected. Nothing but this file's `systemClock` touches Date, performance or setTimeout (lint bans them). */
export interface Clock {
  /** Milliseconds, only ever forward, from an arbitrary start. */
  monotonicMillis(): number;
  /** Nanoseconds since 1970; may jump. */
  wallNanos(): bigint;
  /** Calls `fn` once after `millis`, unless cancelled. A pending timer keeps the process alive unless `unref` is set. */
  after(millis: number, fn: () => void, options?: { unref?: boolean }): Timer;
}

export interface Timer {
  cancel(): void;
}

const nanosPerMilli = 1_000_000n;
/** So far may the two clocks be apart before the wall clock counts as set. */
const jumpNanos = 50n * nanosPerMilli;

/**
 * A wall clock of nanoseconds out of one of whole milliseconds and a monotonic one: it goes back only when the wall
 * clock was set back. (The milliseconds change in the middle of the monotonic clock's: one may not simply be put before
 * the other's remainder.)
 */
export function wallClock(wallMillis: () => number, monotonicNanos: () => bigint): () => bigint {
  const wall = (): bigint => BigInt(wallMillis()) * nanosPerMilli;
  let offset = wall() - monotonicNanos();
  return () => {
    const earliest = wall();
    const monotonic = monotonicNanos();
    if (monotonic + offset < earliest) offset = earliest - monotonic;
    // Looked at again: this thread may have stood still between the two.
    else if (monotonic + offset > earliest + jumpNanos && monotonic + offset > wall() + jumpNanos) {
      offset = earliest - monotonic;
    }
    return monotonic + offset;
  };
}

export const systemClock: Clock = {
  monotonicMillis: () => performance.now(),
  wallNanos: wallClock(
    () => Date.now(),
    () => process.hrtime.bigint(),
  ),
  after(millis, fn, options) {
    const timer = setTimeout(fn, millis);
    if (options?.unref === true) timer.unref();
    return {
      cancel: () => {
        clearTimeout(timer);
      },
    };
  },
};

/** Resolves after `millis`; rejects with the signal's reason when aborted first. */
export function sleep(clock: Clock, millis: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted === true) {
      reject(signal.reason as Error);
      return;
    }
    const onAbort = (): void => {
      timer.cancel();
      reject(signal?.reason as Error);
    };
    const timer = clock.after(millis, () => {
      signal?.removeEventListener("abort", onAbort);
      resolve();
    });
    signal?.addEventListener("abort", onAbort, { once: true });
  });
}
