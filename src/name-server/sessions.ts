/**
 * The sessions: who is mounted, over which connection, and until when. A session outlives its connection by its time
 * to live, and a restart of the server by another one.
 *
 * Invariants: every session in the table has a committed record; an ended session's record is gone, durably, before
 * anything that it held is given to others; a peer speaks for at most one session and a session has at most one peer.
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
  /** A session that was awaited after a restart has all its locks again, or has ended. */
  onBack(): void;
}

export interface Sessions {
  /** Reads the committed sessions: each gets a fresh time to live to come back. */
  load(): void;
  get(id: SessionId): Session | undefined;
  /**
   * The session that the peer speaks for; notes that it was heard of. ENOTCONN when it has none. What a resumed client
   * sends first is one heartbeat and its locks; anything else says that it has all its locks again.
   */
  of(peer: RemotePeer): Session;
  /** The same for a request that changes something. */
  changing(peer: RemotePeer): Session;
  /** The same for a lock that is taken again. */
  reclaiming(peer: RemotePeer): Session;
  /** The same for a heartbeat. */
  heartbeat(peer: RemotePeer): Session;
  find(peer: RemotePeer): Session | undefined;
  all(): readonly Session[];
  /** Creates a session for the peer; resolves when it is durable. EUSERS: too many. */
  open(peer: RemotePeer, clientName: string, caching: boolean): Promise<Session>;
  /** Binds an existing session to the peer, in place of the one that it had. */
  resume(peer: RemotePeer, session: Session): void;
  /** The peer is gone: its session goes on in silence. */
  disconnected(peer: RemotePeer): void;
  /**
   * Ends a session; resolves when that is durable. Repeated calls are harmless. Its connection is closed, unless it
   * still has to carry the reply.
   */
  end(session: Session, reason: string, options?: { keepConnection: boolean }): Promise<void>;
  /** Ends those that have been silent for too long. */
  tick(): void;
  /** Whether a session that was there before the restart is neither back with all its locks nor ended. */
  readonly awaitsOthers: boolean;
  readonly ttlMillis: number;
}

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

  function add(session: Omit<Session, "callable" | "heartbeats" | "heardAt" | "changedAt" | "ended">): Session {
    const now = listening.now();
    const added: Session = { ...session, callable: false, heartbeats: 0, heardAt: now, changedAt: now, ended: false };
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

  function reclaiming(peer: RemotePeer): Session {
    const session = byPeer.get(peer);
    if (session === undefined) throw new FsError("ENOTCONN", "no session on this connection: open one first");
    session.heardAt = listening.now();
    return session;
  }

  function of(peer: RemotePeer): Session {
    const session = reclaiming(peer);
    if (session.awaited) isBack(session);
    return session;
  }

  async function commitEnd(session: Session, reason: string, keepConnection: boolean): Promise<void> {
    log.info({ session: session.id, client: session.clientName, reason }, "a session ends");
    if (!keepConnection) session.peer?.close(`the session has ended: ${reason}`);
    if (session.peer !== undefined) byPeer.delete(session.peer);
    session.peer = undefined;
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
        add({ id: sessionOfKey(key), clientName, opened, peer: undefined, awaited: true, caching: true });
      }
      // With several of them each had said that it caches nothing before the next one was admitted.
      if (sessions.size > 1) for (const session of sessions.values()) session.caching = false;
    },

    of,
    reclaiming,

    heartbeat(peer) {
      const session = reclaiming(peer);
      if (++session.heartbeats > 1) isBack(session);
      return session;
    },

    changing(peer) {
      const session = of(peer);
      session.changedAt = session.heardAt;
      return session;
    },

    async open(peer, clientName, caching) {
      if (sessions.size >= limits.sessionsMax) {
        throw new FsError("EUSERS", `${String(limits.sessionsMax)} clients are mounted already`);
      }
      const id = randomId(random) as SessionId;
      const session = add({ id, clientName, opened: clock.wallNanos(), peer, awaited: false, caching });
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
      session.heartbeats = 0;
      session.heardAt = listening.now();
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

    tick() {
      const now = listening.now();
      for (const session of sessions.values()) {
        if (session.ended || now - session.heardAt <= ttlMillis) continue;
        this.end(session, `silent for ${String(Math.round((now - session.heardAt) / 1000))} s`).catch(
          (error: unknown) => {
            log.error({ err: error, session: session.id }, "could not end a session");
          },
        );
      }
    },
  };
}
