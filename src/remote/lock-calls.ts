/**
 * Calls about file locks. What the server granted is remembered, and taken again after a resumption, before anything
 * else is sent: a server that was restarted has lost its locks (one that was not finds nothing to do). A lock that
 * somebody else has by then is lost: `onLocksLost` tells.
 *
 * The outcome of a call that was aborted may be unknown: then the range is set right behind it to what is remembered, so
 * that no lock stays behind that nobody knows of.
 */
import { errnoOf, FsError } from "../base/errno.ts";
import { limits } from "../base/limits.ts";
import type { Log } from "../base/log.ts";
import type { Lock } from "../protocol/types.ts";
import type { NameServerMethods } from "../protocol/name-server.ts";
import type { ReplyOf, RequestOf } from "../rpc/types.ts";
import { HeldLocks, type HeldLock } from "./held-locks.ts";
import { isConnectionError } from "./connect.ts";
import type { ServerPeer } from "./server-link.ts";
import type { NameServerOptions } from "./types.ts";

type SetLock = RequestOf<NameServerMethods, "setLock">;
type ReleaseLocks = RequestOf<NameServerMethods, "releaseLocks">;
type LockMethod = "setLock" | "releaseLocks";

/** Sends a reading call, again if need be. */
type Ask = <M extends LockMethod>(
  method: M,
  request: RequestOf<NameServerMethods, M>,
  options?: NameServerOptions,
) => Promise<ReplyOf<NameServerMethods, M>>;

/** Locks taken again at once after a resumption: well below the calls that one connection may have in flight. */
const reclaimBatch = 256;
const everything = { start: 0n, end: 2n ** 63n - 1n };

export class LockCalls {
  readonly #held = new HeldLocks();
  readonly #ask: Ask;
  readonly #log: Log;
  /** Locks asked for and not yet answered: counted in with what is held. */
  #asked = 0;

  constructor(ask: Ask, log: Log) {
    this.#ask = ask;
    this.#log = log;
  }

  /** Ranges held. */
  get count(): number {
    return this.#held.count;
  }

  async setLock(request: SetLock, options?: NameServerOptions): Promise<ReplyOf<NameServerMethods, "setLock">> {
    const { ino, lock } = request;
    const isRelease = lock.type === "unlock";
    // From here on it must not be taken again; and once more when it is answered, as a grant may have come in between.
    if (isRelease) this.#held.set(ino, lock);
    else if (this.#held.count + this.#asked >= limits.locksPerSessionMax) {
      throw new FsError("ENOLCK", `this client holds ${String(this.#held.count)} locks already`);
    } else this.#asked++;
    try {
      const reply = await this.#ask("setLock", request, options);
      this.#held.set(ino, lock);
      return reply;
    } catch (error) {
      if (isUnanswered(error, options)) this.#correct({ ino, lock });
      throw error;
    } finally {
      if (!isRelease) this.#asked--;
    }
  }

  async releaseLocks(
    request: ReleaseLocks,
    options?: NameServerOptions,
  ): Promise<ReplyOf<NameServerMethods, "releaseLocks">> {
    const { ino, owner, kind } = request;
    const all: Lock = { kind, type: "unlock", owner, pid: 0, ...everything };
    this.#held.set(ino, all);
    try {
      const reply = await this.#ask("releaseLocks", request, options);
      this.#held.set(ino, all);
      return reply;
    } catch (error) {
      if (isUnanswered(error, options)) this.#correct({ ino, lock: all });
      throw error;
    }
  }

  /** Takes everything again on a resumed session. Returns what is lost; rejects if the connection breaks. */
  async reclaim(peer: ServerPeer): Promise<HeldLock[]> {
    const all = this.#held.all();
    const lost: HeldLock[] = [];
    for (let i = 0; i < all.length; i += reclaimBatch) {
      await Promise.all(
        all.slice(i, i + reclaimBatch).map(async (held) => {
          try {
            await peer.call("setLock", { ino: held.ino, lock: held.lock, wait: false, reclaim: true });
          } catch (error) {
            if (isConnectionError(error)) throw error;
            this.#log.warn({ ino: held.ino, err: error }, "a file lock was lost: it could not be taken again");
            lost.push(held);
          }
        }),
      );
    }
    for (const { ino, lock } of lost) this.#held.set(ino, { ...lock, type: "unlock" });
    return lost;
  }

  /** The session is lost, and its locks with it. */
  clear(): void {
    this.#held.clear();
  }

  #correct({ ino, lock }: HeldLock): void {
    for (const correction of this.#held.corrections(ino, lock)) {
      this.#ask("setLock", { ino: correction.ino, lock: correction.lock, wait: false }).catch((error: unknown) => {
        this.#log.debug({ ino, errno: errnoOf(error) }, "a file lock was not set right after an aborted call");
      });
    }
  }
}

/** Whether the call was given up on this side, so that the server may have done it or not. */
function isUnanswered(error: unknown, options: NameServerOptions | undefined): boolean {
  return options?.signal?.aborted === true || errnoOf(error) === "ETIMEDOUT";
}
