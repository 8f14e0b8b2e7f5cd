/**
 * Giving leases: decided in the moment of the reply, never waited for. A grant that would be taken away at once is not
 * made; what the session has already it may go on using for the reply, unless it is being taken away.
 */
import type { Ino, SessionId } from "../../base/ids.ts";
import type { LeaseGrant, LeaseLevel } from "../../protocol/leases.ts";
import { backsOff } from "./back-off.ts";
import { trim } from "./recalls.ts";
import {
  findHolder,
  hold,
  holderOf,
  inodeOf,
  tidyInode,
  type Holder,
  type InodeLeases,
  type LeaseState,
  type SessionLeases,
} from "./state.ts";
import type { Step } from "./step.ts";
import type { LeaseBounds, Reclaimed, Want } from "./types.ts";

export function grant(
  state: LeaseState,
  bounds: LeaseBounds,
  session: SessionId,
  want: Pick<Want, "ino" | "level" | "insist">,
  now: number,
): LeaseGrant | undefined {
  const inode = inodeOf(state, want.ino);
  const level = decide(state, bounds, session, inode, want, now);
  if (level === "none") {
    tidyInode(state, inode);
    return undefined;
  }
  const holder = holderOf(state, session, inode);
  holder.number = ++state.lastNumber;
  // What it had dropped for others it may now have again.
  holder.clearedFor = undefined;
  hold(state, holder, level);
  return { ino: want.ino, number: holder.number, level };
}

function decide(
  state: LeaseState,
  bounds: LeaseBounds,
  session: SessionId,
  inode: InodeLeases,
  want: Pick<Want, "level" | "insist">,
  now: number,
): LeaseLevel {
  if (want.level === "none") return "none";
  const mine = inode.holders.get(session);
  if (mine?.recall !== undefined) return "none";
  const insists = want.insist === true;
  let exclusive = want.level === "exclusive" && !backsOff(inode, now);
  for (const waiter of inode.queue) {
    if (waiter.session === session) continue;
    exclusive = false;
    const mind = waiter.wants.some(({ ino, changes }) => ino === inode.ino && changes !== undefined);
    // What is ready counts on nobody being granted anything any more.
    if (mind && (!insists || waiter.state === "ready")) return "none";
  }
  if (mine !== undefined && mine.level !== "none") {
    return mine.level === "exclusive" || (exclusive && isAlone(inode, mine)) ? "exclusive" : "shared";
  }
  if (backsOff(inode, now) && !insists) return "none";
  if ((state.sessions.get(session)?.cached ?? 0) >= bounds.leasesPerSessionMax) return "none";
  for (const holder of inode.holders.values()) if (holder.level === "exclusive") return "none";
  return exclusive && isAlone(inode, mine) ? "exclusive" : "shared";
}

/** Whether no other session has a lease on it. */
export function isAlone(inode: InodeLeases, mine: Holder | undefined): boolean {
  for (const holder of inode.holders.values()) if (holder !== mine && holder.level !== "none") return false;
  return true;
}

/** Above this part of the bound, leases are taken back to make room. */
const roomyPart = 7 / 8;
/** So many at a time. */
const trimMax = 256;

/** Takes leases back when a session has nearly as many as it may: what its kernel forgot first, then the least recently granted. */
export function makeRoom(state: LeaseState, bounds: LeaseBounds, step: Step, session: SessionLeases): void {
  for (let left = Math.min(excess(session, bounds), trimMax); left > 0; left--) {
    const holder = session.forgotten.first ?? session.recent.first;
    if (holder === undefined) return;
    trim(state, step, holder);
  }
}

export function wantsRoom(session: SessionLeases, bounds: LeaseBounds): boolean {
  return excess(session, bounds) > 0;
}

function excess(session: SessionLeases, bounds: LeaseBounds): number {
  return session.cached - session.recalled.size - Math.floor(bounds.leasesPerSessionMax * roomyPart);
}

/** What a session has, at this level if one is asked for, unless it is being taken away. */
export function grantOf(state: LeaseState, session: SessionId, ino: Ino, asked?: LeaseLevel): LeaseGrant | undefined {
  const holder = findHolder(state, session, ino);
  if (holder === undefined || holder.level === "none" || holder.recall !== undefined) return undefined;
  if (asked !== undefined && holder.level !== asked) return undefined;
  return { ino, number: holder.number, level: holder.level };
}

/** What a session had before a restart of the server or counts on, unless somebody else has it by now. */
export function regrant(state: LeaseState, session: SessionId, { ino, level }: Reclaimed): LeaseGrant | undefined {
  const inode = inodeOf(state, ino);
  const mine = inode.holders.get(session);
  for (const holder of inode.holders.values()) {
    if (holder === mine || holder.level === "none") continue;
    if (holder.level === "exclusive" || level === "exclusive") {
      tidyInode(state, inode);
      return undefined;
    }
  }
  const holder = holderOf(state, session, inode);
  hold(state, holder, level);
  holder.number = ++state.lastNumber;
  return { ino, number: holder.number, level };
}
