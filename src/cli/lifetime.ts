/**
 * How a long-running process ends: on SIGTERM or SIGINT in order (once; a second signal ends it at once), or because a
 * part of it failed, with status 1, so that its peers carry on without it.
 */
import type { Log } from "../base/log.ts";

/** Longer than any orderly end takes; a hung one must not stay for ever. */
const endMillis = 60_000;

export interface Lifetime {
  /** Resolves with the exit status when the process has to end. */
  readonly over: Promise<number>;
  /** The process cannot go on. */
  fail(error: unknown): void;
  /** It has nothing more to do. */
  finish(): void;
}

export function createLifetime(log: Log): Lifetime {
  let end: (status: number) => void = () => undefined;
  const over = new Promise<number>((resolve) => {
    end = resolve;
  });
  let asked = false;
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    process.on(signal, () => {
      if (asked) process.exit(1);
      asked = true;
      log.info({ signal }, "ending");
      setTimeout(() => {
        log.error({}, "the orderly end takes too long");
        process.exit(1);
      }, endMillis).unref();
      end(0);
    });
  }
  return {
    over,
    fail(error) {
      log.error({ err: error }, "this process cannot go on");
      end(1);
    },
    finish: () => {
      end(0);
    },
  };
}
