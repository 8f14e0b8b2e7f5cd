/**
 * The calling half of a channel: sends requests, waits for what answers them, gives up at a deadline or when told so.
 *
 * Bounds: `limits.callsInFlightMax` calls and 48 MiB of payload under way, further callers wait. Deadlines are checked by
 * one timer, every `sweepMillis`.
 */
import type { Clock, Timer } from "../base/clock.ts";
import { errnoOf, FsError, isErrnoName } from "../base/errno.ts";
import { limits } from "../base/limits.ts";
import { encodeFrame, FrameError, frameKinds, type Frame } from "./frames.ts";
import { replyKey, type Inbox } from "./inbox.ts";
import { totalBytes, type Outbox } from "./outbox.ts";
import type { Answer, CallOptions, MethodTable, Payload } from "./types.ts";

interface PendingCall {
  readonly method: string;
  readonly deadline: number;
  readonly settle: (error: Error | undefined, answer?: Answer<unknown>) => void;
}

/** What may be outstanding in payloads sent with calls, before further ones wait. */
const callPayloadBytesMax = 48 * 1024 * 1024;
const sweepMillis = 100;

export interface CallerOptions {
  readonly inbox: Inbox;
  readonly outbox: Outbox;
  /** What the other side answers. */
  readonly table: MethodTable;
  readonly clock: Clock;
  /** Whom error messages name. */
  readonly peerName: string;
}

export class Caller {
  readonly #options: CallerOptions;
  readonly #pending = new Map<number, PendingCall>();
  readonly #waiting: (() => void)[] = [];
  #callPayloadBytes = 0;
  #lastCall = 0;
  #sweep: Timer | undefined;
  #isClosed = false;

  constructor(options: CallerOptions) {
    this.#options = options;
  }

  call(method: string, request: unknown, options: CallOptions): Promise<Answer<unknown>> {
    return new Promise((resolve, reject) => {
      const start = (): void => {
        this.#start(method, request, options, resolve, reject);
      };
      const payloadBytes = options.payload === undefined ? 0 : totalBytes(options.payload);
      if (this.#hasRoom(payloadBytes)) start();
      else this.#waiting.push(start);
    });
  }

  /** Throws FrameError when the reply breaks the protocol. */
  replied(frame: Frame): void {
    const pending = this.#pending.get(frame.call);
    if (pending === undefined) return;
    let reply: unknown;
    try {
      reply = this.#options.table[pending.method]?.reply(frame.message);
    } catch (cause) {
      throw new FrameError(`the reply to ${pending.method} is malformed`, { cause });
    }
    this.#options.inbox.begin(replyKey(frame.call), frame.payloadBytes, frame.payload, (payload: Payload) => {
      pending.settle(undefined, { reply, payload });
    });
  }

  failed(frame: Frame): void {
    this.#pending.get(frame.call)?.settle(remoteError(frame.message));
  }

  /** The connection is gone: every call fails. */
  close(reason: string): void {
    this.#isClosed = true;
    this.#sweep?.cancel();
    for (const { method, settle } of [...this.#pending.values()]) {
      settle(new FsError("ECONNRESET", `${method}: the connection to ${this.#options.peerName} broke: ${reason}`));
    }
    this.#startWaiting();
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
    if (this.#isClosed) {
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
      this.#options.outbox.sendFrame(encodeFrame(frameKinds.cancel, call));
      settle(signal?.reason as Error);
    };
    const settle = (error: Error | undefined, answer?: Answer<unknown>): void => {
      this.#pending.delete(call);
      this.#options.inbox.drop(replyKey(call));
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
    const deadline = this.#options.clock.monotonicMillis() + (options.deadlineMillis ?? limits.callMillis);
    this.#callPayloadBytes += payloadBytes;
    this.#pending.set(call, { method, deadline, settle });
    this.#scheduleSweep();
    try {
      if (payload === undefined) {
        this.#options.outbox.sendFrame(encodeFrame(frameKinds.request, call, { message: [method, request] }));
      } else {
        this.#options.outbox.sendWithPayload(frameKinds.request, call, [method, request], payload, () => {
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
    while (this.#waiting.length > 0 && (this.#isClosed || this.#hasRoom(limits.blockBytesMax)))
      this.#waiting.shift()?.();
  }

  #scheduleSweep(): void {
    this.#sweep ??= this.#options.clock.after(sweepMillis, () => {
      this.#sweep = undefined;
      const now = this.#options.clock.monotonicMillis();
      for (const [call, { method, deadline, settle }] of this.#pending) {
        if (deadline > now) continue;
        this.#options.outbox.sendFrame(encodeFrame(frameKinds.cancel, call));
        settle(new FsError("ETIMEDOUT", `${method}: no reply from ${this.#options.peerName}`));
      }
      if (this.#pending.size > 0) this.#scheduleSweep();
    });
  }
}

function remoteError(message: unknown): Error {
  if (!Array.isArray(message)) return new FsError("EPROTO", "a malformed error");
  const [errno, context] = message as unknown[];
  const text = typeof context === "string" ? context : "";
  return new FsError(isErrnoName(errno) ? errno : errnoOf(undefined), text.replace(/^E[A-Z0-9]+: /, ""));
}
