/**
 * The lock table: who holds which byte ranges of which inode, and who waits. Pure: no time, no I/O; a waiter is told
 * by a synchronous callback.
 *
 * An owner is (session, the kernel's owner number): fcntl locks come with the process' owner, OFD locks with that of
 * the open file, both as kind "posix"; flock locks are a world of their own and always cover the whole file.
 *
 * Invariants: held ranges of one owner on one inode and kind do not overlap, and neighbours of equal type are joined;
 * ranges of different owners overlap only if both are "read"; every waiter conflicts with something held.
 *
 * A request waits only for what is held, never for another waiter (as in Linux: else a holder that asks for more could
 * deadlock behind somebody who waits for it). What becomes free goes to the waiters in the order of their coming.
 */
import { FsError } from "../base/errno.ts";
import type { Ino, SessionId } from "../base/ids.ts";
import { limits } from "../base/limits.ts";
import type { Lock } from "../protocol/types.ts";
import { findDeadlock } from "./lock-deadlock.ts";
import {
  normalised,
  overlaps,
  sameOwner,
  withoutRange,
  withRange,
  type Holder,
  type LockOwner,
} from "./lock-ranges.ts";

interface LockWaiter extends LockOwner {
  readonly ino: Ino;
  readonly lock: Lock;
  readonly granted: () => void;
}

export interface LockTable {
  /** The first held lock that stands in the way, or undefined. */
  conflict(ino: Ino, session: SessionId, lock: Lock): Lock | undefined;
  /** Takes (converts, releases) the lock, or returns false having changed nothing (but see `convert` about flock). ENOLCK. */
  take(ino: Ino, session: SessionId, lock: Lock): boolean;
  /** Queues a request that `take` has just refused. EDEADLK when it would wait for itself; ENOLCK. */
  wait(ino: Ino, session: SessionId, lock: Lock, granted: () => void): LockWaiter;
  /** Takes a waiter out of the queue; false when it has been granted (or cancelled) already. */
  cancel(waiter: LockWaiter): boolean;
  /** Releases all locks of an owner on an inode. */
  release(ino: Ino, session: SessionId, owner: bigint, kind: Lock["kind"]): void;
  /** Releases everything of a session and drops its waiters, without calling them. */
  releaseSession(session: SessionId): void;
  readonly statistics: { readonly inodes: number; readonly held: number; readonly waiting: number };
}

interface InodeLocks {
  /** In order of start. */
  held: readonly Holder[];
  readonly waiters: LockWaiter[];
}

/** What one session has: for the bounds, and to find it again. */
interface SessionLocks {
  held: number;
  readonly waiters: Set<LockWaiter>;
  /** Held ranges and waiters per inode; no zeros. */
  readonly inodes: Map<Ino, number>;
}

export function createLockTable(): LockTable {
  const inodes = new Map<Ino, InodeLocks>();
  const sessions = new Map<SessionId, SessionLocks>();

  function locksOf(ino: Ino): InodeLocks {
    let found = inodes.get(ino);
    if (found === undefined) inodes.set(ino, (found = { held: [], waiters: [] }));
    return found;
  }

  function sessionLocks(session: SessionId): SessionLocks {
    let found = sessions.get(session);
    if (found === undefined) sessions.set(session, (found = { held: 0, waiters: new Set(), inodes: new Map() }));
    return found;
  }

  function count(session: SessionId, ino: Ino, change: number): void {
    const mine = sessionLocks(session);
    const now = (mine.inodes.get(ino) ?? 0) + change;
    if (now > 0) mine.inodes.set(ino, now);
    else mine.inodes.delete(ino);
    if (mine.inodes.size === 0) sessions.delete(session);
  }

  function replaceHeld(ino: Ino, locks: InodeLocks, session: SessionId, held: readonly Holder[]): void {
    const change = held.length - locks.held.length;
    locks.held = held;
    sessionLocks(session).held += change;
    count(session, ino, change);
  }

  function removeWaiter(locks: InodeLocks, index: number, waiter: LockWaiter): void {
    locks.waiters.splice(index, 1);
    sessionLocks(waiter.session).waiters.delete(waiter);
    count(waiter.session, waiter.ino, -1);
  }

  function forgetEmpty(ino: Ino, locks: InodeLocks): void {
    if (locks.held.length === 0 && locks.waiters.length === 0) inodes.delete(ino);
  }

  function takeNow(ino: Ino, locks: InodeLocks, session: SessionId, lock: Lock): void {
    const owner = { session, owner: lock.owner };
    replaceHeld(ino, locks, session, withRange(locks.held, owner, lock));
  }

  /** Gives what has become free to those who wait, in their order; a grant may free more (a downgrade), hence the loop. */
  function wake(ino: Ino, locks: InodeLocks): void {
    for (let index = 0; index < locks.waiters.length;) {
      const waiter = locks.waiters[index];
      if (waiter === undefined || firstConflict(locks, waiter, waiter.lock) !== undefined) {
        index++;
        continue;
      }
      removeWaiter(locks, index, waiter);
      takeNow(ino, locks, waiter.session, waiter.lock);
      waiter.granted();
      index = 0;
    }
  }

  const blockers = (waiter: LockWaiter): readonly Holder[] => {
    const locks = inodes.get(waiter.ino);
    return locks === undefined ? [] : locks.held.filter((holder) => conflicts(holder, waiter, waiter.lock));
  };
  const waitersOf = (owner: LockOwner): readonly LockWaiter[] =>
    [...(sessions.get(owner.session)?.waiters ?? [])].filter(
      (waiter) => waiter.owner === owner.owner && waiter.lock.kind === "posix",
    );

  return {
    conflict(ino, session, asked) {
      const lock = normalised(asked);
      const locks = inodes.get(ino);
      return locks === undefined ? undefined : firstConflict(locks, { session, owner: lock.owner }, lock)?.lock;
    },

    take(ino, session, asked) {
      const lock = normalised(asked);
      const owner = { session, owner: lock.owner };
      if (lock.type === "unlock") {
        const locks = inodes.get(ino);
        if (locks === undefined) return true;
        replaceHeld(ino, locks, session, withoutRange(locks.held, owner, lock));
        wake(ino, locks);
        forgetEmpty(ino, locks);
        return true;
      }
      if ((sessions.get(session)?.held ?? 0) >= limits.locksPerSessionMax) {
        throw new FsError("ENOLCK", `session ${session} holds ${String(limits.locksPerSessionMax)} locks already`);
      }
      const locks = locksOf(ino);
      const free = firstConflict(locks, owner, lock) === undefined;
      if (free) takeNow(ino, locks, session, lock);
      else if (lock.kind === "flock") convert(ino, locks, owner, lock);
      // Taking can also free: a write lock became a read lock.
      wake(ino, locks);
      forgetEmpty(ino, locks);
      return free;
    },

    wait(ino, session, asked, granted) {
      const lock = normalised(asked);
      if ((sessions.get(session)?.waiters.size ?? 0) >= limits.lockWaitersPerSessionMax) {
        throw new FsError(
          "ENOLCK",
          `session ${session} waits for ${String(limits.lockWaitersPerSessionMax)} locks already`,
        );
      }
      const waiter: LockWaiter = { session, owner: lock.owner, ino, lock, granted };
      if (lock.kind === "posix" && findDeadlock(waiter, blockers, waitersOf)) {
        throw new FsError("EDEADLK", `inode ${String(ino)}: its holder waits for the one who asks`);
      }
      locksOf(ino).waiters.push(waiter);
      sessionLocks(session).waiters.add(waiter);
      count(session, ino, 1);
      return waiter;
    },

    cancel(waiter) {
      const locks = inodes.get(waiter.ino);
      const index = locks?.waiters.indexOf(waiter) ?? -1;
      if (locks === undefined || index < 0) return false;
      removeWaiter(locks, index, waiter);
      forgetEmpty(waiter.ino, locks);
      return true;
    },

    release(ino, session, owner, kind) {
      const locks = inodes.get(ino);
      if (locks === undefined) return;
      const gone = { session, owner };
      const held = locks.held.filter((holder) => !(holder.lock.kind === kind && sameOwner(holder, gone)));
      if (held.length === locks.held.length) return;
      replaceHeld(ino, locks, session, held);
      wake(ino, locks);
      forgetEmpty(ino, locks);
    },

    releaseSession(session) {
      const mine = sessions.get(session);
      if (mine === undefined) return;
      sessions.delete(session);
      for (const ino of mine.inodes.keys()) {
        const locks = inodes.get(ino);
        if (locks === undefined) continue;
        locks.held = locks.held.filter((holder) => holder.session !== session);
        const others = locks.waiters.filter((waiter) => waiter.session !== session);
        locks.waiters.splice(0, Infinity, ...others);
        wake(ino, locks);
        forgetEmpty(ino, locks);
      }
    },

    get statistics() {
      let held = 0;
      let waiting = 0;
      for (const each of sessions.values()) {
        held += each.held;
        waiting += each.waiters.size;
      }
      return { inodes: inodes.size, held, waiting };
    },
  };

  /** flock(2): a conversion that has to wait (or is refused) has already given the old lock away, as on a local disk. */
  function convert(ino: Ino, locks: InodeLocks, owner: LockOwner, lock: Lock): void {
    replaceHeld(ino, locks, owner.session, withoutRange(locks.held, owner, lock));
  }
}

function firstConflict(locks: InodeLocks, owner: LockOwner, lock: Lock): Holder | undefined {
  if (lock.type === "unlock") return undefined;
  return locks.held.find((holder) => conflicts(holder, owner, lock));
}

function conflicts(holder: Holder, owner: LockOwner, lock: Lock): boolean {
  return (
    holder.lock.kind === lock.kind &&
    (holder.lock.type === "write" || lock.type === "write") &&
    overlaps(holder.lock, lock) &&
    !sameOwner(holder, owner)
  );
}
