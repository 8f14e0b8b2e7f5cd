/**
 * Leases in use: puts requests through the table, and does at once what the table says: sends recalls, lets requests go
 * on, ends sessions that do not answer. leases/README.md has the rules.
 *
 * After a restart nothing is known of what the sessions of before it hold: until each of them has said so, or has ended,
 * every request waits here.
 */
import type { Ino } from "../base/ids.ts";
import type { Log } from "../base/log.ts";
import type { LeaseGrant, LeaseNews } from "../protocol/leases.ts";
import { LeaseTurn, type TurnRequest, type Turns } from "./lease-turn.ts";
import { createLeaseTable } from "./leases/table.ts";
import type { Effects, LeaseStatistics, Reclaimed } from "./leases/types.ts";
import { createRecallSender } from "./recall-sender.ts";
import type { Sessions } from "./sessions.ts";
import type { Session } from "./types.ts";

export interface LeaseService {
  turn(request: TurnRequest): LeaseTurn;
  /** Whether the session may write this file out of turn; then that is also a sign that its flush makes progress. */
  isFlush(session: Session, ino: Ino): boolean;
  /**
   * Whether the session may change the inode ahead of telling so: it has it alone, or gives it back just now. One that
   * comes back after a restart may have had it alone, as long as nobody else says so.
   */
  mayChange(session: Session, ino: Ino): boolean;
  /** Whether nobody else has a lease on it. */
  isUnseen(session: Session, ino: Ino): boolean;
  /** The leases of inodes that the session has made. */
  made(session: Session, inos: readonly Ino[]): LeaseGrant[];
  /** What it has of these. */
  grantsOf(session: Session, inos: readonly Ino[]): LeaseGrant[];
  /** Some of what it had changed has arrived. */
  progress(session: Session): void;
  /** What a client tells, in the order in which it told it. */
  news(session: Session, news: readonly LeaseNews[]): void;
  /** What a session had before the restart, as far as nobody else has it. */
  reclaim(session: Session, held: readonly Reclaimed[]): LeaseGrant[];
  /** The session may be called over its connection: recalls that may have been lost are sent again. */
  callable(session: Session): void;
  sessionEnded(session: Session): void;
  /** The sessions of before the restart are complete. */
  graceEnded(): void;
  tick(): void;
  held(session: Session): number;
  readonly statistics: LeaseStatistics;
  close(): void;
}

export function createLeaseService(parts: {
  sessions: Sessions;
  now: () => number;
  log: Log;
  /** See `createLeaseTable`. */
  lastNumber: number;
}): LeaseService {
  const { sessions, now, log } = parts;
  const table = createLeaseTable<LeaseTurn>({}, parts.lastNumber);
  const recalls = createRecallSender(sessions);
  const turns: Turns = {
    ...{ table, now, act },
    waiting: new Set(),
    awaitsOthers: () => sessions.awaitsOthers,
  };

  function act(effects: Effects<LeaseTurn>): void {
    for (const { session, recall } of effects.recalls) recalls.send(session, recall);
    for (const id of effects.ends) {
      const session = sessions.get(id);
      // One without a connection cannot answer: its silence ends it, unless it comes back.
      if (session?.peer !== undefined) sessions.condemn(session, "it does not give back leases");
    }
    for (const { task } of effects.runs) task.wake();
  }

  function handle(session: Session, news: LeaseNews): void {
    switch (news.kind) {
      case "flushed":
      case "acknowledged":
      case "lowered":
        act(table[news.kind](session.id, news.ino, news.number, now()));
        break;
      case "forgotten":
        table.forgotten(session.id, [news.ino]);
        break;
      case "blocked":
        act(table.blocked(session.id, now()));
        break;
    }
  }

  return {
    turn: (request) => new LeaseTurn(turns, request),

    isFlush(session, ino) {
      if (!table.mayFlush(session.id, ino)) return false;
      table.progress(session.id, now());
      return true;
    },

    mayChange: (session, ino) => table.mayFlush(session.id, ino) || (session.awaited && table.isAlone(session.id, ino)),
    isUnseen: (session, ino) => table.isAlone(session.id, ino),

    made(session, inos) {
      const { grants, effects } = table.made(session.id, inos, now());
      act(effects);
      return grants;
    },

    grantsOf: (session, inos) => inos.flatMap((ino) => table.grantOf(session.id, ino) ?? []),

    progress(session) {
      table.progress(session.id, now());
    },

    news(session, news) {
      for (const one of news) handle(session, one);
    },

    reclaim(session, held) {
      const grants: LeaseGrant[] = [];
      for (const one of held) {
        const granted = table.reclaim(session.id, one);
        if (granted !== undefined) grants.push(granted);
      }
      return grants;
    },

    callable(session) {
      act(table.resumed(session.id, now()));
    },

    sessionEnded(session) {
      act(table.sessionEnded(session.id, now()));
      for (const turn of [...turns.waiting]) if (turn.session === session) turn.wake();
    },

    graceEnded() {
      log.info({ waiting: turns.waiting.size }, "all clients of before the restart are back or have ended");
      for (const turn of [...turns.waiting]) turn.wake();
    },

    tick() {
      act(table.timePassed(now()));
    },

    held: (session) => table.held(session.id),
    get statistics() {
      return table.statistics;
    },
    close() {
      // Their connections are closed, and what they asked for has not happened.
      turns.waiting.clear();
    },
  };
}
