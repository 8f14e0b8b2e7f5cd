/** Owns the promises that no operation waits for: logs their errors, and waits for them at the end. */
import { errnoOf } from "../base/errno.ts";
import type { Log } from "../base/log.ts";

export interface Background {
  run(what: string, promise: Promise<unknown>): void;
  /** Resolves when nothing runs any more. */
  settled(): Promise<void>;
}

export function createBackground(log: Log): Background {
  const running = new Set<Promise<void>>();
  return {
    run(what, promise) {
      const owned = promise.then(
        () => {
          running.delete(owned);
        },
        (error: unknown) => {
          running.delete(owned);
          log.warn({ errno: errnoOf(error), error: String(error) }, `in the background: ${what}`);
        },
      );
      running.add(owned);
    },
    async settled() {
      while (running.size > 0) await Promise.all(running);
    },
  };
}
