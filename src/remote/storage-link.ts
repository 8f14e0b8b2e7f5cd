/**
 * One storage node as this client knows it: its connection (opened at the first call, again after it broke), what is
 * under way, and whether it failed lately.
 *
 * A node that failed is suspect for a while, doubling up to `limits.nodeAvoidMillisMax`, until a call succeeds.
 */
import type { Clock } from "../base/clock.ts";
import { errnoOf, FsError } from "../base/errno.ts";
import type { NodeId } from "../base/ids.ts";
import { limits } from "../base/limits.ts";
import type { Log } from "../base/log.ts";
import type { StorageNodeMethods } from "../protocol/storage-node.ts";
import type { Address, Answer, CallOptions, Peer, ReplyOf, RequestOf } from "../rpc/types.ts";
import { addressName, isConnectionError } from "./connect.ts";

export type StoragePeer = Peer<StorageNodeMethods>;

export interface StorageLinkOptions {
  readonly id: NodeId;
  readonly address: Address;
  readonly dial: (address: Address) => Promise<StoragePeer>;
  readonly clock: Clock;
  readonly log: Log;
}

interface CallUnderWay {
  /** When (monotonic) it should long have settled. */
  readonly overdueAt: number;
}

const suspectMillisFirst = 500;
/** A call settles at its deadline, but not before its payload has left: a node that takes nothing is cut off. */
const overdueMillis = 1_000;

export class StorageLink {
  readonly #options: StorageLinkOptions;
  readonly #calls = new Set<CallUnderWay>();
  #peer: StoragePeer | undefined;
  #connecting: Promise<StoragePeer> | undefined;
  #bytesInFlight = 0;
  #failures = 0;
  #suspectUntil = -Infinity;
  /** When (monotonic) it last answered anything, or was first asked something after a rest. */
  #heardAt = -Infinity;
  #isClosed = false;

  constructor(options: StorageLinkOptions) {
    this.#options = options;
  }

  get address(): Address {
    return this.#options.address;
  }

  get bytesInFlight(): number {
    return this.#bytesInFlight;
  }

  get isBusy(): boolean {
    return this.#calls.size > 0;
  }

  get isSuspect(): boolean {
    return this.#suspectUntil > this.#options.clock.monotonicMillis();
  }

  /** See NodePool.call. */
  async call<M extends keyof StorageNodeMethods>(
    bytes: number,
    method: M,
    request: RequestOf<StorageNodeMethods, M>,
    options: CallOptions,
  ): Promise<Answer<ReplyOf<StorageNodeMethods, M>>> {
    const { clock } = this.#options;
    const sentAt = clock.monotonicMillis();
    if (this.#calls.size === 0) this.#heardAt = Math.max(this.#heardAt, sentAt);
    const under: CallUnderWay = {
      overdueAt: sentAt + limits.connectMillis + (options.deadlineMillis ?? limits.callMillis) + overdueMillis,
    };
    this.#calls.add(under);
    this.#bytesInFlight += bytes;
    let peer: StoragePeer | undefined;
    try {
      peer = this.#peer ?? (await this.#connected());
      const answer = await peer.call(method, request, options);
      this.#answered();
      return answer;
    } catch (error) {
      if (options.signal?.aborted === true) throw error;
      if (isConnectionError(error)) {
        this.suspect(error as Error);
        // Nothing at all came back meanwhile: the connection is dead, not busy.
        if (errnoOf(error) === "ETIMEDOUT" && this.#heardAt <= sentAt) peer?.close("it does not answer");
      } else this.#answered();
      throw error;
    } finally {
      this.#calls.delete(under);
      this.#bytesInFlight -= bytes;
    }
  }

  /** It does not do its work. */
  suspect(why: Error): void {
    const { clock, log, id, address } = this.#options;
    const now = clock.monotonicMillis();
    // Many calls fail together when a connection breaks: that is one failure.
    if (this.#suspectUntil > now) return;
    const millis = Math.min(suspectMillisFirst * 2 ** Math.min(this.#failures, 16), limits.nodeAvoidMillisMax);
    this.#failures++;
    this.#suspectUntil = now + millis;
    log.warn({ node: id, address: addressName(address), err: why, millis }, "avoiding a storage node");
  }

  /** The name server says that it is up again. */
  trust(): void {
    this.#failures = 0;
    this.#suspectUntil = -Infinity;
  }

  /** How long it has been silent while it was asked something, milliseconds. */
  silentMillis(): number {
    return this.isBusy ? this.#options.clock.monotonicMillis() - this.#heardAt : 0;
  }

  /** Breaks the connection if a call on it should long have settled. */
  checkOverdue(): void {
    const now = this.#options.clock.monotonicMillis();
    for (const { overdueAt } of this.#calls) {
      if (overdueAt > now) continue;
      this.cut("it takes nothing");
      return;
    }
  }

  /** Breaks the connection; the next call opens another one. */
  cut(reason: string): void {
    const peer = this.#peer;
    this.#peer = undefined;
    peer?.close(reason);
  }

  close(reason: string): void {
    this.#isClosed = true;
    this.cut(reason);
  }

  #connected(): Promise<StoragePeer> {
    this.#connecting ??= this.#open().finally(() => {
      this.#connecting = undefined;
    });
    return this.#connecting;
  }

  async #open(): Promise<StoragePeer> {
    const { dial, id, address } = this.#options;
    const peer = await dial(address);
    if (this.#isClosed) {
      peer.close("not needed any more");
      throw new FsError("ECONNRESET", `storage node ${id} has moved`);
    }
    if (peer.remote.role !== "storage-node" || peer.remote.id !== id) {
      peer.close("not the node that was expected here");
      throw new FsError("EHOSTUNREACH", `at ${addressName(address)} is ${peer.remote.id}, not storage node ${id}`);
    }
    this.#peer = peer;
    void peer.closed.then(() => {
      if (this.#peer === peer) this.#peer = undefined;
    });
    return peer;
  }

  #answered(): void {
    this.#heardAt = this.#options.clock.monotonicMillis();
    this.trust();
  }
}
