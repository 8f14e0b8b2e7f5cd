/**
 * The lease rules put together: one method per event, each a function of the state, the event and the given time, that
 * returns what the caller has to do. Synchronous; nothing is waited for in here. README.md has the rules in words.
 */
import { assert } from "../../base/assert.ts";
import { FsError } from "../../base/errno.ts";
import type { SessionId } from "../../base/ids.ts";
import { limits } from "../../base/limits.ts";
import type { LeaseGrant } from "../../protocol/leases.ts";
import { forgetCalm } from "./back-off.ts";
import { stuckSessions } from "./deadlines.ts";
import { grant, grantOf, isAlone, makeRoom, regrant, wantsRoom } from "./grants.ts";
import { acknowledge, flush, heard, recallOf } from "./recalls.ts";
import {
  createState,
  dequeue,
  endRecall,
  enqueue,
  findHolder,
  hold,
  leaveQueues,
  tidyHolder,
  tidyInode,
  tidySession,
  type Waiter,
} from "./state.ts";
import { Step } from "./step.ts";
import { hasTurn, isUndisputed, settle } from "./turns.ts";
import type { Effects, LeaseBounds, LeaseRequest, LeaseTable, Want } from "./types.ts";
import { distinct, isReading } from "./wants.ts";

const defaultBounds: LeaseBounds = {
  leasesPerSessionMax: limits.leasesPerSessionMax,
  waitersPerSessionMax: limits.leaseWaitersPerSessionMax,
  recallMillis: limits.recallMillis,
  recallMillisMax: limits.recallMillisMax,
};

/** @param lastNumber grants and recalls get greater ones, so that a server that starts again goes on above its earlier ones */
export function createLeaseTable<Task>(given?: Partial<LeaseBounds>, lastNumber = 0): LeaseTable<Task> {
  const bounds = { ...defaultBounds, ...given };
  const state = createState(lastNumber);

  const done = (step: Step): Effects<Task> => settle(state, step) as unknown as Effects<Task>;
  const waiterOf = (request: LeaseRequest<Task>): Waiter => request as LeaseRequest<unknown> as Waiter;

  function touchAll(step: Step, waiter: Waiter): void {
    for (const inode of dequeue(state, waiter)) step.touch(inode);
  }

  /** Takes a request out for good. */
  function leave(step: Step, waiter: Waiter): void {
    touchAll(step, waiter);
    waiter.state = "gone";
    const session = state.sessions.get(waiter.session);
    if (session !== undefined) tidySession(state, session);
  }

  function checkBounds(session: SessionId, wants: readonly Want[]): void {
    assert(wants.length <= limits.leaseWantsMax, "too many inodes in one request");
    const present = state.sessions.get(session);
    if (present === undefined) return;
    if (present.waiters.size >= bounds.waitersPerSessionMax) {
      throw new FsError("EAGAIN", `session ${session} has ${String(present.waiters.size)} requests waiting for leases`);
    }
  }

  return {
    isFree: (session, wants) => wants.every((want) => isUndisputed(state, session, want)),

    take(session, asked, now) {
      const grants: LeaseGrant[] = [];
      for (const want of distinct(asked)) {
        const granted = grant(state, bounds, session, want, now);
        if (granted !== undefined) grants.push(granted);
      }
      const mine = state.sessions.get(session);
      if (mine === undefined) return { grants, effects: undefined };
      if (mine.blocked) mine.heardAt = now;
      if (!wantsRoom(mine, bounds)) return { grants, effects: undefined };
      const step = new Step(state, now);
      makeRoom(state, bounds, step, mine);
      return { grants, effects: done(step) };
    },

    request({ session, wants: asked, task }, now) {
      const wants = distinct(asked);
      checkBounds(session, wants);
      const reading = isReading(wants);
      const goesFirst = !reading && state.sessions.get(session)?.blocked === true;
      const waiter: Waiter = {
        ...{ session, wants, task, reading },
        state: wants.length === 0 ? "ready" : "waiting",
        rank: goesFirst ? --state.firstRank : ++state.lastRank,
      };
      const step = new Step(state, now);
      if (wants.length === 0) step.runs.push(waiter);
      enqueue(state, waiter);
      step.touchWants(waiter);
      return { request: waiter as LeaseRequest<unknown> as LeaseRequest<Task>, effects: done(step) };
    },

    retry(request, asked, now) {
      const waiter = waiterOf(request);
      const step = new Step(state, now);
      if (waiter.state === "gone") return done(step);
      const wants = distinct(asked);
      touchAll(step, waiter);
      Object.assign(waiter, { wants, reading: isReading(wants), state: wants.length === 0 ? "ready" : "waiting" });
      if (wants.length === 0) step.runs.push(waiter);
      enqueue(state, waiter);
      step.touchWants(waiter);
      return done(step);
    },

    complete(request, now, options) {
      const waiter = waiterOf(request);
      assert(waiter.state !== "waiting", "a request was completed before its turn");
      const step = new Step(state, now);
      const grants: LeaseGrant[] = [];
      if (waiter.state === "gone") return { grants, effects: done(step) };
      if (options?.granting !== false) {
        for (const want of waiter.wants) {
          const inode = state.inodes.get(want.ino);
          const insist = want.insist === true && (inode === undefined || hasTurn(inode, waiter, want));
          const granted = grant(state, bounds, waiter.session, { ...want, insist }, now);
          if (granted !== undefined) grants.push(granted);
        }
      }
      leave(step, waiter);
      const session = state.sessions.get(waiter.session);
      if (session?.blocked === true) session.heardAt = now;
      if (session !== undefined) makeRoom(state, bounds, step, session);
      return { grants, effects: done(step) };
    },

    offer: (session, want, now) => grant(state, bounds, session, want, now),

    made(session, inos, now) {
      const step = new Step(state, now);
      const grants: LeaseGrant[] = [];
      for (const ino of inos) {
        const granted =
          grantOf(state, session, ino, "exclusive") ?? regrant(state, session, { ino, level: "exclusive" });
        if (granted !== undefined) grants.push(granted);
      }
      const maker = state.sessions.get(session);
      if (maker !== undefined) makeRoom(state, bounds, step, maker);
      return { grants, effects: done(step) };
    },

    grantOf: (session, ino) => grantOf(state, session, ino),

    cancel(request, now) {
      const step = new Step(state, now);
      const waiter = waiterOf(request);
      if (waiter.state !== "gone") leave(step, waiter);
      return done(step);
    },

    flushed(session, ino, number, now) {
      const step = new Step(state, now);
      const holder = findHolder(state, session, ino);
      if (holder !== undefined && recallOf(holder, number) !== undefined) flush(state, step, holder);
      return done(step);
    },

    acknowledged(session, ino, number, now) {
      const step = new Step(state, now);
      const holder = findHolder(state, session, ino);
      const recall = recallOf(holder, number);
      if (holder !== undefined && recall !== undefined) acknowledge(state, step, holder, recall);
      return done(step);
    },

    progress: (session, now) => heard(state, session, now),

    blocked(id, now) {
      const step = new Step(state, now);
      const session = state.sessions.get(id);
      if (session === undefined || session.recalled.size === 0) return done(step);
      session.blocked = true;
      const stopped = [...session.waiters].filter(({ reading, state: is }) => !reading && is === "waiting");
      for (const waiter of stopped.sort((one, other) => other.rank - one.rank)) {
        leaveQueues(state, waiter);
        waiter.rank = --state.firstRank;
        enqueue(state, waiter);
        step.touchWants(waiter);
      }
      return done(step);
    },

    lowered(session, ino, number, now) {
      const step = new Step(state, now);
      const holder = findHolder(state, session, ino);
      if (holder !== undefined && holder.number <= number) flush(state, step, holder);
      return done(step);
    },

    forgotten(id, inos) {
      const session = state.sessions.get(id);
      for (const ino of inos) {
        const holder = session?.holders.get(ino);
        if (holder !== undefined && session?.recent.delete(holder) === true) session.forgotten.add(holder);
      }
    },

    reclaim: (session, held) => regrant(state, session, held),

    resumed(id, now) {
      const step = new Step(state, now);
      heard(state, id, now);
      for (const { recall } of state.sessions.get(id)?.recalled ?? []) {
        if (recall !== undefined) step.recalls.push({ session: id, recall: recall.recall });
      }
      return done(step);
    },

    sessionEnded(id, now) {
      const step = new Step(state, now);
      const session = state.sessions.get(id);
      if (session === undefined) return done(step);
      for (const waiter of [...session.waiters]) leave(step, waiter);
      for (const holder of [...session.holders.values()]) {
        endRecall(state, holder);
        hold(state, holder, "none");
        tidyHolder(state, holder);
        step.touch(holder.inode);
      }
      return done(step);
    },

    timePassed(now) {
      const step = new Step(state, now);
      for (const inode of forgetCalm(state, now)) tidyInode(state, inode);
      step.ends.push(...stuckSessions(state, bounds, now));
      return done(step);
    },

    mayFlush(session, ino) {
      const mine = findHolder(state, session, ino);
      if (mine === undefined) return false;
      return mine.level === "exclusive" || (mine.recall !== undefined && isAlone(mine.inode, mine));
    },

    isAlone(session, ino) {
      const inode = state.inodes.get(ino);
      return inode === undefined || isAlone(inode, inode.holders.get(session));
    },

    held: (session) => state.sessions.get(session)?.cached ?? 0,

    holders: (ino) =>
      [...(state.inodes.get(ino)?.holders.values() ?? [])].map(({ session, level, recall }) => ({
        session,
        level,
        recalled: recall?.recall.to,
      })),

    get statistics() {
      let [recalls, waiting] = [0, 0];
      for (const { recalled, waiters } of state.sessions.values()) {
        recalls += recalled.size;
        waiting += waiters.size;
      }
      const { inodes, sessions, bouncing } = state;
      return { inodes: inodes.size, sessions: sessions.size, recalls, waiting, bouncing: bouncing.size };
    },
  };
}
