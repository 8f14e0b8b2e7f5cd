/**
 * applyAhead and reserveInodes: README.md has what they guarantee.
 *
 * Everything about a batch happens in the step in which it arrives; only its answer waits, for the disk. So whatever
 * arrives behind it finds it applied.
 */
import type { Attributes } from "../../base/attributes.ts";
import { FsError } from "../../base/errno.ts";
import type { Ino } from "../../base/ids.ts";
import type { Log } from "../../base/log.ts";
import type { MetadataStore } from "../../metadata-store/types.ts";
import type { AheadEntry } from "../../protocol/ahead.ts";
import type { LeaseGrant } from "../../protocol/leases.ts";
import type { NameServerMethods } from "../../protocol/name-server.ts";
import type { Handlers, ReplyOf } from "../../rpc/types.ts";
import type { Capacity } from "../capacity.ts";
import type { Execution, MaybePromise } from "../execution.ts";
import type { LeaseService } from "../lease-service.ts";
import {
  findAttributes,
  namespaceMethods,
  Transaction,
  type Allocator,
  type OperationContext,
} from "../namespace/index.ts";
import type { MakeContext } from "../operation-context.ts";
import type { OrphanQuestions } from "../orphan-questions.ts";
import type { Replies } from "../replies.ts";
import type { Sessions } from "../sessions.ts";
import type { PeerMethods, Session } from "../types.ts";
import { refusalOf, type AheadLogs, type LogState } from "./ahead-logs.ts";
import { Batch } from "./batch.ts";
import { EntryContext } from "./entry-context.ts";
import { placeOf, requireLeases, toldBy } from "./entry-leases.ts";

export type AheadHandlers = Pick<Handlers<NameServerMethods, PeerMethods>, "applyAhead" | "reserveInodes">;
type Answer = ReplyOf<NameServerMethods, "applyAhead">;
type Run = (context: OperationContext, request: unknown) => unknown;

export interface AheadHandlerParts {
  readonly store: MetadataStore;
  readonly log: Log;
  readonly sessions: Sessions;
  readonly execution: Execution;
  readonly replies: Replies;
  readonly orphans: OrphanQuestions;
  readonly leases: LeaseService;
  readonly capacity: Capacity;
  readonly allocator: Allocator;
  readonly makeContext: MakeContext;
  readonly logs: AheadLogs;
}

export function createAheadHandlers(parts: AheadHandlerParts): AheadHandlers {
  const { store, log, sessions, execution, replies, orphans, leases, capacity, allocator, makeContext, logs } = parts;

  function apply(session: Session, state: LogState, entries: readonly AheadEntry[]): MaybePromise<Answer> {
    const orphaned: Ino[] = [];
    const batch = new Batch(store, state.entries, (part, complete) => {
      logs.write(part, session.id, { ...state, entries: complete });
    });
    // A server that died may have applied the first of them.
    const made = new Set(madeBy(entries.slice(0, state.entries)));
    const rights = {
      mayChange: (ino: Ino): boolean => made.has(ino) || leases.mayChange(session, ino),
      isUnseen: (ino: Ino): boolean => made.has(ino) || leases.isUnseen(session, ino),
    };
    for (const entry of entries.slice(state.entries)) {
      try {
        requireLeases(batch, entry, rights);
        runEntry(session, batch, entry, orphaned);
      } catch (error) {
        return refuse(session, state, error, entry);
      }
      if (!("ino" in entry)) continue;
      state.numbers.use(entry.ino);
      made.add(entry.ino);
    }
    state.sequence++;
    state.entries = 0;
    const changes = batch.finish((part) => {
      logs.write(part, session.id, state);
    });
    for (const part of changes) execution.apply(part);
    const there = [...made].filter((ino) => findAttributes(store, ino) !== undefined);
    const answer = answerTo(entries, leases.made(session, there));
    return execution.whenDurable(() => {
      if (orphaned.length > 0) orphans.removed(orphaned, session.id);
      return answer;
    });
  }

  function runEntry(session: Session, batch: Batch, entry: AheadEntry, orphaned: Ino[]): void {
    const ino = "ino" in entry ? entry.ino : undefined;
    if (ino !== undefined) requireNumber(logs.of(session.id), ino);
    const transaction = batch.begin();
    const ordinary = makeContext(transaction, session.id);
    const context = new EntryContext(ordinary, {
      ...{ time: entry.time, ino },
      checkpoint: () => {
        batch.checkpoint(transaction);
      },
    });
    (namespaceMethods[entry.method] as Run)(context, entry.request);
    batch.end(transaction);
    orphaned.push(...context.orphaned);
  }

  /** Nothing of the batch has happened, and nothing of this session's log happens any more. */
  function refuse(session: Session, state: LogState, error: unknown, entry: AheadEntry): MaybePromise<never> {
    const refusal = refusalOf(error);
    const { errno, context } = refusal;
    const which = { session: session.id, client: session.clientName, sequence: state.sequence + 1 };
    const what = { ...which, method: entry.method, ino: placeOf(entry), errno };
    const why = error instanceof FsError ? { why: context } : { err: error };
    log.error({ ...what, ...why }, "a client's changes are refused: what it answered ahead is lost");
    state.refusal = refusal;
    const transaction = new Transaction(store);
    logs.write(transaction, session.id, state);
    execution.apply(transaction.changes());
    return execution.whenDurable(() => {
      throw new FsError(errno, context);
    });
  }

  /** What the answer tells beside the fact, of the state as it is now. */
  function answerTo(entries: readonly AheadEntry[], granted: LeaseGrant[]): Answer {
    const told = new Set<Ino>();
    for (const entry of entries) for (const ino of toldBy(entry)) told.add(ino);
    const attributes: Attributes[] = [];
    for (const ino of told) {
      const found = findAttributes(store, ino);
      if (found !== undefined) attributes.push(found);
    }
    return { attributes, leases: granted };
  }

  return {
    applyAhead({ sequence, entries }, { peer }) {
      const session = sessions.of(peer);
      if (session.ended) throw new FsError("ESTALE", `session ${session.id} has ended`);
      const state = logs.of(session.id);
      if (sequence <= state.sequence) {
        const answer = answerTo(entries, leases.grantsOf(session, madeBy(entries)));
        return execution.whenDurable(() => answer);
      }
      const batch = `batch ${String(sequence)} of session ${session.id}`;
      if (state.refusal !== undefined) {
        const { errno, context } = state.refusal;
        if (sequence === state.sequence + 1) throw new FsError(errno, context);
        throw new FsError("EIO", `${batch} comes after one that was refused`);
      }
      if (sequence !== state.sequence + 1) {
        throw new FsError("EINVAL", `${batch} leaves a gap after ${String(state.sequence)}`);
      }
      leases.progress(session);
      return apply(session, state, entries);
    },

    reserveInodes({ op, count }, { peer }) {
      const session = sessions.of(peer);
      return replies.once({
        ...{ session, method: "reserveInodes", op },
        run: (transaction) => {
          if (capacity.space().metadataFull) {
            throw new FsError("ENOSPC", "the name server's disk is down to its reserve");
          }
          const first = allocator.inos(transaction, count);
          const state = logs.of(session.id);
          state.numbers.add(first, count);
          logs.write(transaction, session.id, state);
          return { first, count };
        },
      });
    },
  };
}

function madeBy(entries: readonly AheadEntry[]): Ino[] {
  return entries.flatMap((entry) => ("ino" in entry ? entry.ino : []));
}

function requireNumber({ numbers }: LogState, ino: Ino): void {
  if (numbers.has(ino)) return;
  throw new FsError("EIO", `inode number ${String(ino)} is not one that the session reserved and has not used`);
}
