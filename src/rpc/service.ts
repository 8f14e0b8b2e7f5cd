/** The serving half of a channel: validates, runs handlers, answers. */
import { FsError } from "../base/errno.ts";
import { limits } from "../base/limits.ts";
import type { Log } from "../base/log.ts";
import { encodeFrame, FrameError, frameKinds } from "./frames.ts";
import { emptyPayload } from "./inbox.ts";
import type { Outbox } from "./outbox.ts";
import {
  WithPayload,
  type Connection,
  type HandlerContext,
  type MethodTable,
  type Payload,
  type Peer,
} from "./types.ts";

export type AnyHandler = (request: unknown, context: HandlerContext<MethodTable>) => unknown;
export type AnyHandlers = Readonly<Record<string, AnyHandler>>;

/** Reply payload that waits to be sent, beyond which no further request is read from this connection. */
const replyBytesMax = 64 * 1024 * 1024;

export class Service {
  readonly #handlers: AnyHandlers;
  readonly #table: MethodTable;
  readonly #outbox: Outbox;
  readonly #connection: Connection;
  readonly #peer: Peer<MethodTable>;
  readonly #log: Log;
  /** Calls being served; the controller exists once somebody asked for the signal. */
  readonly #active = new Map<number, { controller: AbortController | undefined }>();
  #paused = false;

  constructor(options: {
    handlers: AnyHandlers;
    ownTable: MethodTable;
    outbox: Outbox;
    connection: Connection;
    peer: Peer<MethodTable>;
    log: Log;
  }) {
    this.#handlers = options.handlers;
    this.#table = options.ownTable;
    this.#outbox = options.outbox;
    this.#connection = options.connection;
    this.#peer = options.peer;
    this.#log = options.log;
  }

  /** Throws FrameError when the caller breaks the protocol. */
  serve(call: number, message: unknown, payload: Payload): void {
    if (this.#active.size >= limits.callsInFlightMax) throw new FrameError("too many calls at once");
    if (this.#active.has(call)) throw new FrameError(`call ${String(call)} twice`);
    const { method, handler, request } = this.#parse(message);
    const state: { controller: AbortController | undefined } = { controller: undefined };
    this.#active.set(call, state);
    let result: unknown;
    try {
      result = handler(request, contextOf(this.#peer, payload, state));
    } catch (error) {
      this.#fail(call, method, error);
      return;
    }
    if (result instanceof Promise) {
      result.then(
        (value) => {
          this.#answerSafely(call, method, value);
        },
        (error: unknown) => {
          this.#fail(call, method, error);
        },
      );
    } else this.#answerSafely(call, method, result);
  }

  notice(message: unknown): void {
    const { method, handler, request } = this.#parse(message);
    const failed = (error: unknown): void => {
      this.#log.warn({ method, err: error }, "a notice could not be handled");
    };
    try {
      const result = handler(request, contextOf(this.#peer, emptyPayload, { controller: undefined }));
      if (result instanceof Promise) result.catch(failed);
    } catch (error) {
      failed(error);
    }
  }

  cancel(call: number): void {
    this.#active.get(call)?.controller?.abort(new FsError("ECANCELED", "cancelled by the caller"));
  }

  close(): void {
    for (const { controller } of this.#active.values()) {
      controller?.abort(new FsError("ECONNRESET", "the caller's connection broke"));
    }
    this.#active.clear();
  }

  #parse(message: unknown): { method: string; handler: AnyHandler; request: unknown } {
    if (!Array.isArray(message) || typeof message[0] !== "string") throw new FrameError("a request without a method");
    const method = message[0];
    const spec = Object.hasOwn(this.#table, method) ? this.#table[method] : undefined;
    const handler = Object.hasOwn(this.#handlers, method) ? this.#handlers[method] : undefined;
    if (spec === undefined || handler === undefined) throw new FrameError(`unknown method ${JSON.stringify(method)}`);
    try {
      return { method, handler, request: spec.request(message[1]) };
    } catch (cause) {
      throw new FrameError(`a malformed request ${method}`, { cause });
    }
  }

  /** A reply that cannot be encoded (too large) becomes an error. */
  #answerSafely(call: number, method: string, value: unknown): void {
    const isActive = this.#active.has(call);
    try {
      this.#answer(call, value, isActive);
      this.#active.delete(call);
    } catch (error) {
      this.#fail(call, method, error);
    }
  }

  #answer(call: number, value: unknown, isActive: boolean): void {
    if (value instanceof WithPayload) {
      const done = (): void => {
        value.release?.();
        this.#resume();
      };
      if (!isActive) {
        done();
        return;
      }
      this.#outbox.sendWithPayload(frameKinds.reply, call, value.reply, value.payload, done);
      if (this.#outbox.queuedBytes > replyBytesMax && !this.#paused) {
        this.#paused = true;
        this.#connection.pause();
      }
    } else if (isActive) this.#outbox.sendFrame(encodeFrame(frameKinds.reply, call, { message: value }));
  }

  #resume(): void {
    if (!this.#paused || this.#outbox.queuedBytes > replyBytesMax / 2) return;
    this.#paused = false;
    this.#connection.resume();
  }

  #fail(call: number, method: string, error: unknown): void {
    const isActive = this.#active.delete(call);
    let answer: [string, string];
    if (error instanceof FsError) answer = [error.errno, error.message];
    else {
      this.#log.error({ method, err: error, peer: this.#peer.remote.id }, "a handler failed unexpectedly");
      answer = ["EIO", `${method}: unexpected error, see the log of the other side`];
    }
    if (isActive) this.#outbox.sendFrame(encodeFrame(frameKinds.error, call, { message: answer }));
  }
}

function contextOf(
  peer: Peer<MethodTable>,
  payload: Payload,
  state: { controller: AbortController | undefined },
): HandlerContext<MethodTable> {
  return {
    peer,
    payload,
    get signal() {
      state.controller ??= new AbortController();
      return state.controller.signal;
    },
  };
}
