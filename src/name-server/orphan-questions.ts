/**
 * Inodes without a name stay for the sessions that may still use them. Whoever removed the last name knows; the others
 * are asked here, and what they do not use is released at once. What they do use they release themselves later.
 *
 * Invariants: one question at a time per session; the memory of what to ask is bounded: beyond that, and after a broken
 * connection or a restart, the orphan table is searched for what names the session.
 */
import type { Clock, Timer } from "../base/clock.ts";
import type { Ino, SessionId } from "../base/ids.ts";
import { limits } from "../base/limits.ts";
import type { Log } from "../base/log.ts";
import { inoOfKey, keys } from "../metadata-store/keys.ts";
import { decodeOrphan } from "../metadata-store/records.ts";
import type { MetadataStore } from "../metadata-store/types.ts";
import { nextTurn } from "./next-turn.ts";
import type { Sessions } from "./sessions.ts";
import type { RemotePeer, Session } from "./types.ts";

export interface OrphanQuestions {
  /** Inodes became orphans by the doing of one session: asks all others. */
  removed(inos: readonly Ino[], by: SessionId): void;
  /** A session is back: it is asked about everything that is kept for it. */
  resumed(session: Session): void;
  sessionEnded(session: Session): void;
  close(): void;
}

interface Question {
  readonly pending: Set<Ino>;
  /** Where to go on searching the orphan table, or undefined. */
  searchFrom: Ino | undefined;
  asking: boolean;
  retry: Timer | undefined;
}

/** Inodes in one question. */
const batchMax = 1_024;
const retryMillis = 5_000;

export function createOrphanQuestions(parts: {
  store: MetadataStore;
  sessions: Sessions;
  clock: Clock;
  log: Log;
  /** Commits that the session does not use these inodes. */
  release: (session: Session, inos: readonly Ino[]) => Promise<void>;
}): OrphanQuestions {
  const { store, sessions, clock, log, release } = parts;
  const questions = new Map<Session, Question>();

  function questionsOf(session: Session): Question {
    let found = questions.get(session);
    if (found === undefined) {
      found = { pending: new Set(), searchFrom: undefined, asking: false, retry: undefined };
      questions.set(session, found);
    }
    return found;
  }

  function ask(session: Session, question: Question): void {
    const { peer } = session;
    if (question.asking || peer === undefined || !session.callable || session.ended) return;
    question.asking = true;
    askAll(session, question, peer).then(
      () => {
        question.asking = false;
      },
      (error: unknown) => {
        question.asking = false;
        search(question);
        if (session.ended) return;
        log.debug({ session: session.id, problem: String(error) }, "a client was not asked about removed inodes");
        question.retry?.cancel();
        // At once if the session has meanwhile gone on over another connection.
        question.retry = clock.after(session.peer === peer ? retryMillis : 0, () => {
          ask(session, question);
        });
      },
    );
  }

  async function askAll(session: Session, question: Question, peer: RemotePeer): Promise<void> {
    while (question.pending.size > 0 || question.searchFrom !== undefined) {
      const inos = nextBatch(session, question);
      if (inos.length === 0) {
        await nextTurn();
        continue;
      }
      const { reply } = await peer.call("inodesRemoved", { inos });
      const inUse = new Set(reply.inUse);
      const unused = inos.filter((ino) => !inUse.has(ino));
      if (unused.length > 0 && !session.ended) await release(session, unused);
    }
  }

  function nextBatch(session: Session, question: Question): Ino[] {
    const { pending } = question;
    const batch: Ino[] = [];
    for (const ino of pending) {
      if (batch.length === batchMax) return batch;
      pending.delete(ino);
      batch.push(ino);
    }
    if (question.searchFrom === undefined) return batch;
    let searched = 0;
    for (const [key, value] of store.range({ gte: keys.orphan(question.searchFrom), lt: keys.orphansEnd })) {
      if (batch.length === batchMax || searched++ === searchMax) return batch;
      question.searchFrom = (inoOfKey(key) + 1) as Ino;
      if (decodeOrphan(value).sessions.includes(session.id)) batch.push(inoOfKey(key));
    }
    question.searchFrom = undefined;
    return batch;
  }

  return {
    removed(inos, by) {
      for (const session of sessions.all()) {
        if (session.id === by || session.ended) continue;
        const question = questionsOf(session);
        if (question.pending.size + inos.length > limits.orphanQuestionsMax) search(question);
        else for (const ino of inos) question.pending.add(ino);
        ask(session, question);
      }
    },

    resumed(session) {
      const question = questionsOf(session);
      search(question);
      ask(session, question);
    },

    sessionEnded(session) {
      questions.get(session)?.retry?.cancel();
      questions.delete(session);
    },

    close() {
      for (const { retry } of questions.values()) retry?.cancel();
    },
  };
}

/** Orphans looked at in one go: the search yields to requests in between. */
const searchMax = 4_096;

function search(question: Question): void {
  question.pending.clear();
  question.searchFrom = 1 as Ino;
}
