/**
 * The sessions: who is mounted, over which connection, and until when. A session outlives its connection by its time
 * to live, and a restart of the server by another one.
 *
 * Invariants: every session in the table has a committed record; an ended session's record is gone, durably, before
 * anything that it held is given to others; a peer speaks for at most one session and a session has at most one peer.
 * A session whose client is not heard of, or is not answered any more, ends at the earliest a time to live after the last
 * answer from which that client counts its trust in its leases.
 */
import { FsError } from "../base/errno.ts";
import { randomId, type Random } from "../base/random.ts";
import type { Clock } from "../base/clock.ts";
import type { SessionId } from "../base/ids.ts";
import { limits } from "../base/limits.ts";
import type { Log } from "../base/log.ts";
import { keys, sessionOfKey } from "../metadata-store/keys.ts";
import { decodeSession, encodeSession } from "../metadata-store/records.ts";
import type { MetadataStore } from "../metadata-store/types.ts";
import type { Execution } from "./execution.ts";
import type { ListeningTime } from "./listening.ts";
import type { RemotePeer, Session } from "./types.ts";

export interface SessionEvents {
  /** The end is durable: what the session held may be given away. */
  onEnded(session: Session): void;
  /** A session that was awaited after a restart is back with all that it held, or has ended. */
  onBack(): void;
}

export interface Sessions {
  /** Reads the committed sessions: each gets a fresh time to live to come back. */
  load(): void;
  get(id: SessionId): Session | undefined;
  /** The session that the peer speaks for; notes that it was heard of. ENOTCONN when it has none. */
  of(peer: RemotePeer): Session;
  /** The same for a heartbeat, which is answered at once. */
  heartbeat(peer: RemotePeer): Session;
  find(peer: RemotePeer): Session | undefined;
  all(): readonly Session[];
  /** Creates a session for the peer; resolves when it is durable. EUSERS: too many. */
  open(peer: RemotePeer, clientName: string): Promise<Session>;
  /** Binds an existing session to the peer, in place of the one that it had. */
  resume(peer: RemotePeer, session: Session): void;
  /** The peer is gone: its session goes on in silence. */
  disconnected(peer: RemotePeer): void;
  /**
   * Ends a session; resolves when that is durable. Repeated calls are harmless. Its connection is closed, unless it
   * still has to carry the reply.
   */
  end(session: Session, reason: string, options?: { keepConnection: boolean }): Promise<void>;
  /**
   * Speaks no more to a session, whose client can then only notice that it is over: it ends when that must have happened.
   * A connection that would resume it gets a new session. Repeated calls are harmless.
   */
  condemn(session: Session, reason: string): void;
  /** A session of before the restart has all that it held. */
  isBack(session: Session): void;
  /** Nobody could be answered for a while: whoever speaks now has not been silent. */
  excuseSilence(): void;
  /** Ends those that have been silent for too long. */
  tick(): void;
  /** Whether a session that was there before the restart has neither said all that it held nor ended. */
  readonly awaitsOthers: boolean;
  readonly ttlMillis: number;
}

/** A session of before a restart that is connected has so many times its time to live to say what it holds. */
const comeBackTtlsMax = 2;

export function createSessions(parts: {
  store: MetadataStore;
  execution: Execution;
  clock: Clock;
  random: Random;
  log: Log;
  listening: ListeningTime;
  ttlMillis: number;
  events: SessionEvents;
}): Sessions {
  const { store, execution, clock, random, log, listening, ttlMillis, events } = parts;
  const sessions = new Map<SessionId, Session>();
  const byPeer = new Map<RemotePeer, Session>();
  const ending = new Map<Session, Promise<void>>();
  let awaited = 0;

  function add(session: Pick<Session, "id" | "clientName" | "opened" | "peer" | "awaited">): Session {
    const now = listening.now();
    const added: Session = {
      ...session,
      ...{ callable: false, heardAt: now, answeredAt: now, condemned: false, ended: false },
    };
    sessions.set(added.id, added);
    if (added.peer !== undefined) byPeer.set(added.peer, added);
    if (added.awaited) awaited++;
    return added;
  }

  function isBack(session: Session): void {
    if (!session.awaited) return;
    session.awaited = false;
    awaited--;
    events.onBack();
  }

  function of(peer: RemotePeer): Session {
    const session = byPeer.get(peer);
    if (session === undefined) throw new FsError("ENOTCONN", "no session on this connection: open one first");
    session.heardAt = listening.now();
    return session;
  }

  /** Nobody speaks for it any more. */
  function unbind(session: Session): void {
    if (session.peer !== undefined) byPeer.delete(session.peer);
    session.peer = undefined;
  }

  async function commitEnd(session: Session, reason: string, keepConnection: boolean): Promise<void> {
    log.info({ session: session.id, client: session.clientName, reason }, "a session ends");
    if (!keepConnection) session.peer?.close(`the session has ended: ${reason}`);
    unbind(session);
    await execution.change((transaction) => {
      transaction.remove(keys.session(session.id));
      const replies = store.range({ gte: keys.reply(session.id, 0), lt: keys.repliesEnd(session.id) });
      for (const [key] of replies) transaction.remove(key);
    });
    sessions.delete(session.id);
    events.onEnded(session);
    isBack(session);
  }

  return {
    ttlMillis,
    get: (id) => sessions.get(id),
    find: (peer) => byPeer.get(peer),
    all: () => [...sessions.values()],
    get awaitsOthers() {
      return awaited > 0;
    },

    load() {
      for (const [key, value] of store.range({ gte: "S", lt: "T" })) {
        const { clientName, opened } = decodeSession(value);
        add({ id: sessionOfKey(key), clientName, opened, peer: undefined, awaited: true });
      }
    },

    of,
    isBack,

    heartbeat(peer) {
      const session = of(peer);
      session.answeredAt = session.heardAt;
      return session;
    },

    async open(peer, clientName) {
      if (sessions.size >= limits.sessionsMax) {
        throw new FsError("EUSERS", `${String(limits.sessionsMax)} clients are mounted already`);
      }
      const id = randomId(random) as SessionId;
      const session = add({ id, clientName, opened: clock.wallNanos(), peer, awaited: false });
      await execution.change((transaction) => {
        transaction.put(keys.session(id), encodeSession({ opened: session.opened, clientName }));
      });
      log.info({ session: id, client: clientName }, "a session was opened");
      return session;
    },

    resume(peer, session) {
      const old = session.peer;
      session.peer = peer;
      session.callable = false;
      session.heardAt = session.answeredAt = listening.now();
      byPeer.set(peer, session);
      if (old !== undefined && old !== peer) {
        byPeer.delete(old);
        old.close("the session went on over another connection");
      }
      log.info({ session: session.id, client: session.clientName }, "a session was resumed");
    },

    disconnected(peer) {
      const session = byPeer.get(peer);
      if (session === undefined) return;
      byPeer.delete(peer);
      session.peer = undefined;
      log.info({ session: session.id, client: session.clientName }, "a client's connection broke");
    },

    end(session, reason, options) {
      let promise = ending.get(session);
      if (promise === undefined) {
        if (session.ended) return Promise.resolve();
        session.ended = true;
        promise = commitEnd(session, reason, options?.keepConnection === true).finally(() => ending.delete(session));
        ending.set(session, promise);
      }
      return promise;
    },

    condemn(session, reason) {
      if (session.condemned || session.ended) return;
      session.condemned = true;
      log.warn({ session: session.id, client: session.clientName, reason }, "a session will end");
      session.peer?.close(`the session ends: ${reason}`);
      unbind(session);
    },

    excuseSilence() {
      for (const session of sessions.values()) session.heardAt = listening.now();
    },

    tick() {
      const now = listening.now();
      for (const session of sessions.values()) {
        if (session.ended) continue;
        if (session.awaited && now > comeBackTtlsMax * ttlMillis)
          this.condemn(session, "it does not say what it holds");
        const since = session.condemned ? session.answeredAt : session.heardAt;
        if (now - since <= ttlMillis) continue;
        this.end(session, `silent for ${String(Math.round((now - since) / 1000))} s`).catch((error: unknown) => {
          log.error({ err: error, session: session.id }, "could not end a session");
        });
      }
    },
  };
}
