/**
 * One end of an open connection: calls out, calls in. The table of pending calls changes only in the turn of the event
 * loop in which a frame arrives, so that a reply and a call right behind it are seen in their order.
 *
 * Bounds: `limits.callsInFlightMax` calls each way (callers wait, a peer that sends more is closed), 64 MiB of payload
 * each way. Deadlines are checked by one timer per connection, every `sweepMillis`.
 */
import { unreachable } from "../base/assert.ts";
import type { BufferPool } from "../base/buffer-pool.ts";
import type { Clock, Timer } from "../base/clock.ts";
import { errnoOf, FsError, isErrnoName } from "../base/errno.ts";
import { limits } from "../base/limits.ts";
import type { Log } from "../base/log.ts";
import { decodeFrame, encodeFrame, FrameError, frameKinds, payloadOfReply, type Frame } from "./frames.ts";
import { Inbox } from "./inbox.ts";
import { Outbox, totalBytes } from "./outbox.ts";
import { Service, type AnyHandlers } from "./service.ts";
import type {
  Answer,
  CallOptions,
  Connection,
  Hello,
  MethodTable,
  Payload,
  Peer,
  ReplyOf,
  RequestOf,
} from "./types.ts";

interface PendingCall {
  readonly method: string;
  readonly deadline: number;
  readonly settle: (error: Error | undefined, answer?: Answer<unknown>) => void;
}

/** What may be outstanding in payloads sent with calls, before further ones wait. */
const callPayloadBytesMax = 48 * 1024 * 1024;
const payloadBytesMax = 64 * 1024 * 1024;
const sweepMillis = 100;

export interface ChannelOptions {
  readonly connection: Connection;
  readonly remote: Hello;
  readonly remoteTable: MethodTable;
  readonly ownTable: MethodTable;
  readonly handlers: AnyHandlers;
  readonly clock: Clock;
  readonly log: Log;
  readonly pool: BufferPool;
}

export class Channel implements Peer<MethodTable> {
  readonly remote: Hello;
  readonly closed: Promise<string>;
  readonly #connection: Connection;
  readonly #remoteTable: MethodTable;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #inbox: Inbox;
  readonly #outbox: Outbox;
  readonly #service: Service;
  readonly #pending = new Map<number, PendingCall>();
  readonly #waiting: (() => void)[] = [];
  #callPayloadBytes = 0;
  #lastCall = 0;
  #sweep: Timer | undefined;
  #open = true;
  #resolveClosed!: (reason: string) => void;

  constructor(options: ChannelOptions) {
    this.remote = options.remote;
    this.#connection = options.connection;
    this.#remoteTable = options.remoteTable;
    this.#clock = options.clock;
    this.#log = options.log;
    this.#inbox = new Inbox(options.pool);
    this.#outbox = new Outbox(options.connection);
    this.#service = new Service({ ...options, peer: this, outbox: this.#outbox });
    this.closed = new Promise((resolve) => {
      this.#resolveClosed = resolve;
    });
    this.#connection.onMessage = (bytes) => {
      this.#received(bytes);
    };
    this.#connection.takesPieces = () => this.#inbox.expectsRaw;
    this.#connection.onPiece = (piece, isLast) => {
      this.#receivedPiece(piece, isLast);
    };
    this.#connection.onClose = (reason) => {
      this.#ended(reason);
    };
  }

  /** Handles what arrived between the handshake and now; once, when the peer's owner knows it. */
  begin(early: readonly Buffer[]): void {
    for (const bytes of early) this.#received(bytes);
  }

  get isOpen(): boolean {
    return this.#open;
  }

  call<M extends string>(
    method: M,
    request: RequestOf<MethodTable, M>,
    options: CallOptions = {},
  ): Promise<Answer<ReplyOf<MethodTable, M>>> {
    return new Promise((resolve, reject) => {
      const start = (): void => {
        this.#start(method, request, options, resolve, reject);
      };
      const payloadBytes = options.payload === undefined ? 0 : totalBytes(options.payload);
      if (this.#hasRoom(payloadBytes)) start();
      else this.#waiting.push(start);
    });
  }

  notify<M extends string>(method: M, request: RequestOf<MethodTable, M>): void {
    this.#outbox.sendFrame(encodeFrame(frameKinds.notice, 0, { message: [method, request] }));
  }

  close(reason: string): void {
    if (!this.#open) return;
    this.#connection.close(reason);
    this.#ended(reason);
  }

  #hasRoom(payloadBytes: number): boolean {
    if (this.#pending.size >= limits.callsInFlightMax) return false;
    return (
      payloadBytes === 0 || this.#callPayloadBytes === 0 || this.#callPayloadBytes + payloadBytes <= callPayloadBytesMax
    );
  }

  #start(
    method: string,
    request: unknown,
    options: CallOptions,
    resolve: (answer: Answer<unknown>) => void,
    reject: (error: Error) => void,
  ): void {
    const { signal, payload } = options;
    if (!this.#open) {
      reject(new FsError("ECONNRESET", `${method}: the connection is closed`));
      return;
    }
    if (signal?.aborted === true) {
      reject(signal.reason as Error);
      return;
    }
    const call = this.#nextCall();
    const payloadBytes = payload === undefined ? 0 : totalBytes(payload);
    let sent = payload === undefined;
    let outcome: (() => void) | undefined;
    // The payload is borrowed until it has left, also when the answer (an error) comes first.
    const finish = (): void => {
      if (sent) outcome?.();
    };
    const onAbort = (): void => {
      this.#outbox.sendFrame(encodeFrame(frameKinds.cancel, call));
      settle(signal?.reason as Error);
    };
    const settle = (error: Error | undefined, answer?: Answer<unknown>): void => {
      this.#pending.delete(call);
      this.#inbox.drop(replyKey(call));
      this.#callPayloadBytes -= payloadBytes;
      signal?.removeEventListener("abort", onAbort);
      outcome = () => {
        if (error === undefined) resolve(answer as Answer<unknown>);
        else reject(error);
      };
      finish();
      this.#startWaiting();
    };
    signal?.addEventListener("abort", onAbort, { once: true });
    const deadline = this.#clock.monotonicMillis() + (options.deadlineMillis ?? limits.callMillis);
    this.#callPayloadBytes += payloadBytes;
    this.#pending.set(call, { method, deadline, settle });
    this.#scheduleSweep();
    try {
      if (payload === undefined) {
        this.#outbox.sendFrame(encodeFrame(frameKinds.request, call, { message: [method, request] }));
      } else {
        this.#outbox.sendWithPayload(frameKinds.request, call, [method, request], payload, () => {
          sent = true;
          finish();
        });
      }
    } catch (error) {
      // It could not be encoded: nothing of it has left.
      sent = true;
      settle(error as Error);
    }
  }

  #nextCall(): number {
    do this.#lastCall = (this.#lastCall + 1) >>> 0;
    while (this.#pending.has(this.#lastCall));
    return this.#lastCall;
  }

  #startWaiting(): void {
    while (this.#waiting.length > 0 && (!this.#open || this.#hasRoom(limits.blockBytesMax))) this.#waiting.shift()?.();
  }

  #received(bytes: Buffer): void {
    if (!this.#open) return;
    try {
      if (this.#inbox.expectsRaw) this.#inbox.raw(bytes, true);
      else this.#dispatch(decodeFrame(bytes));
      if (this.#inbox.pendingBytes > payloadBytesMax) throw new FrameError("too many payloads at once");
    } catch (error) {
      this.#violated(error as Error);
    }
  }

  #receivedPiece(piece: Buffer, isLast: boolean): void {
    if (!this.#open) return;
    try {
      this.#inbox.raw(piece, isLast);
    } catch (error) {
      this.#violated(error as Error);
    }
  }

  #dispatch(frame: Frame): void {
    switch (frame.kind) {
      case frameKinds.request:
        this.#inbox.begin(requestKey(frame.call), frame.payloadBytes, frame.payload, (payload) => {
          this.#service.serve(frame.call, frame.message, payload);
        });
        return;
      case frameKinds.notice:
        this.#service.notice(frame.message);
        return;
      case frameKinds.cancel:
        this.#service.cancel(frame.call);
        return;
      case frameKinds.reply: {
        const pending = this.#pending.get(frame.call);
        if (pending !== undefined) this.#replied(pending, frame);
        return;
      }
      case frameKinds.error:
        this.#pending.get(frame.call)?.settle(remoteError(frame.message));
        return;
      case frameKinds.payload:
        this.#inbox.announce((frame.flags & payloadOfReply) !== 0 ? replyKey(frame.call) : requestKey(frame.call));
        return;
      case frameKinds.hello:
      case frameKinds.proof:
      case frameKinds.ready:
        throw new FrameError(`kind ${String(frame.kind)} after the handshake`);
      default:
        unreachable(frame.kind);
    }
  }

  #replied(pending: PendingCall, frame: Frame): void {
    let reply: unknown;
    try {
      reply = this.#remoteTable[pending.method]?.reply(frame.message);
    } catch (cause) {
      throw new FrameError(`the reply to ${pending.method} is malformed`, { cause });
    }
    this.#inbox.begin(replyKey(frame.call), frame.payloadBytes, frame.payload, (payload: Payload) => {
      pending.settle(undefined, { reply, payload });
    });
  }

  #scheduleSweep(): void {
    this.#sweep ??= this.#clock.after(sweepMillis, () => {
      this.#sweep = undefined;
      const now = this.#clock.monotonicMillis();
      for (const [call, { method, deadline, settle }] of this.#pending) {
        if (deadline > now) continue;
        this.#outbox.sendFrame(encodeFrame(frameKinds.cancel, call));
        settle(new FsError("ETIMEDOUT", `${method}: no reply from ${this.#name}`));
      }
      if (this.#pending.size > 0) this.#scheduleSweep();
    });
  }

  #violated(error: Error): void {
    const cause = error.cause instanceof Error ? `: ${error.cause.message}` : "";
    this.#log.warn(
      { peer: this.#name, problem: `${error.message}${cause}` },
      "closing a connection that breaks the protocol",
    );
    this.close(`protocol violation: ${error.message}`);
  }

  get #name(): string {
    return `${this.remote.role} ${this.remote.id} at ${this.#connection.remoteAddress}`;
  }

  #ended(reason: string): void {
    if (!this.#open) return;
    this.#open = false;
    this.#sweep?.cancel();
    this.#outbox.close();
    this.#inbox.close();
    this.#service.close();
    for (const { method, settle } of [...this.#pending.values()]) {
      settle(new FsError("ECONNRESET", `${method}: the connection to ${this.#name} broke: ${reason}`));
    }
    this.#startWaiting();
    this.#resolveClosed(reason);
  }
}

function requestKey(call: number): string {
  return `q${String(call)}`;
}
function replyKey(call: number): string {
  return `r${String(call)}`;
}

function remoteError(message: unknown): Error {
  if (!Array.isArray(message)) return new FsError("EPROTO", "a malformed error");
  const [errno, context] = message as unknown[];
  const text = typeof context === "string" ? context : "";
  return new FsError(isErrnoName(errno) ? errno : errnoOf(undefined), text.replace(/^E[A-Z0-9]+: /, ""));
}
