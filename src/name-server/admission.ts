/**
 * The rule that keeps several clients coherent: only a client that is alone may cache anything. A further session is
 * admitted when every other one has said that it caches nothing any more (or has ended); when one is left, it is told
 * that it may cache again. This file is the whole rule: leases will take its place.
 *
 * Invariants: `session.caching` is true from before a client can know that it may cache until it has answered that it
 * no longer does; at most one session has it, and only while there is no other. Admissions happen one at a time, and a
 * client is asked one thing at a time.
 */
import { sleep, type Clock } from "../base/clock.ts";
import { FsError } from "../base/errno.ts";
import type { Log } from "../base/log.ts";
import type { ListeningTime } from "./listening.ts";
import { nextTurn } from "./next-turn.ts";
import type { Sessions } from "./sessions.ts";
import type { RemotePeer, Session } from "./types.ts";

export interface Admission {
  /**
   * Runs `open` when no other session caches; tells it whether the new one may. Rejects with the signal's reason when
   * the asking client gave up meanwhile.
   */
  admit(signal: AbortSignal, open: (caching: boolean) => Promise<Session>): Promise<Session>;
  /** The client has been told at its opening whether it may cache, and may be called from now on. */
  sessionCallable(session: Session, toldCaching: boolean): void;
  /** A session has ended: whoever is left alone may cache. */
  sessionEnded(): void;
  close(): void;
}

/** How often a client that does not answer is looked at again. */
const retryMillis = 1_000;
/** So many times its time to live a client may go on flushing before it counts as stuck. */
const flushTtlsMax = 4;

export function createAdmission(parts: {
  sessions: Sessions;
  clock: Clock;
  listening: ListeningTime;
  log: Log;
}): Admission {
  const { sessions, clock, listening, log } = parts;
  const closing = new AbortController();
  let turn: Promise<unknown> = Promise.resolve();
  let admitting = 0;

  async function admitNow(signal: AbortSignal, open: (caching: boolean) => Promise<Session>): Promise<Session> {
    for (let others = caching(); others.length > 0; others = caching()) {
      closing.signal.throwIfAborted();
      await Promise.all(others.map(stopCaching));
    }
    signal.throwIfAborted();
    return open(present().length === 0);
  }

  function present(): readonly Session[] {
    return sessions.all().filter((session) => !session.ended);
  }

  /** Also those whose end is not durable yet: it is waited for. */
  function caching(): readonly Session[] {
    return sessions.all().filter((session) => session.caching);
  }

  /** Resolves when the session no longer caches, or after a while: the caller looks again. */
  async function stopCaching(session: Session): Promise<void> {
    const { peer } = session;
    if (peer === undefined) return pause(retryMillis / 4);
    if (!session.callable) return nextTurn();
    const stop = new AbortController();
    const watching = endIfStuck(session, peer, stop.signal);
    try {
      await peer.call("setCaching", { allowed: false }, { deadlineMillis: Infinity });
      session.caching = false;
    } catch (error) {
      if (!session.ended) {
        log.warn({ session: session.id, problem: String(error) }, "a client did not drop its caches");
        await pause(retryMillis);
      }
    } finally {
      stop.abort(new FsError("ECANCELED", "answered"));
      await watching;
    }
  }

  /** A client that neither answers nor makes progress with its flush ends, so that it does not stop the others. */
  async function endIfStuck(session: Session, peer: RemotePeer, signal: AbortSignal): Promise<void> {
    const asked = listening.now();
    const isStuck = (): boolean => {
      const idle = listening.now() - Math.max(asked, session.changedAt);
      return idle > sessions.ttlMillis || listening.now() - asked > flushTtlsMax * sessions.ttlMillis;
    };
    while (!signal.aborted && session.peer === peer && !isStuck()) {
      await sleep(clock, retryMillis, signal).catch(() => undefined);
    }
    // Closes its connection, upon which the call above rejects.
    if (!signal.aborted && session.peer === peer) await sessions.end(session, "it does not drop its caches");
  }

  function pause(millis: number): Promise<void> {
    return sleep(clock, millis, closing.signal).catch(() => undefined);
  }

  /** Noted before it is told: from then on it has to be asked before another one is admitted. */
  function allowLastOne(): void {
    const [last, ...others] = present();
    if (last === undefined || others.length > 0 || last.caching || admitting > 0) return;
    last.caching = true;
    if (last.callable) allow(last);
  }

  function allow(session: Session): void {
    session.peer?.call("setCaching", { allowed: true }).catch((error: unknown) => {
      log.debug({ session: session.id, problem: String(error) }, "a client was not told that it may cache");
    });
  }

  return {
    admit(signal, open) {
      admitting++;
      const mine = turn.then(() => admitNow(signal, open));
      const settled = (): void => {
        admitting--;
        allowLastOne();
      };
      turn = mine.then(settled, settled);
      return mine;
    },

    sessionCallable(session, toldCaching) {
      if (session.caching && !toldCaching) allow(session);
    },
    sessionEnded: allowLastOne,
    close() {
      closing.abort(new FsError("ECONNRESET", "the name server stops"));
    },
  };
}
