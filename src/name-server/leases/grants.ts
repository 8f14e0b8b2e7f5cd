/**
 * Giving leases: decided in the moment of the reply, never waited for. A grant that would be taken away at once is not
 * made; what the session has already it may go on using for the reply, unless it is being taken away.
 */
import type { SessionId } from "../../base/ids.ts";
import type { LeaseGrant, LeaseLevel } from "../../protocol/leases.ts";
import { backsOff } from "./back-off.ts";
import { trim } from "./recalls.ts";
import { hold, holderOf, inodeOf, tidyInode, type Holder, type InodeLeases, type LeaseState } from "./state.ts";
import type { Step } from "./step.ts";
import type { LeaseBounds, Reclaimed, Want } from "./types.ts";

export function grant(
  state: LeaseState,
  bounds: LeaseBounds,
  session: SessionId,
  want: Pick<Want, "ino" | "level" | "open"> & { readonly insist?: boolean },
  now: number,
): LeaseGrant | undefined {
  const inode = inodeOf(state, want.ino);
  const level = decide(state, bounds, session, inode, want, now);
  if (level === "none" && want.open === undefined) {
    tidyInode(state, inode);
    return undefined;
  }
  const holder = holderOf(state, session, inode);
  const number = ++state.lastNumber;
  if (level !== "none") {
    holder.number = number;
    // What it had dropped for others it may now have again.
    holder.clearedFor = undefined;
  }
  if (want.open !== undefined) holder.openNumber = number;
  hold(state, holder, {
    level: level === "none" ? holder.level : level,
    open: holder.open === "writing" ? "writing" : (want.open ?? holder.open),
  });
  return { ino: want.ino, number, level, open: holder.open !== undefined };
}

function decide(
  state: LeaseState,
  bounds: LeaseBounds,
  session: SessionId,
  inode: InodeLeases,
  want: Pick<Want, "level"> & { readonly insist?: boolean },
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

function isAlone(inode: InodeLeases, mine: Holder | undefined): boolean {
  for (const holder of inode.holders.values()) if (holder !== mine && holder.level !== "none") return false;
  return true;
}

/** Above this part of the bound, leases are taken back to make room. */
const roomyPart = 7 / 8;
/** So many at a time. */
const trimMax = 256;

/** Takes leases back when a session has nearly as many as it may: what its kernel forgot first, then the least recently granted. */
export function makeRoom(state: LeaseState, bounds: LeaseBounds, step: Step, id: SessionId): void {
  const session = state.sessions.get(id);
  if (session === undefined) return;
  const excess = session.cached - session.recalled.size - Math.floor(bounds.leasesPerSessionMax * roomyPart);
  let left = Math.min(excess, trimMax);
  if (left <= 0) return;
  for (; left > 0; left--) {
    const holder = session.forgotten.first ?? session.recent.first;
    if (holder === undefined) return;
    trim(state, step, holder);
  }
}

/** What a session had before a restart of the server, unless somebody else has it by now. */
export function regrant(
  state: LeaseState,
  session: SessionId,
  { ino, level, open }: Reclaimed,
): LeaseGrant | undefined {
  const inode = inodeOf(state, ino);
  const mine = inode.holders.get(session);
  let taken = false;
  for (const holder of inode.holders.values()) {
    if (holder === mine || holder.level === "none") continue;
    if (holder.level === "exclusive" || level === "exclusive") taken ||= level !== "none";
  }
  if (taken || (level === "none" && open === undefined)) {
    tidyInode(state, inode);
    return undefined;
  }
  const holder = holderOf(state, session, inode);
  hold(state, holder, { level, open });
  holder.number = holder.openNumber = ++state.lastNumber;
  return { ino, number: holder.number, level, open: open !== undefined };
}
