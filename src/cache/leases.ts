/**
 * What this session may believe: its leases as the name server granted and recalled them, and the moments that put
 * answers and recalls in order.
 *
 * A moment is a counter that rises at every change that makes older answers doubtful. Whoever asks notes the present
 * moment first. A grant counts only if it was asked for after the last recall of that inode had arrived: a reply may be
 * overtaken by a recall that was decided after it, and both may be handled in one turn, before whoever asked goes on.
 *
 * What is told of an inode without a grant is used once, even if the inode is leased: while a session gives something back
 * it is answered from the state before a change that it may have agreed to already.
 *
 * Nothing is believed while the session may be over at the server: it runs from when the last answered heartbeat was
 * sent. That is checked at every question, not by a timer.
 *
 * Bounded by the server, which takes leases back beyond its bound.
 */
import type { Clock } from "../base/clock.ts";
import type { Ino } from "../base/ids.ts";
import { limits } from "../base/limits.ts";
import type { HeldLease, LeaseGrant, LeaseLevel, LeaseRecall } from "../protocol/leases.ts";
import { RecentMoments } from "./recent-moments.ts";

export interface Leases {
  /** The present moment. */
  readonly moment: number;
  /** Something changes now: answers asked for before are doubtful. */
  nextMoment(): number;
  level(ino: Ino): LeaseLevel;
  /** Whether what was asked for at `since` about this inode may be kept. */
  holds(ino: Ino, since: number): boolean;
  /** For how long the kernel may keep what is true now, milliseconds. */
  validMillis(): number;
  /** Answers asked for at `asked` brought these. */
  granted(grants: readonly LeaseGrant[], asked: number): void;
  /** Something was told of the inode without a grant: that may not be kept, nor what was asked for before. */
  ungranted(ino: Ino): void;
  /** This session has made the inode, and nobody else knows of it yet. */
  made(ino: Ino): void;
  /** Gives up to be the only one, if that is known to the server: returns the number of the grant. */
  lower(ino: Ino): number | undefined;
  /**
   * In the frame handler of the recall. Returns what was held until now, believed or not. Until it is acknowledged,
   * answers about the inode are not kept: they are told before what it is recalled for has happened.
   */
  recalled(recall: LeaseRecall): LeaseLevel;
  /** The server is told now, before whatever is asked later. */
  acknowledged(ino: Ino, number: number): void;
  /** The session lives at the server at least until then (monotonic milliseconds). */
  trust(until: number): void;
  /** When nothing is believed any more unless `trust` is called. */
  readonly trustedUntil: number;
  held(): HeldLease[];
  /**
   * After a restart of the server, of what was asked for again: what is not among the grants is lost, and returned.
   * What was made while that was on its way is held by nobody else.
   */
  reclaimed(asked: readonly HeldLease[], grants: readonly LeaseGrant[]): Ino[];
  /** The session was lost. */
  clear(): void;
  readonly size: number;
}

interface Lease {
  level: "shared" | "exclusive";
  number: number;
  /** Answers asked for before are not kept. */
  since: number;
  /** Numbers of recalls to drop parts of it that are not acknowledged. */
  recalls: Set<number> | undefined;
}

/** Inodes whose last recall is remembered one by one. */
const recentMax = 4_096;

export function createLeases(clock: Clock): Leases {
  const leases = new Map<Ino, Lease>();
  const recalls = new RecentMoments(recentMax);
  let moment = 1;
  let trustedUntil = -Infinity;

  const remainingMillis = (): number => trustedUntil - clock.monotonicMillis();

  return {
    get moment() {
      return moment;
    },
    nextMoment: () => ++moment,
    level(ino) {
      const lease = leases.get(ino);
      return lease === undefined || remainingMillis() <= 0 ? "none" : lease.level;
    },
    holds(ino, since) {
      const lease = leases.get(ino);
      return lease !== undefined && since >= lease.since && lease.recalls === undefined && remainingMillis() > 0;
    },
    validMillis: () => Math.max(0, Math.min(limits.kernelValidityMillis, Math.floor(remainingMillis()))),
    granted(grants, asked) {
      for (const { ino, number, level } of grants) {
        if (asked < recalls.of(ino)) continue;
        const lease = leases.get(ino);
        if (lease === undefined) leases.set(ino, { level, number, since: asked, recalls: undefined });
        else if (number > lease.number) {
          // Only a recall takes anything away: a listing offers "shared" also for what is held exclusively.
          if (level === "exclusive") lease.level = level;
          lease.number = number;
        }
      }
    },
    ungranted(ino) {
      const lease = leases.get(ino);
      if (lease !== undefined) lease.since = ++moment;
    },
    made(ino) {
      leases.set(ino, { level: "exclusive", number: 0, since: moment, recalls: undefined });
    },
    lower(ino) {
      const lease = leases.get(ino);
      if (lease?.level !== "exclusive" || lease.number === 0) return undefined;
      lease.level = "shared";
      return lease.number;
    },
    recalled({ ino, number, to, drop }) {
      const lease = leases.get(ino);
      const now = ++moment;
      recalls.note(ino, now);
      if (lease === undefined) return "none";
      const before = lease.level;
      if (to === "none") leases.delete(ino);
      else {
        lease.level = to;
        if (drop.length > 0) {
          lease.since = now;
          (lease.recalls ??= new Set()).add(number);
        }
      }
      return before;
    },
    acknowledged(ino, number) {
      const lease = leases.get(ino);
      if (lease?.recalls?.delete(number) !== true) return;
      lease.since = ++moment;
      if (lease.recalls.size === 0) lease.recalls = undefined;
    },
    trust(until) {
      trustedUntil = until;
    },
    get trustedUntil() {
      return trustedUntil;
    },
    held: () => Array.from(leases, ([ino, { level }]) => ({ ino, level })),
    reclaimed(asked, grants) {
      recalls.noteAll(++moment);
      const numbers = new Map(grants.map((grant) => [grant.ino, grant]));
      const lost: Ino[] = [];
      for (const { ino } of asked) {
        const lease = leases.get(ino);
        if (lease === undefined) continue;
        const grant = numbers.get(ino);
        if (grant === undefined) {
          leases.delete(ino);
          lost.push(ino);
        } else {
          lease.number = grant.number;
          // A recall that was sent behind this answer may have been handled before it.
          if (grant.level === "shared") lease.level = "shared";
        }
      }
      return lost;
    },
    clear() {
      leases.clear();
      recalls.noteAll(++moment);
    },
    get size() {
      return leases.size;
    },
  };
}
