/** Work that nobody waits for: owned here, its errors logged, awaited when the server closes. */
import type { Log } from "../base/log.ts";

export interface Background {
  run(what: string, work: () => Promise<void>): void;
  /** Whether it is time to leave off. */
  readonly isClosing: boolean;
  close(): Promise<void>;
}

export function createBackground(log: Log): Background {
  const running = new Set<Promise<void>>();
  let isClosing = false;
  return {
    get isClosing() {
      return isClosing;
    },
    run(what, work) {
      if (isClosing) return;
      const promise = work()
        .catch((error: unknown) => {
          log.error({ err: error }, `could not ${what}`);
        })
        .finally(() => running.delete(promise));
      running.add(promise);
    },
    async close() {
      isClosing = true;
      await Promise.all(running);
    },
  };
}
