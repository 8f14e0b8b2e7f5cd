/**
 * The lock calls of sessions: asks the table, waits, and holds newcomers back after a restart.
 *
 * The table lives in memory: after a restart each session takes its locks again when it resumes (`reclaim`). Until every
 * session that was there before has resumed or ended, new locks wait: somebody else's may be coming back.
 */
import { FsError } from "../base/errno.ts";
import type { Ino } from "../base/ids.ts";
import type { Lock } from "../protocol/types.ts";
import type { NameServerMethods } from "../protocol/name-server.ts";
import type { RequestOf } from "../rpc/types.ts";
import { createLockTable, type LockTable } from "./locks.ts";
import type { Session } from "./types.ts";

type LockRequest = RequestOf<NameServerMethods, "setLock">;

export interface LockService {
  /** The first lock in the way, or null. Waits like `setLock` for the sessions of before a restart. */
  getLock(session: Session, ino: Ino, lock: Lock, signal: () => AbortSignal): Lock | null | Promise<Lock | null>;
  /** Takes or releases; resolves when granted. EAGAIN, EDEADLK, ENOLCK, EINVAL; the signal's reason when given up. */
  setLock(session: Session, request: LockRequest, signal: () => AbortSignal): void | Promise<void>;
  releaseLocks(
    session: Session,
    request: { readonly ino: Ino; readonly owner: bigint; readonly kind: Lock["kind"] },
  ): void;
  sessionEnded(session: Session): void;
  /** The sessions of before the restart are complete: whoever waits may go on. */
  graceEnded(): void;
  readonly statistics: LockTable["statistics"];
}

const lockEndMax = 2n ** 63n - 1n;

/** @param inGrace whether sessions of before the restart are still missing */
export function createLockService(inGrace: () => boolean): LockService {
  const table = createLockTable();
  const heldBack = new Set<() => void>();

  function setLock(session: Session, request: LockRequest, signal: () => AbortSignal): void | Promise<void> {
    const { ino, lock, wait } = request;
    if (lock.start > lock.end || lock.end > lockEndMax) throw new FsError("EINVAL", "not a range of bytes");
    if (session.ended) throw new FsError("ESTALE", `session ${session.id} has ended`);
    if (lock.type !== "unlock" && request.reclaim !== true && inGrace()) {
      return graceOver(signal()).then(() => setLock(session, request, signal));
    }
    if (table.take(ino, session.id, lock)) return;
    if (!wait) throw new FsError("EAGAIN", `inode ${String(ino)}: locked by another`);
    return granted(session, ino, lock, signal());
  }

  function getLock(
    session: Session,
    ino: Ino,
    lock: Lock,
    signal: () => AbortSignal,
  ): Lock | null | Promise<Lock | null> {
    if (inGrace()) return graceOver(signal()).then(() => getLock(session, ino, lock, signal));
    return table.conflict(ino, session.id, lock) ?? null;
  }

  function granted(session: Session, ino: Ino, lock: Lock, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) {
        reject(signal.reason as Error);
        return;
      }
      const giveUp = (): void => {
        table.cancel(waiter);
        reject(signal.reason as Error);
      };
      const waiter = table.wait(ino, session.id, lock, () => {
        signal.removeEventListener("abort", giveUp);
        resolve();
      });
      signal.addEventListener("abort", giveUp, { once: true });
    });
  }

  function graceOver(signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) {
        reject(signal.reason as Error);
        return;
      }
      const goOn = (): void => {
        signal.removeEventListener("abort", giveUp);
        resolve();
      };
      const giveUp = (): void => {
        heldBack.delete(goOn);
        reject(signal.reason as Error);
      };
      heldBack.add(goOn);
      signal.addEventListener("abort", giveUp, { once: true });
    });
  }

  return {
    getLock,
    setLock,
    releaseLocks: (session, { ino, owner, kind }) => {
      table.release(ino, session.id, owner, kind);
    },
    sessionEnded: (session) => {
      table.releaseSession(session.id);
    },
    graceEnded() {
      const all = [...heldBack];
      heldBack.clear();
      for (const goOn of all) goOn();
    },
    get statistics() {
      return table.statistics;
    },
  };
}
