/** Locks of one inode in memory: fcntl and OFD ranges, flock, waiting in order of arrival. */
import { FsError } from "../../src/base/errno.ts";
import type { Handle } from "../../src/base/ids.ts";
import type { LockRange } from "../../src/fuse/operations.ts";

interface Held extends LockRange {
  readonly handle: Handle;
}
interface Waiter {
  readonly lock: Held;
  readonly granted: () => void;
}

export class MemoryLocks {
  private held: Held[] = [];
  private waiters: Waiter[] = [];

  conflict(lock: LockRange): LockRange | undefined {
    return this.held.find(
      (other) =>
        other.kind === lock.kind &&
        other.owner !== lock.owner &&
        other.start <= lock.end &&
        lock.start <= other.end &&
        (other.type === "write" || lock.type === "write"),
    );
  }

  set(range: LockRange, handle: Handle, wait: boolean, signal: AbortSignal): undefined | Promise<void> {
    const lock: Held = { ...range, handle };
    if (lock.type === "unlock") {
      this.cut(lock);
      this.grantWaiting();
      return undefined;
    }
    if (this.conflict(lock) === undefined) {
      this.cut(lock);
      this.held.push(lock);
      this.grantWaiting();
      return undefined;
    }
    if (!wait) throw new FsError("EAGAIN", "locked");
    return new Promise((resolve, reject) => {
      const waiter: Waiter = { lock, granted: resolve };
      this.waiters.push(waiter);
      signal.addEventListener("abort", () => {
        const index = this.waiters.indexOf(waiter);
        if (index === -1) return;
        this.waiters.splice(index, 1);
        reject(new FsError("EINTR", "gave up waiting for a lock"));
      });
    });
  }

  releaseOwner(kind: LockRange["kind"], owner: bigint): void {
    this.held = this.held.filter((lock) => lock.kind !== kind || lock.owner !== owner);
    this.grantWaiting();
  }

  releaseHandle(handle: Handle): void {
    this.held = this.held.filter((lock) => lock.handle !== handle);
    this.grantWaiting();
  }

  /** Takes a range away from its owner's locks, splitting them. */
  private cut(range: LockRange): void {
    this.held = this.held.flatMap((lock) => {
      if (lock.kind !== range.kind || lock.owner !== range.owner) return [lock];
      if (lock.end < range.start || range.end < lock.start) return [lock];
      const rest: Held[] = [];
      if (lock.start < range.start) rest.push({ ...lock, end: range.start - 1n });
      if (lock.end > range.end) rest.push({ ...lock, start: range.end + 1n });
      return rest;
    });
  }

  private grantWaiting(): void {
    for (const waiter of [...this.waiters]) {
      if (this.conflict(waiter.lock) !== undefined) continue;
      this.waiters.splice(this.waiters.indexOf(waiter), 1);
      this.cut(waiter.lock);
      this.held.push(waiter.lock);
      waiter.granted();
    }
  }
}
