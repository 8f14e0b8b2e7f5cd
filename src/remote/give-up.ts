/** Waiting for something that goes on by itself, for as long as the caller likes. */
import type { Clock } from "../base/clock.ts";
import { FsError } from "../base/errno.ts";

/**
 * Settles as `promise` does, or rejects earlier with the signal's reason, or with ETIMEDOUT after `millis`. What the
 * promise does after that is nobody's news.
 */
export function giveUp<T>(
  promise: Promise<T>,
  options: { clock: Clock; millis?: number | undefined; signal?: AbortSignal | undefined },
): Promise<T> {
  const { clock, millis = Infinity, signal } = options;
  return new Promise((resolve, reject) => {
    const finish = (): void => {
      timer?.cancel();
      signal?.removeEventListener("abort", onAbort);
    };
    const fail = (error: Error): void => {
      finish();
      reject(error);
    };
    const onAbort = (): void => {
      fail(signal?.reason as Error);
    };
    const timer =
      millis === Infinity
        ? undefined
        : clock.after(millis, () => {
            fail(new FsError("ETIMEDOUT", `no reply within ${String(millis)} ms`));
          });
    signal?.addEventListener("abort", onAbort, { once: true });
    promise.then((value) => {
      finish();
      resolve(value);
    }, fail);
    if (signal?.aborted === true) onAbort();
  });
}
