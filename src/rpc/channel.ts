/**
 * One end of an open connection: calls out (`caller.ts`), calls in (`service.ts`), and which frame is whose. Tables of
 * calls change only in the turn of the event loop in which a frame arrives, so that a reply and a call right behind it
 * are seen in their order. A peer that breaks the protocol, or its bounds, is closed.
 */
import { unreachable } from "../base/assert.ts";
import type { BufferPool } from "../base/buffer-pool.ts";
import type { Clock } from "../base/clock.ts";
import type { Log } from "../base/log.ts";
import { Caller } from "./caller.ts";
import { decodeFrame, encodeFrame, FrameError, frameKinds, payloadOfReply, type Frame } from "./frames.ts";
import { Inbox, replyKey, requestKey } from "./inbox.ts";
import { Outbox } from "./outbox.ts";
import { Service, type AnyHandlers } from "./service.ts";
import type { Answer, CallOptions, Connection, Hello, MethodTable, Peer, ReplyOf, RequestOf } from "./types.ts";

const payloadBytesMax = 64 * 1024 * 1024;

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
  readonly #log: Log;
  readonly #inbox: Inbox;
  readonly #outbox: Outbox;
  readonly #service: Service;
  readonly #caller: Caller;
  #open = true;
  #resolveClosed!: (reason: string) => void;

  constructor(options: ChannelOptions) {
    this.remote = options.remote;
    this.#connection = options.connection;
    this.#log = options.log;
    this.#inbox = new Inbox(options.pool);
    this.#outbox = new Outbox(options.connection);
    this.#caller = new Caller({
      inbox: this.#inbox,
      outbox: this.#outbox,
      table: options.remoteTable,
      clock: options.clock,
      peerName: this.#name,
    });
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
    return this.#caller.call(method, request, options) as Promise<Answer<ReplyOf<MethodTable, M>>>;
  }

  notify<M extends string>(method: M, request: RequestOf<MethodTable, M>): void {
    this.#outbox.sendFrame(encodeFrame(frameKinds.notice, 0, { message: [method, request] }));
  }

  close(reason: string): void {
    if (!this.#open) return;
    this.#connection.close(reason);
    this.#ended(reason);
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
      case frameKinds.reply:
        this.#caller.replied(frame);
        return;
      case frameKinds.error:
        this.#caller.failed(frame);
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
    this.#outbox.close();
    this.#inbox.close();
    this.#service.close();
    this.#caller.close(reason);
    this.#resolveClosed(reason);
  }
}
