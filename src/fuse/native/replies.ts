/**
 * Answers each call of the package exactly once: with what the operation returned, or with its errno as a negative
 * number. Also counts calls, for the statistics.
 */
import type { Reply } from "fuse-native";
import { errnoNumber, errnoOf, FsError, type ErrnoName } from "../../base/errno.ts";
import type { Log } from "../../base/log.ts";
import type { MaybePromise, RequestContext } from "../operations.ts";

export interface Replies {
  /** The reply is 0 and what `work` returned. */
  value<T>(call: string, reply: Reply<T>, work: (request: RequestContext) => MaybePromise<T>): void;
  /** The reply is what `work` returned: a count. */
  count(call: string, reply: Reply, work: (request: RequestContext) => MaybePromise<number>): void;
  nothing(call: string, reply: Reply, work: (request: RequestContext) => MaybePromise<unknown>): void;
  /** So far, by name. */
  readonly requests: Readonly<Record<string, number>>;
  readonly waiting: number;
}

/** @param signal aborted when everything that still waits has to give up */
export function createReplies(log: Log, signal: AbortSignal): Replies {
  const requests: Record<string, number> = {};
  // The package does not tell who asks. The mount admits only processes of the user who mounted: root.
  const caller = { uid: 0, gid: 0, pid: 0, signal };
  let unique = 0n;
  let waiting = 0;

  const run = async <T>(
    call: string,
    work: (request: RequestContext) => MaybePromise<T>,
    answer: (value: T) => void,
    fail: (errno: number) => void,
  ): Promise<void> => {
    requests[call] = (requests[call] ?? 0) + 1;
    waiting++;
    const request = { ...caller, unique: ++unique };
    let value: T;
    try {
      value = await work(request);
    } catch (error) {
      const errno = errnoToTell(call, error);
      if (log.debugging) log.debug({ unique: String(request.unique), errno }, `${call} answered`);
      fail(-errnoNumber(errno));
      return;
    } finally {
      waiting--;
    }
    if (log.debugging) log.debug({ unique: String(request.unique) }, `${call} answered`);
    answer(value);
  };

  const errnoToTell = (call: string, error: unknown): ErrnoName => {
    if (!(error instanceof FsError)) log.error({ error, call }, "a request failed");
    const errno = errnoOf(error);
    // To the kernel it would mean that this request need never be sent again.
    return errno === "ENOSYS" ? "EOPNOTSUPP" : errno;
  };

  /** A reply that throws leaves the kernel waiting: nothing can be done but to say so. */
  const owned = (call: string, done: Promise<void>): void => {
    done.catch((error: unknown) => {
      log.error({ error, call }, "the package did not take an answer");
    });
  };

  return {
    value(call, reply, work) {
      owned(
        call,
        run(
          call,
          work,
          (value) => {
            reply(0, value);
          },
          reply,
        ),
      );
    },
    count(call, reply, work) {
      owned(call, run(call, work, reply, reply));
    },
    nothing(call, reply, work) {
      owned(
        call,
        run(
          call,
          work,
          () => {
            reply(0);
          },
          reply,
        ),
      );
    },
    requests,
    get waiting() {
      return waiting;
    },
  };
}
