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

export const systemClock: Clock = {
  monotonicMillis: () => performance.now(),
  wallNanos: () => BigInt(Date.now()) * 1_000_000n + (process.hrtime.bigint() % 1_000_000n),
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
