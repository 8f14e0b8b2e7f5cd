/**
 * EDEADLK: whether a request that is about to wait would wait for itself, over any number of owners and inodes.
 * An owner waits for every holder in the way of each of its waiting requests, and is stuck as long as any of them is.
 */
import { sameOwner, type LockOwner } from "./lock-ranges.ts";

/**
 * @param start the request, not queued yet
 * @param blockersOf who holds what stands in a waiting request's way
 * @param waitingOf the requests for which an owner waits
 */
export function findDeadlock<W extends LockOwner>(
  start: W,
  blockersOf: (waiter: W) => readonly LockOwner[],
  waitingOf: (owner: LockOwner) => readonly W[],
): boolean {
  const seen = new Set<string>();
  const open: W[] = [start];
  for (let waiter = open.pop(); waiter !== undefined; waiter = open.pop()) {
    for (const holder of blockersOf(waiter)) {
      if (sameOwner(holder, start)) return true;
      const key = `${holder.session}/${String(holder.owner)}`;
      if (seen.has(key)) continue;
      seen.add(key);
      open.push(...waitingOf(holder));
    }
  }
  return false;
}
