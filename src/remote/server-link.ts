/**
 * The connection to the name server that is always there again: connects, has the session opened on it, and starts over
 * when it breaks. Calls that find it broken wait here, first come first served.
 *
 * Invariants: `peer` is set only while a session is open on it and everybody who had to know knows; `era` counts the
 * sessions: a call that was sent in one era is never sent again in another. One attempt at a time; the first one after a
 * break is made at once, then pauses grow to `limits.reconnectMillisMax`.
 */
import { sleep, type Clock } from "../base/clock.ts";
import { errnoOf, FsError } from "../base/errno.ts";
import { limits } from "../base/limits.ts";
import type { Log } from "../base/log.ts";
import type { Random } from "../base/random.ts";
import type { NameServerMethods } from "../protocol/name-server.ts";
import type { Address, Peer } from "../rpc/types.ts";
import { createBackOff } from "./back-off.ts";
import { addressName } from "./connect.ts";
import type { ServerPlaces } from "./server-places.ts";
import { WaitingLine, type WaitOptions } from "./waiting-line.ts";

export type ServerPeer = Peer<NameServerMethods>;

export interface LinkOptions {
  readonly places: ServerPlaces;
  /** Names in errors what is looked for. */
  readonly name: string;
  /** Connects, within a bounded time. */
  readonly dial: (address: Address, signal: AbortSignal) => Promise<ServerPeer>;
  /** Opens or resumes the session on a new connection; calls `beginEra` if the session is a new one. */
  readonly enter: (peer: ServerPeer) => Promise<void>;
  /** The connection is in use; the function returned is called when it is not any more. */
  readonly stay: (peer: ServerPeer) => () => void;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}

/** A connection that lived for less is no reason to begin again with short pauses. */
const steadyMillis = 1_000;
/** A server that lets nobody in for so long: perhaps there is another one; and how often that is looked up then. */
const patienceMillisFirst = 3_000;
const lookMillis = 1_000;
/** Refusals that only an operator can change. */
const hopeless: ReadonlySet<string> = new Set(["EPERM", "EACCES", "EPROTO"]);

export class ServerLink {
  /** The open connection, or undefined while calls have to wait (`ready`). */
  peer: ServerPeer | undefined;
  era = 0;
  readonly #options: LinkOptions;
  readonly #closing = new AbortController();
  readonly #line: WaitingLine<ServerPeer>;
  #running: Promise<void> | undefined;
  #isEntering = false;
  #patienceMillis = patienceMillisFirst;
  #lastError: Error | undefined;

  constructor(options: LinkOptions) {
    this.#options = options;
    this.#line = new WaitingLine(options.clock, options.name, limits.waitingCallsMax);
  }

  /**
   * Starts connecting. Resolves with the first success; rejects when that is hopeless, when no server is there for
   * `reachMillis`, or when one does not let this client in for `enterMillis` more.
   */
  async open(reachMillis: number, enterMillis: number, signal: AbortSignal | undefined): Promise<void> {
    this.#running = this.#run();
    const until = this.#options.clock.monotonicMillis() + reachMillis;
    try {
      await this.ready({ until, signal }).catch((error: unknown) => {
        if (errnoOf(error) === "ETIMEDOUT" && this.#isEntering)
          return this.ready({ until: until + enterMillis, signal });
        throw error;
      });
    } catch (error) {
      await this.close();
      if (errnoOf(error) !== "ETIMEDOUT" || this.#lastError === undefined) throw error;
      throw new FsError("ETIMEDOUT", `${(error as Error).message}: ${this.#lastError.message}`, {
        cause: this.#lastError,
      });
    }
  }

  /**
   * Waits for an open connection. Rejects as WaitingLine does, with EIO if the session of `era` is lost, and with
   * ENOTCONN after `close`.
   */
  ready(options: WaitOptions): Promise<ServerPeer> {
    const closing = this.#closing.signal;
    if (closing.aborted) return Promise.reject(closing.reason as Error);
    if (options.era !== undefined && options.era !== this.era) return Promise.reject(sessionLost());
    return this.peer === undefined ? this.#line.wait(options) : Promise.resolve(this.peer);
  }

  /** A call found this connection broken, or without a session. */
  gone(peer: ServerPeer, why: string): void {
    if (this.peer === peer) this.peer = undefined;
    if (peer.isOpen) peer.close(why);
  }

  /** A new session has replaced the one that was: what was bound to that fails. */
  beginEra(): void {
    this.era++;
    for (const waiter of this.#line.all()) {
      if (waiter.era !== undefined && waiter.era !== this.era) waiter.fail(sessionLost());
    }
  }

  async close(): Promise<void> {
    if (!this.#isClosing) this.#closing.abort(new FsError("ENOTCONN", "the name server client has been closed"));
    this.#line.failAll(this.#closing.signal.reason as Error);
    if (this.peer !== undefined) this.gone(this.peer, "closed");
    await this.#running;
  }

  get waiting(): number {
    return this.#line.size;
  }

  get #isClosing(): boolean {
    return this.#closing.signal.aborted;
  }

  async #run(): Promise<void> {
    const { clock, random } = this.#options;
    const backOff = createBackOff(random, { firstMillis: 50, maxMillis: limits.reconnectMillisMax });
    let rounds = 0;
    for (;;) {
      const livedMillis = await this.#round();
      rounds = livedMillis === undefined ? rounds + 1 : 0;
      if (livedMillis === undefined) this.#failed(rounds);
      else if (livedMillis >= steadyMillis) backOff.reset();
      // All addresses are tried before there is a pause.
      await sleep(clock, backOff.next(), this.#closing.signal).catch(() => undefined);
      if (this.#isClosing) return;
    }
  }

  /** Tries one address after the other. Resolves with how long the connection to one lived; undefined: none did. */
  async #round(): Promise<number | undefined> {
    for await (const address of this.#options.places.round(this.#closing.signal)) {
      if (this.#isClosing) return undefined;
      try {
        return await this.#attempt(address);
      } catch (error) {
        this.#lastError = error as Error;
        if (this.era === 0 && hopeless.has(errnoOf(error))) this.#line.failAll(error as Error);
      }
    }
    return undefined;
  }

  /** One connection from its opening to its end. Resolves with how long it lived, rejects if it never came to life. */
  async #attempt(address: Address): Promise<number> {
    const { clock, places, dial, enter, stay, log } = this.#options;
    const closing = this.#closing.signal;
    const peer = await dial(address, closing);
    const onClosing = (): void => {
      peer.close("closed");
    };
    closing.addEventListener("abort", onClosing, { once: true });
    try {
      if (closing.aborted) throw closing.reason as Error;
      this.#isEntering = true;
      await this.#watched(peer, address, enter(peer));
      if (!peer.isOpen) throw new FsError("ECONNRESET", "the connection broke while the session was being opened");
      const since = clock.monotonicMillis();
      this.#patienceMillis = patienceMillisFirst;
      places.reached(address);
      this.peer = peer;
      const leave = stay(peer);
      for (const waiter of this.#line.all()) waiter.go(peer);
      const reason = await peer.closed;
      leave();
      if (!this.#isClosing) {
        log.warn({ server: addressName(address), reason }, "the connection to the name server broke, connecting again");
      }
      return clock.monotonicMillis() - since;
    } finally {
      this.#isEntering = false;
      closing.removeEventListener("abort", onClosing);
      this.gone(peer, "the session could not be opened");
    }
  }

  /**
   * Settles with `entering`. When that takes long the next of the given addresses is tried: this server may be one that
   * was replaced, and waits for nodes in vain. If there is no other, storage nodes are asked whether another server has
   * taken over. The next time it may take longer.
   */
  async #watched(peer: ServerPeer, address: Address, entering: Promise<void>): Promise<void> {
    const { clock, places, log } = this.#options;
    const entered = new AbortController();
    const watching = (async () => {
      await sleep(clock, this.#patienceMillis, entered.signal);
      while (!places.hasOthers(address) && !(await places.isOvertaken(address, entered.signal)))
        await sleep(clock, lookMillis, entered.signal);
      if (entered.signal.aborted) return;
      this.#patienceMillis *= 2;
      log.warn({ server: addressName(address) }, "the name server lets nobody in: another one is tried");
      peer.close("another name server is tried");
    })().catch(() => undefined);
    try {
      await entering;
    } finally {
      entered.abort();
      await watching;
    }
  }

  #failed(rounds: number): void {
    // An outage of hours is one line when it begins and then one in a hundred.
    if (this.#isClosing || (rounds !== 1 && rounds % 100 !== 0)) return;
    this.#options.log.warn({ err: this.#lastError, rounds }, "the name server cannot be reached, trying on");
  }
}

export function sessionLost(): FsError {
  return new FsError("EIO", "the session at the name server was lost: whether this was done is unknown");
}
