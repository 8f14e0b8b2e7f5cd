/**
 * Taking leases away: what a holder is asked to drop, and what is true once it has done so.
 *
 * Invariants: at most one recall is under way per holder; a holder has what it had before until it says that it has
 * flushed (then no more than "shared") or acknowledges. Only then does a waiting change count it as cleared.
 */
import type { SessionId } from "../../base/ids.ts";
import type { LeaseRecall, LeaseScope } from "../../protocol/leases.ts";
import { backsOff, noteRecall } from "./back-off.ts";
import { coversAll, joined } from "./scopes.ts";
import {
  beginRecall,
  endRecall,
  hold,
  sessionOf,
  tidyHolder,
  type Holder,
  type InodeLeases,
  type LeaseState,
  type Waiter,
} from "./state.ts";
import type { Step } from "./step.ts";
import type { Want } from "./types.ts";

/** Whether a holder's lease keeps a request from running: an unflushed one any other, any cache of it a change. */
export function isInTheWay(holder: Holder, waiter: Waiter, want: Want): boolean {
  if (holder.level === "none" || holder.session === waiter.session) return false;
  if (want.changes === undefined) return holder.level === "exclusive";
  return holder.clearedFor?.has(waiter) !== true;
}

/** Somebody waits for this holder: recalls it, unless that is under way already. */
export function demand(state: LeaseState, step: Step, holder: Holder): void {
  const underWay = holder.recall;
  if (underWay === undefined) {
    noteRecall(state, holder.inode, step.now);
    send(state, step, holder, backsOff(holder.inode, step.now) ? all : demandOf(holder), true);
  } else if (!underWay.awaited) {
    underWay.awaited = true;
    sessionOf(state, holder.session).awaited++;
    nowAwaited(state, step, holder.session);
  }
}

/** Takes a lease away for which nobody waits. */
export function trim(state: LeaseState, step: Step, holder: Holder): void {
  send(state, step, holder, all, false);
}

const everything: readonly LeaseScope[] = [{ kind: "everything" }];
const all: Pick<LeaseRecall, "to" | "drop"> = { to: "none", drop: everything };

function send(
  state: LeaseState,
  step: Step,
  holder: Holder,
  { to, drop }: Pick<LeaseRecall, "to" | "drop">,
  awaited: boolean,
): void {
  const recall: LeaseRecall = { ino: holder.inode.ino, number: ++state.lastNumber, to, drop };
  beginRecall(state, holder, { recall, sentAt: step.now, awaited });
  step.recalls.push({ session: holder.session, recall });
  if (awaited) nowAwaited(state, step, holder.session);
}

/** From its first awaited recall on, the session's reading requests wait for nobody's turn. */
function nowAwaited(state: LeaseState, step: Step, id: SessionId): void {
  const session = sessionOf(state, id);
  if (session.awaited > 1) return;
  for (const waiter of session.waiters) if (waiter.reading) step.touchWants(waiter);
}

/** What all those who wait for this inode need of the holder together, so that it is asked once. */
function demandOf(holder: Holder): Pick<LeaseRecall, "to" | "drop"> {
  let drop: readonly LeaseScope[] = [];
  for (const waiter of holder.inode.queue) {
    const want = wantOf(waiter, holder.inode);
    if (waiter.state !== "waiting" || !isInTheWay(holder, waiter, want)) continue;
    if (want.changes === undefined) continue;
    if (want.level === "exclusive" && coversAll(want.changes, everything)) return all;
    drop = joined(drop, want.changes);
  }
  return { to: "shared", drop };
}

export function wantOf(waiter: Waiter, inode: InodeLeases): Want {
  const want = waiter.wants.find(({ ino }) => ino === inode.ino);
  if (want === undefined) throw new Error(`a request in the queue of inode ${String(inode.ino)} does not want it`);
  return want;
}

/** The recall that is under way at this holder, if the number is still that of it. */
export function recallOf(holder: Holder | undefined, number: number): LeaseRecall | undefined {
  const recall = holder?.recall?.recall;
  return recall?.number === number ? recall : undefined;
}

export function flush(state: LeaseState, step: Step, holder: Holder): void {
  if (holder.level === "exclusive") hold(state, holder, "shared");
  heard(state, holder.session, step.now);
  step.touch(holder.inode);
}

export function acknowledge(state: LeaseState, step: Step, holder: Holder, recall: LeaseRecall): void {
  endRecall(state, holder);
  hold(state, holder, holder.level === "none" ? "none" : recall.to);
  heard(state, holder.session, step.now);
  for (const waiter of holder.inode.queue) {
    const { changes } = wantOf(waiter, holder.inode);
    if (waiter.session === holder.session || changes === undefined) continue;
    if (coversAll(recall.drop, changes)) (holder.clearedFor ??= new Set()).add(waiter);
  }
  step.touch(holder.inode);
  tidyHolder(state, holder);
}

export function heard(state: LeaseState, id: SessionId, now: number): void {
  const session = state.sessions.get(id);
  if (session !== undefined) session.heardAt = now;
}
