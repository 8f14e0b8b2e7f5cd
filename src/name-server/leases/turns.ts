/**
 * Whose turn it is. A request stands in the queues of all its inodes at once, everywhere in the order of rank; it has
 * its turn at an inode when nobody before it minds: readers do not mind readers, everybody minds a change.
 *
 * The exception: while a session is asked to give a lease back for somebody, its reading requests wait for nobody's
 * turn, only for what others have not flushed. They are answered from the state before what waits, and granted nothing,
 * because something that minds is still in the queue.
 */
import type { SessionId } from "../../base/ids.ts";
import { demand, isInTheWay, wantOf } from "./recalls.ts";
import { inodeOf, tidyInode, type InodeLeases, type LeaseState, type Waiter } from "./state.ts";
import type { Step } from "./step.ts";
import type { Want } from "./types.ts";

/** Looks at all queues that the event has touched: sends the recalls that are needed, finds the requests that may run. */
export function settle(state: LeaseState, step: Step): Step {
  for (let inode = step.next(); inode !== undefined; inode = step.next()) {
    look(state, step, inode);
    tidyInode(state, inode);
  }
  return step;
}

function look(state: LeaseState, step: Step, inode: InodeLeases): void {
  let readers = false;
  let changes = false;
  for (const waiter of inode.queue) {
    const want = wantOf(waiter, inode);
    const change = want.changes !== undefined;
    const turn = !changes && !(change && readers);
    if (waiter.state === "waiting" && (turn || goesAhead(state, waiter))) {
      clearTheWay(state, step, inode, waiter, want);
      if (mayRun(state, waiter)) {
        waiter.state = "ready";
        step.runs.push(waiter);
      }
    }
    if (change) changes = true;
    else readers = true;
  }
}

function goesAhead(state: LeaseState, waiter: Waiter): boolean {
  return waiter.reading && (state.sessions.get(waiter.session)?.awaited ?? 0) > 0;
}

function clearTheWay(state: LeaseState, step: Step, inode: InodeLeases, waiter: Waiter, want: Want): void {
  for (const holder of inode.holders.values()) if (isInTheWay(holder, waiter, want)) demand(state, step, holder);
}

function mayRun(state: LeaseState, waiter: Waiter): boolean {
  const ahead = goesAhead(state, waiter);
  return waiter.wants.every((want) => {
    const inode = inodeOf(state, want.ino);
    for (const holder of inode.holders.values()) if (isInTheWay(holder, waiter, want)) return false;
    return ahead || hasTurn(inode, waiter, want);
  });
}

/** Whether nobody waits for this inode, and no holder is in the way: then there is nothing to look at. */
export function isUndisputed(state: LeaseState, session: SessionId, want: Want): boolean {
  const inode = state.inodes.get(want.ino);
  if (inode === undefined) return true;
  if (inode.queue.length > 0) return false;
  for (const holder of inode.holders.values()) {
    if (holder.session === session || holder.level === "none") continue;
    if (want.changes !== undefined || holder.level === "exclusive") return false;
  }
  return true;
}

/** Whether nobody before it in the queue minds. */
export function hasTurn(inode: InodeLeases, waiter: Waiter, want: Want): boolean {
  for (const earlier of inode.queue) {
    if (earlier === waiter) return true;
    if (want.changes !== undefined || wantOf(earlier, inode).changes !== undefined) return false;
  }
  return true;
}
