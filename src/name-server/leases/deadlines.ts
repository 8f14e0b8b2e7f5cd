/**
 * Sessions that do not give back what they are asked for. A session is stuck when its oldest recall has been under way
 * for `recallMillis` and nothing of it has moved meanwhile, and in any case after `recallMillisMax`.
 *
 * A session that is blocked waits for others itself: it ends only when everybody who is stuck is blocked, and then only
 * the one that has been silent for longest, so that a ring of them comes apart at one place.
 */
import type { SessionId } from "../../base/ids.ts";
import type { LeaseState, SessionLeases } from "./state.ts";
import type { LeaseBounds } from "./types.ts";

export function stuckSessions(state: LeaseState, bounds: LeaseBounds, now: number): SessionId[] {
  const stuck: SessionLeases[] = [];
  let blocked: SessionLeases | undefined;
  for (const session of state.recalled) {
    const sentAt = oldestRecall(session);
    if (now - sentAt >= bounds.recallMillisMax) stuck.push(session);
    else if (now - Math.max(sentAt, session.heardAt) < bounds.recallMillis) continue;
    else if (!session.blocked) stuck.push(session);
    else if (blocked === undefined || session.heardAt < blocked.heardAt) blocked = session;
  }
  if (stuck.length === 0 && blocked !== undefined && !anyoneMoves(state, bounds, now)) stuck.push(blocked);
  return stuck.map(({ id }) => id);
}

/** Whether a session that is not blocked still has time: then those who are blocked may be waiting for it. */
function anyoneMoves(state: LeaseState, bounds: LeaseBounds, now: number): boolean {
  for (const session of state.recalled) {
    const heard = Math.max(oldestRecall(session), session.heardAt);
    if (!session.blocked && now - heard < bounds.recallMillis) return true;
  }
  return false;
}

/** When the oldest recall of a session that has some was sent. */
function oldestRecall(session: SessionLeases): number {
  for (const { recall } of session.recalled) if (recall !== undefined) return recall.sentAt;
  return Infinity;
}
