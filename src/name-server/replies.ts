/**
 * Exactly once: the last reply of every slot of a session, kept in the same batch as the effect of the request.
 * A request that is sent again joins the one in progress or gets the remembered reply, also after a restart.
 *
 * Invariants: a slot's sequence rises by one from request to request; at most one request of a slot is in progress; a
 * reply is handed out only when it is durable.
 */
import { Packr } from "msgpackr";
import { errnoOf, FsError, isErrnoName, type ErrnoName } from "../base/errno.ts";
import type { SessionId } from "../base/ids.ts";
import type { Log } from "../base/log.ts";
import { keys } from "../metadata-store/keys.ts";
import { decodeReply, encodeReply } from "../metadata-store/records.ts";
import type { Change, MetadataStore } from "../metadata-store/types.ts";
import type { OperationToken } from "../protocol/types.ts";
import type { Execution, MaybePromise } from "./execution.ts";
import { Transaction } from "./namespace/index.ts";
import type { Session } from "./types.ts";

interface ChangingRequest<Reply> {
  readonly session: Session;
  readonly method: string;
  readonly op: OperationToken;
  /**
   * Undefined: the operation may run now, in this same step. Else: asked again when the promise has resolved. May refuse
   * the operation with an FsError, which is then its outcome.
   */
  readonly prepare?: () => Promise<void> | undefined;
  /** The operation. An FsError undoes it and is remembered as its outcome. */
  readonly run: (transaction: Transaction) => Reply;
  /** Called when the operation has succeeded and is durable, right before it is answered. */
  readonly durable?: () => void;
  /** What the answer says beside the reply that is remembered: only to who asked first, not to who joins or asks again. */
  readonly beside?: () => object | undefined;
}

export interface Replies {
  once<Reply>(request: ChangingRequest<Reply>): MaybePromise<Reply>;
  /** Forgets a session that has ended (its records are removed with it). */
  forget(session: SessionId): void;
}

type Outcome = { readonly reply: unknown } | { readonly errno: ErrnoName; readonly context: string };

interface Settled {
  readonly outcome: Outcome;
  readonly beside: object | undefined;
}

interface Slot {
  method: string;
  sequence: number;
  /** Of the last request; undefined while it is in progress, or before the first one. */
  outcome: Outcome | undefined;
  /** Settles with the request in progress. */
  pending: Promise<Settled> | undefined;
}

export function createReplies(store: MetadataStore, execution: Execution, log: Log): Replies {
  const sessions = new Map<SessionId, (Slot | undefined)[]>();

  function slotOf(session: SessionId, number: number): Slot {
    let slots = sessions.get(session);
    if (slots === undefined) sessions.set(session, (slots = []));
    return (slots[number] ??= readSlot(store, session, number));
  }

  function once<Reply>(request: ChangingRequest<Reply>): MaybePromise<Reply> {
    const { session, method, op } = request;
    assertAlive(session);
    const slot = slotOf(session.id, op.slot);
    if (op.sequence === slot.sequence) {
      if (slot.method !== method)
        throw new FsError("EINVAL", `${at(request)} was ${slot.method} before, now ${method}`);
      if (slot.pending !== undefined) return slot.pending.then(({ outcome }) => valueOf(outcome) as Reply);
      return valueOf(slot.outcome) as Reply;
    }
    if (op.sequence < slot.sequence) {
      throw new FsError("ESTALE", `${at(request)} is older than the last one, ${String(slot.sequence)}`);
    }
    // The caller gave up waiting for the one before, and its outcome is settled first.
    if (slot.pending !== undefined) {
      const again = (): MaybePromise<Reply> => once(request);
      return slot.pending.then(again, again);
    }
    if (op.sequence !== slot.sequence + 1) {
      throw new FsError("EINVAL", `${at(request)} leaves a gap after ${String(slot.sequence)}`);
    }
    return begin(request, slot);
  }

  function begin<Reply>(request: ChangingRequest<Reply>, slot: Slot): MaybePromise<Reply> {
    const before = { method: slot.method, sequence: slot.sequence, outcome: slot.outcome };
    const rollBack = (): void => {
      if (slot.outcome === undefined) Object.assign(slot, before);
    };
    slot.method = request.method;
    slot.sequence = request.op.sequence;
    slot.outcome = undefined;
    try {
      const result = whenPrepared(request, slot);
      if (!(result instanceof Promise)) return answerOf(result) as Reply;
      slot.pending = result;
      const settled = (): void => {
        slot.pending = undefined;
        rollBack();
      };
      result.then(settled, settled);
      return result.then(answerOf) as Promise<Reply>;
    } catch (error) {
      // Nothing was applied, not even the reply: the request has not happened.
      rollBack();
      throw error;
    }
  }

  /** Runs in the very step in which everything is ready for it. */
  function whenPrepared(request: ChangingRequest<unknown>, slot: Slot): MaybePromise<Settled> {
    let waiting: Promise<void> | undefined;
    try {
      waiting = request.prepare?.();
    } catch (error) {
      return refuse(request, slot, error);
    }
    if (waiting !== undefined) {
      return waiting.then(
        () => whenPrepared(request, slot),
        (error: unknown) => refuse(request, slot, error),
      );
    }
    const room = execution.room();
    return room === undefined ? execute(request, slot) : room.then(() => whenPrepared(request, slot));
  }

  function refuse(request: ChangingRequest<unknown>, slot: Slot, error: unknown): MaybePromise<Settled> {
    const room = execution.room();
    if (room !== undefined) return room.then(() => refuse(request, slot, error));
    return finish(request, slot, failure(error, request), []);
  }

  function execute(request: ChangingRequest<unknown>, slot: Slot): MaybePromise<Settled> {
    assertAlive(request.session);
    const transaction = new Transaction(store);
    let outcome: Outcome;
    let changes: Change[];
    try {
      outcome = { reply: request.run(transaction) };
      changes = transaction.changes();
    } catch (error) {
      outcome = failure(error, request);
      changes = [];
    }
    return finish(request, slot, outcome, changes);
  }

  function finish(
    { session, method, op, durable, beside }: ChangingRequest<unknown>,
    slot: Slot,
    outcome: Outcome,
    changes: Change[],
  ): MaybePromise<Settled> {
    assertAlive(session);
    const record = encodeReply({ sequence: op.sequence, method, reply: encodeOutcome(outcome) });
    changes.push([keys.reply(session.id, op.slot), record]);
    execution.apply(changes);
    return execution.whenDurable(() => {
      slot.outcome = outcome;
      if (!("reply" in outcome)) return { outcome, beside: undefined };
      durable?.();
      return { outcome, beside: beside?.() };
    });
  }

  /** What is not an FsError is a defect: logged once, and told as EIO, now and when it is asked again. */
  function failure(error: unknown, request: ChangingRequest<unknown>): Outcome {
    if (error instanceof FsError) return { errno: error.errno, context: contextOf(error) };
    log.error({ err: error, method: request.method, session: request.session.id }, "an operation failed unexpectedly");
    return { errno: errnoOf(error), context: `${request.method}: unexpected error, see the log of the name server` };
  }

  return {
    once,
    forget: (session) => {
      sessions.delete(session);
    },
  };
}

function assertAlive(session: Session): void {
  if (session.ended) throw new FsError("ESTALE", `session ${session.id} has ended`);
}

function at({ session, op }: ChangingRequest<unknown>): string {
  return `request ${String(op.sequence)} of slot ${String(op.slot)} of session ${session.id}`;
}

function answerOf({ outcome, beside }: Settled): unknown {
  const value = valueOf(outcome);
  return beside === undefined ? value : { ...(value as object), ...beside };
}

function valueOf(outcome: Outcome | undefined): unknown {
  if (outcome === undefined) throw new FsError("EIO", "a request without an outcome");
  if ("reply" in outcome) return outcome.reply;
  throw new FsError(outcome.errno, outcome.context);
}

/** The message without the errno in front, which a new FsError adds again. */
function contextOf(error: FsError): string {
  return error.message.slice(error.errno.length + 2);
}

function readSlot(store: MetadataStore, session: SessionId, slot: number): Slot {
  const found = store.get(keys.reply(session, slot));
  if (found === undefined) return { method: "", sequence: 0, outcome: undefined, pending: undefined };
  const { method, sequence, reply } = decodeReply(found);
  return { method, sequence, outcome: decodeOutcome(reply), pending: undefined };
}

/** Plain MessagePack, whose 64-bit integers come back as bigint: so do times. */
const codec = new Packr({ useRecords: false });
/** A remembered context stays within a record. */
const contextLengthMax = 1_000;

function encodeOutcome(outcome: Outcome): Buffer {
  return codec.pack(
    "reply" in outcome ? [1, outcome.reply] : [0, outcome.errno, outcome.context.slice(0, contextLengthMax)],
  );
}

function decodeOutcome(bytes: Buffer): Outcome {
  // A copy: what is unpacked may hold views, and the store's buffer is borrowed.
  const [ok, first, context] = codec.unpack(Buffer.from(bytes)) as [number, unknown, unknown];
  if (ok === 1) return { reply: first };
  return { errno: isErrnoName(first) ? first : "EIO", context: String(context) };
}
