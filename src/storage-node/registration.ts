/**
 * The connection to the name server, kept up for ever: register, then heartbeats; whatever goes wrong, connect again,
 * with pauses that grow and are never the same. The first registration decides to which cluster the node belongs.
 */
import { sleep, type Clock } from "../base/clock.ts";
import { FsError } from "../base/errno.ts";
import { limits } from "../base/limits.ts";
import type { Log } from "../base/log.ts";
import type { Random } from "../base/random.ts";
import type { NodeIdentity } from "../block-store/identity.ts";
import type { BlockStore } from "../block-store/types.ts";
import type { NameServerMethods } from "../protocol/name-server.ts";
import type { Address, Peer } from "../rpc/types.ts";
import type { Scrub } from "./scrub.ts";

export type NameServerPeer = Peer<NameServerMethods>;

export interface RegistrationOptions {
  readonly store: BlockStore;
  readonly identity: NodeIdentity;
  /** Where clients and other nodes find this node. */
  readonly advertised: Address;
  readonly hostLabel: string;
  /** To where the name server may be, each time to another place. Bounded in time. */
  readonly connect: (signal: AbortSignal) => Promise<NameServerPeer>;
  readonly onRegistered: () => void;
  /** Absent: this node does not scrub. */
  readonly scrub?: Scrub | undefined;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}

const firstPauseMillis = 100;
const pauseMillisMax = 3_000;
/** A heartbeat without an answer for so many intervals: the connection is dead, though nobody said so. */
const missedHeartbeatsMax = 3;

export class Registration {
  /** Resolves at the first registration. */
  readonly registered: Promise<void>;
  readonly #options: RegistrationOptions;
  readonly #accepted = new WeakMap<object, Promise<void>>();
  readonly #stopping = new AbortController();
  readonly #running: Promise<void>;
  #resolveRegistered: () => void = () => undefined;
  #peer: NameServerPeer | undefined;
  /** Of the name server that it is registered with. */
  #epoch = Infinity;

  constructor(options: RegistrationOptions) {
    this.#options = options;
    this.registered = new Promise((resolve) => {
      this.#resolveRegistered = resolve;
    });
    this.#running = this.#run();
  }

  /** Whether the node is registered on an open connection. */
  get isConnected(): boolean {
    return this.#peer?.isOpen === true;
  }

  /** A server of a higher epoch has taken over: the connection to the one before ends. */
  overtaken(epoch: number): void {
    if (this.#epoch < epoch) this.#peer?.close("another name server has taken over");
  }

  async close(): Promise<void> {
    this.#stopping.abort(new FsError("ECANCELED", "the storage node stops"));
    this.#peer?.close("the storage node stops");
    await this.#running;
  }

  /**
   * Settles with the registration over this connection: rejects when the name server is not this node's (another cluster,
   * an older epoch), which then may order nothing.
   */
  accepted(peer: object): Promise<void> {
    const known = this.#accepted.get(peer);
    return known ?? Promise.reject(new FsError("EPERM", "this node is not registered with that name server"));
  }

  /** Never rejects. */
  async #run(): Promise<void> {
    const { clock, log } = this.#options;
    let failures = 0;
    while (!this.#isStopping()) {
      try {
        await this.#serveOnce(() => {
          failures = 0;
          this.#options.onRegistered();
        });
      } catch (error) {
        if (this.#isStopping()) return;
        failures += 1;
        const isWorthALine = failures <= 3 || failures % 100 === 0;
        if (isWorthALine) log.warn({ err: error, failures }, "no connection to the name server, trying again");
      }
      await sleep(clock, this.#pause(failures), this.#stopping.signal).catch(() => undefined);
    }
  }

  /** From connecting to the end of the connection. */
  async #serveOnce(onRegistered: () => void): Promise<void> {
    const { log, identity } = this.#options;
    const peer = await this.#options.connect(this.#stopping.signal);
    try {
      this.#peer = peer;
      this.#mustRun();
      const registering = this.#register(peer);
      const accepted = registering.then(() => undefined);
      accepted.catch(() => undefined);
      this.#accepted.set(peer, accepted);
      const { heartbeatMillis, epoch } = await registering;
      this.#epoch = epoch;
      onRegistered();
      log.info({ node: identity.node, cluster: identity.cluster, epoch }, "registered with the name server");
      this.#resolveRegistered();
      await this.#beat(peer, heartbeatMillis);
    } finally {
      this.#peer = undefined;
      this.#epoch = Infinity;
      peer.close("registering again");
    }
  }

  async #register(peer: NameServerPeer): Promise<{ heartbeatMillis: number; epoch: number }> {
    const { store, identity, advertised, hostLabel } = this.#options;
    const { capacityBytes, usedBytes, freeBytes } = store.space();
    const { reply } = await peer.call("registerNode", {
      node: identity.node,
      cluster: identity.cluster,
      address: advertised,
      hostLabel,
      capacityBytes,
      usedBytes,
      freeBytes,
      greatest: [...store.greatest()],
    });
    await identity.adopt(reply.cluster);
    await identity.obey(reply.epoch);
    return reply;
  }

  /** Until the connection ends. Rejects when the name server does not answer, or does not know this node any more. */
  async #beat(peer: NameServerPeer, heartbeatMillis: number): Promise<void> {
    const { store, clock, scrub } = this.#options;
    const ended = new AbortController();
    const isGone = peer.closed.then((reason) => {
      ended.abort(new FsError("ECONNRESET", `the connection to the name server ended: ${reason}`));
    });
    while (peer.isOpen) {
      try {
        await sleep(clock, heartbeatMillis, ended.signal);
      } catch {
        break;
      }
      const { usedBytes, freeBytes } = store.space();
      const { blocks } = store.statistics;
      const deadlineMillis = missedHeartbeatsMax * Math.max(heartbeatMillis, limits.nodeHeartbeatMillis);
      const told = scrub === undefined ? {} : { scrub: scrub.report() };
      await peer.call("nodeHeartbeat", { usedBytes, freeBytes, blocks, ...told }, { deadlineMillis });
      await scrub?.tell((damaged) => peer.call("reportDamage", { blocks: damaged }, { deadlineMillis }));
    }
    await isGone;
    this.#mustRun();
    throw ended.signal.reason as Error;
  }

  #pause(failures: number): number {
    const pause = Math.min(firstPauseMillis * 2 ** Math.min(Math.max(failures - 1, 0), 10), pauseMillisMax);
    return pause / 2 + this.#options.random.below(Math.ceil(pause / 2) + 1);
  }

  #isStopping(): boolean {
    return this.#stopping.signal.aborted;
  }

  #mustRun(): void {
    if (this.#isStopping()) throw this.#stopping.signal.reason as Error;
  }
}
