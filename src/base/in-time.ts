/** Connecting within a bounded time, with nothing left behind. */
import type { Clock } from "./clock.ts";
import { FsError } from "./errno.ts";

interface Closable {
  close(reason: string): void;
}

/** Gives up after `millis`, or when `signal` aborts; a connection that comes later is closed. */
export async function inTime<T extends Closable>(
  clock: Clock,
  millis: number,
  connect: (signal: AbortSignal) => Promise<T>,
  signal?: AbortSignal,
): Promise<T> {
  const attempt = new AbortController();
  const stop = (): void => {
    attempt.abort(signal?.reason);
  };
  const timer = clock.after(millis, () => {
    attempt.abort(new FsError("ETIMEDOUT", "no connection in time"));
  });
  signal?.addEventListener("abort", stop, { once: true });
  if (signal?.aborted === true) stop();
  try {
    return await new Promise<T>((resolve, reject) => {
      const giveUp = (): void => {
        reject(attempt.signal.reason as Error);
      };
      if (attempt.signal.aborted) giveUp();
      attempt.signal.addEventListener("abort", giveUp, { once: true });
      connect(attempt.signal).then((peer) => {
        if (attempt.signal.aborted) peer.close("it came too late");
        else resolve(peer);
      }, reject);
    });
  } finally {
    timer.cancel();
    signal?.removeEventListener("abort", stop);
  }
}
