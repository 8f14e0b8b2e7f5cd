/** Arithmetic of lock ranges: pure functions on the list of what is held on one inode, in order of start. */
import type { SessionId } from "../base/ids.ts";
import type { Lock } from "../protocol/types.ts";

export interface LockOwner {
  readonly session: SessionId;
  readonly owner: bigint;
}

export interface Holder extends LockOwner {
  readonly lock: Lock;
}

const wholeFileEnd = 2n ** 63n - 1n;

export function sameOwner(left: LockOwner, right: LockOwner): boolean {
  return left.owner === right.owner && left.session === right.session;
}

export function overlaps(left: Lock, right: Lock): boolean {
  return left.start <= right.end && right.start <= left.end;
}

/** flock has no ranges: all its locks cover everything. */
export function normalised(lock: Lock): Lock {
  return lock.kind === "flock" ? { ...lock, start: 0n, end: wholeFileEnd } : lock;
}

/** The list after `owner` took `lock`: it replaces what this owner had in its range, and joins equal neighbours. */
export function withRange(held: readonly Holder[], owner: LockOwner, lock: Lock): Holder[] {
  let { start, end } = lock;
  const rest: Holder[] = [];
  for (const holder of withoutRange(held, owner, lock)) {
    if (joins(holder, owner, lock, start, end)) {
      if (holder.lock.start < start) start = holder.lock.start;
      if (holder.lock.end > end) end = holder.lock.end;
    } else {
      rest.push(holder);
    }
  }
  return inserted(rest, { ...owner, lock: { ...lock, start, end } });
}

/** The list after `owner` let go of `lock`'s range: what reaches over its edges stays, split if need be. */
export function withoutRange(held: readonly Holder[], owner: LockOwner, lock: Lock): Holder[] {
  const rest: Holder[] = [];
  const tails: Holder[] = [];
  for (const holder of held) {
    if (holder.lock.kind !== lock.kind || !sameOwner(holder, owner) || !overlaps(holder.lock, lock)) {
      rest.push(holder);
      continue;
    }
    if (holder.lock.start < lock.start) rest.push({ ...holder, lock: { ...holder.lock, end: lock.start - 1n } });
    if (holder.lock.end > lock.end) tails.push({ ...holder, lock: { ...holder.lock, start: lock.end + 1n } });
  }
  return tails.reduce(inserted, rest);
}

function joins(holder: Holder, owner: LockOwner, lock: Lock, start: bigint, end: bigint): boolean {
  return (
    holder.lock.kind === lock.kind &&
    holder.lock.type === lock.type &&
    holder.lock.start <= end + 1n &&
    start <= holder.lock.end + 1n &&
    sameOwner(holder, owner)
  );
}

function inserted(held: Holder[], holder: Holder): Holder[] {
  const at = held.findIndex((other) => other.lock.start > holder.lock.start);
  held.splice(at < 0 ? held.length : at, 0, holder);
  return held;
}
