/**
 * The lease table's memory: inodes with their holders and queues, sessions with their leases and requests.
 *
 * Invariants: a holder with level "exclusive" is the only one of its inode whose level is not "none"; a holder that has
 * neither a level nor a recall under way is not there, nor is an inode or a session without anything; a queue is in the
 * order of `rank`, which is the order of arrival but for requests that had to go first.
 */
import type { Ino, SessionId } from "../../base/ids.ts";
import type { LeaseLevel, LeaseRecall } from "../../protocol/leases.ts";
import { List, NumberMap, type Listed } from "./collections.ts";
import type { LeaseRequest, Want } from "./types.ts";

export interface Waiter extends LeaseRequest<unknown> {
  wants: readonly Want[];
  state: "waiting" | "ready" | "gone";
  rank: number;
  /** It changes nothing. */
  readonly reading: boolean;
}

export interface RecallUnderWay {
  readonly recall: LeaseRecall;
  readonly sentAt: number;
  /** Somebody waits for it; else it only makes room. */
  awaited: boolean;
}

/** Listed: by its session, for trimming. */
export interface Holder extends Listed<Holder> {
  readonly session: SessionId;
  readonly inode: InodeLeases;
  level: LeaseLevel;
  /** The number of the last grant of `level`. */
  number: number;
  recall: RecallUnderWay | undefined;
  /** Waiting changes for which this holder has dropped what they touch, and was granted nothing since. */
  clearedFor: Set<Waiter> | undefined;
}

/** How an inode bounces: see back-off.ts. */
export interface BackOff {
  lastRecallAt: number;
  bounces: number;
  /** No leases before then. */
  until: number;
}

/** Listed: with those that have bounced. */
export interface InodeLeases extends Listed<InodeLeases> {
  readonly ino: Ino;
  readonly holders: Map<SessionId, Holder>;
  readonly queue: Waiter[];
  backOff: BackOff | undefined;
}

export interface SessionLeases {
  readonly id: SessionId;
  readonly holders: NumberMap<Ino, Holder>;
  /** Those that may be trimmed: what the kernel forgot, and the others, least recently granted first. */
  readonly forgotten: List<Holder>;
  readonly recent: List<Holder>;
  /** Holders with a level. */
  cached: number;
  readonly waiters: Set<Waiter>;
  /** With recalls under way, the oldest first. */
  readonly recalled: Set<Holder>;
  /** The last sign of progress with them. */
  heardAt: number;
  /** How many of its recalls are awaited: while there are any, its reading requests wait for nobody's turn. */
  awaited: number;
  /** It has said that it is blocked, and still has recalls under way. */
  blocked: boolean;
}

export interface LeaseState {
  readonly inodes: NumberMap<Ino, InodeLeases>;
  readonly sessions: Map<SessionId, SessionLeases>;
  /** Inodes with a back-off, least recently recalled first. */
  readonly bouncing: List<InodeLeases>;
  /** Sessions with recalls under way. */
  readonly recalled: Set<SessionLeases>;
  lastNumber: number;
  lastRank: number;
  /** The rank of the last request that had to go first. */
  firstRank: number;
}

export function createState(lastNumber: number): LeaseState {
  return {
    inodes: new NumberMap(),
    sessions: new Map(),
    bouncing: new List(),
    recalled: new Set(),
    lastNumber,
    lastRank: 0,
    firstRank: 0,
  };
}

const unlisted = { list: undefined, before: undefined, after: undefined };

export function inodeOf(state: LeaseState, ino: Ino): InodeLeases {
  let found = state.inodes.get(ino);
  if (found === undefined) {
    found = { ino, holders: new Map(), queue: [], backOff: undefined, ...unlisted };
    state.inodes.set(ino, found);
  }
  return found;
}

export function sessionOf(state: LeaseState, id: SessionId): SessionLeases {
  let found = state.sessions.get(id);
  if (found === undefined) {
    found = {
      id,
      holders: new NumberMap(),
      forgotten: new List(),
      recent: new List(),
      cached: 0,
      waiters: new Set(),
      recalled: new Set(),
      heardAt: -Infinity,
      awaited: 0,
      blocked: false,
    };
    state.sessions.set(id, found);
  }
  return found;
}

export function holderOf(state: LeaseState, session: SessionId, inode: InodeLeases): Holder {
  let found = inode.holders.get(session);
  if (found === undefined) {
    found = {
      session,
      inode,
      level: "none",
      number: 0,
      recall: undefined,
      clearedFor: undefined,
      ...unlisted,
    };
    inode.holders.set(session, found);
    sessionOf(state, session).holders.set(inode.ino, found);
  }
  return found;
}

export function findHolder(state: LeaseState, session: SessionId, ino: Ino): Holder | undefined {
  return state.sessions.get(session)?.holders.get(ino);
}

/** Sets what a session has; the one place where counts and the order of trimming are kept. */
export function hold(state: LeaseState, holder: Holder, level: LeaseLevel): void {
  const session = sessionOf(state, holder.session);
  holder.list?.delete(holder);
  session.cached -= holder.level === "none" ? 0 : 1;
  holder.level = level;
  session.cached += holder.level === "none" ? 0 : 1;
  if (level !== "none") session.recent.add(holder);
}

export function beginRecall(state: LeaseState, holder: Holder, underWay: RecallUnderWay): void {
  const session = sessionOf(state, holder.session);
  holder.recall = underWay;
  holder.list?.delete(holder);
  session.recalled.add(holder);
  state.recalled.add(session);
  if (underWay.awaited) session.awaited++;
}

export function endRecall(state: LeaseState, holder: Holder): void {
  if (holder.recall === undefined) return;
  const session = sessionOf(state, holder.session);
  if (holder.recall.awaited) session.awaited--;
  holder.recall = undefined;
  session.recalled.delete(holder);
  if (session.recalled.size > 0) return;
  state.recalled.delete(session);
  session.blocked = false;
}

/** Puts a request into the queues of all its inodes at once, by rank. */
export function enqueue(state: LeaseState, waiter: Waiter): void {
  sessionOf(state, waiter.session).waiters.add(waiter);
  for (const { ino } of waiter.wants) {
    const { queue } = inodeOf(state, ino);
    let at = queue.length;
    while (at > 0 && (queue[at - 1]?.rank ?? 0) > waiter.rank) at--;
    queue.splice(at, 0, waiter);
  }
}

/** Takes a request out of its queues, and returns their inodes. */
export function leaveQueues(state: LeaseState, waiter: Waiter): InodeLeases[] {
  return waiter.wants.map(({ ino }) => {
    const inode = inodeOf(state, ino);
    inode.queue.splice(inode.queue.indexOf(waiter), 1);
    return inode;
  });
}

/** Takes a request out of everything, and returns the inodes that it wanted. */
export function dequeue(state: LeaseState, waiter: Waiter): InodeLeases[] {
  const inodes = leaveQueues(state, waiter);
  for (const inode of inodes) for (const holder of inode.holders.values()) holder.clearedFor?.delete(waiter);
  sessionOf(state, waiter.session).waiters.delete(waiter);
  return inodes;
}

/** Forgets what says nothing. */
export function tidyHolder(state: LeaseState, holder: Holder): void {
  if (holder.level !== "none" || holder.recall !== undefined) return;
  holder.inode.holders.delete(holder.session);
  const session = sessionOf(state, holder.session);
  session.holders.delete(holder.inode.ino);
  tidySession(state, session);
}

export function tidySession(state: LeaseState, session: SessionLeases): void {
  if (session.holders.size === 0 && session.waiters.size === 0) state.sessions.delete(session.id);
}

export function tidyInode(state: LeaseState, inode: InodeLeases): void {
  if (inode.holders.size > 0 || inode.queue.length > 0 || inode.backOff !== undefined) return;
  state.inodes.delete(inode.ino);
}
