/**
 * Calls to the name server over whatever connection there is, sent again over the next one; changing calls under the
 * same token, so that they happen exactly once.
 *
 * When connected, a call is one `peer.call` and one reaction to it; everything else happens only after something broke.
 * A changing call that was sent is followed until its reply has come, whoever has stopped waiting for it: only then its
 * slot is free.
 */
import type { Clock } from "../base/clock.ts";
import { FsError } from "../base/errno.ts";
import { nameServerMethods, type NameServerMethods } from "../protocol/name-server.ts";
import type { Answer, CallOptions, ReplyOf, RequestOf } from "../rpc/types.ts";
import { giveUp } from "./give-up.ts";
import { sessionLost, type ServerLink, type ServerPeer } from "./server-link.ts";
import { Slots } from "./slots.ts";
import type { Changing, NameServerOptions } from "./types.ts";

type Methods = NameServerMethods;
export type Reading = Exclude<keyof Methods, Changing>;

/** Shared: no deadline, as a broken connection is found by heartbeats. */
const patient: CallOptions = { deadlineMillis: Infinity };
const noSession = "the name server has no session on this connection";

export class ServerCalls {
  readonly #link: ServerLink;
  readonly #clock: Clock;
  /** How long a call waits for a connection, or for a slot. */
  readonly #timeoutMillis: number;
  #slots: Slots;

  constructor(options: { link: ServerLink; clock: Clock; timeoutMillis: number }) {
    this.#link = options.link;
    this.#clock = options.clock;
    this.#timeoutMillis = options.timeoutMillis;
    this.#slots = new Slots(options.clock);
  }

  ask<M extends Reading>(
    method: M,
    request: RequestOf<Methods, M>,
    options?: NameServerOptions,
  ): Promise<ReplyOf<Methods, M>> {
    const { peer, era } = this.#link;
    if (peer === undefined) return this.#askLater(undefined, method, request, options);
    return peer.call(method, request, callOptions(options)).then(replyOf, (error: unknown) => {
      this.#checkBroken(peer, error);
      return this.#askLater(era, method, request, options);
    });
  }

  change<M extends Changing>(
    method: M,
    request: Omit<RequestOf<Methods, M>, "op">,
    options?: NameServerOptions,
  ): Promise<ReplyOf<Methods, M>> {
    if (options?.signal?.aborted === true) return Promise.reject(options.signal.reason as Error);
    const { peer } = this.#link;
    const slots = this.#slots;
    const slot = peer === undefined ? undefined : slots.tryTake();
    if (peer === undefined || slot === undefined) return this.#changeLater(method, request, options);
    return this.#follow(this.#send(peer, slots, slot, method, request), options);
  }

  /** The session is over (`error` says why): its slots with it. A new one begins with fresh slots. */
  endSession(error: Error): void {
    this.#slots.fail(error);
    this.#slots = new Slots(this.#clock);
  }

  /** Waits for a connection and asks, until there is an answer. `era`: in which it was sent already. */
  async #askLater<M extends Reading>(
    era: number | undefined,
    method: M,
    request: RequestOf<Methods, M>,
    options: NameServerOptions | undefined,
  ): Promise<ReplyOf<Methods, M>> {
    const until = this.#until(options);
    const malformed = era === undefined ? undefined : malformation(method, request);
    if (malformed !== undefined) throw malformed;
    for (;;) {
      const peer = await this.#link.ready({ era, until, signal: options?.signal });
      era = this.#link.era;
      try {
        const { reply } = await peer.call(method, request, callOptions(options));
        return reply;
      } catch (error) {
        this.#checkBroken(peer, error);
      }
    }
  }

  /** Waits for a slot and a connection, in the era in which it was called, then sends. */
  async #changeLater<M extends Changing>(
    method: M,
    request: Omit<RequestOf<Methods, M>, "op">,
    options: NameServerOptions | undefined,
  ): Promise<ReplyOf<Methods, M>> {
    const slots = this.#slots;
    const wait = { era: this.#link.era, until: this.#until(options), signal: options?.signal };
    const slot = await slots.take(wait);
    let peer: ServerPeer;
    try {
      peer = await this.#link.ready(wait);
    } catch (error) {
      slots.give(slot);
      throw error;
    }
    return this.#follow(this.#send(peer, slots, slot, method, request), options);
  }

  /** Draws the sequence number and sees the call through to its reply. */
  #send<M extends Changing>(
    peer: ServerPeer,
    slots: Slots,
    slot: number,
    method: M,
    request: Omit<RequestOf<Methods, M>, "op">,
  ): Promise<ReplyOf<Methods, M>> {
    const whole = { ...request, op: slots.next(slot) } as RequestOf<Methods, M>;
    const { era } = this.#link;
    return peer.call(method, whole, patient).then(
      ({ reply }) => {
        slots.give(slot);
        return reply;
      },
      (error: unknown) => {
        if (!isBroken(error)) {
          // What is not an FsError comes from this side: it could not be put on the wire.
          if (!(error instanceof FsError)) slots.undo(slot);
          slots.give(slot);
        }
        this.#checkBroken(peer, error);
        const again = this.#sendAgain({ era, slots, slot }, method, whole);
        return giveUp(again, { clock: this.#clock, millis: this.#timeoutMillis });
      },
    );
  }

  async #sendAgain<M extends Changing>(
    { era, slots, slot }: { era: number; slots: Slots; slot: number },
    method: M,
    whole: RequestOf<Methods, M>,
  ): Promise<ReplyOf<Methods, M>> {
    try {
      const malformed = malformation(method, whole);
      if (malformed !== undefined) {
        slots.undo(slot);
        throw malformed;
      }
      for (;;) {
        const peer = await this.#link.ready({ era });
        if (era !== this.#link.era) throw sessionLost();
        try {
          const { reply } = await peer.call(method, whole, patient);
          return reply;
        } catch (error) {
          this.#checkBroken(peer, error);
        }
      }
    } finally {
      slots.give(slot);
    }
  }

  /** The caller's view of a call that goes on by itself. */
  #follow<T>(sent: Promise<T>, options: NameServerOptions | undefined): Promise<T> {
    if (options?.signal === undefined && options?.deadlineMillis === undefined) return sent;
    return giveUp(sent, { clock: this.#clock, millis: options.deadlineMillis, signal: options.signal });
  }

  /** Throws the error unless it says that there is no answer because there was no connection, or no session on it. */
  #checkBroken(peer: ServerPeer, error: unknown): void {
    if (!isBroken(error)) throw error;
    this.#link.gone(peer, noSession);
  }

  /** Until when (monotonic) a call waits before it is sent. */
  #until(options: NameServerOptions | undefined): number {
    return this.#clock.monotonicMillis() + Math.min(this.#timeoutMillis, options?.deadlineMillis ?? Infinity);
  }
}

function replyOf<R>(answer: Answer<R>): R {
  return answer.reply;
}

function callOptions(options: NameServerOptions | undefined): CallOptions {
  if (options === undefined) return patient;
  const deadlineMillis = options.deadlineMillis ?? Infinity;
  return options.signal === undefined ? { deadlineMillis } : { deadlineMillis, signal: options.signal };
}

/**
 * A request that the server has to refuse makes it close the connection, on which others suffer; it must not be sent
 * again for ever. Checked only after a connection broke under it.
 */
function malformation<M extends keyof Methods>(method: M, request: RequestOf<Methods, M>): FsError | undefined {
  try {
    nameServerMethods[method].request(request);
    return undefined;
  } catch (cause) {
    return new FsError("EINVAL", `a malformed request ${method}`, { cause });
  }
}

function isBroken(error: unknown): boolean {
  return error instanceof FsError && (error.errno === "ECONNRESET" || error.errno === "ENOTCONN");
}
