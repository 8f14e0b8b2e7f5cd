/**
 * Puts the name server as one session sees it together (`NameServer` of types.ts): link, session, calls, locks.
 *
 * What happens on a new connection, in this order: the session is opened or resumed; if it is a new one, everything of
 * the old one fails and `onSession` is told in the same step, so that nothing runs ahead in the new one by leases of the
 * old; a heartbeat; locks are taken again; what ran ahead is sent; leases are reclaimed; `onSession` is told of a
 * resumption; then the waiting calls are sent.
 */
import { assert } from "../base/assert.ts";
import type { Clock } from "../base/clock.ts";
import { FsError } from "../base/errno.ts";
import type { ClusterId, SessionId } from "../base/ids.ts";
import { limits } from "../base/limits.ts";
import type { Log } from "../base/log.ts";
import type { Random } from "../base/random.ts";
import type { ClientMethods } from "../protocol/client.ts";
import type { JournalMethods } from "../protocol/journal-methods.ts";
import type { LeaseGrant, LeaseNews } from "../protocol/leases.ts";
import type { NameServerMethods } from "../protocol/name-server.ts";
import type { ClusterMap } from "../protocol/types.ts";
import type { Address, Handlers, ReplyOf, RequestOf } from "../rpc/types.ts";
import { addressName, askingNodes, connectTo, type Connect, type NoMethods } from "./connect.ts";
import { AheadQueue, type AheadLog } from "./ahead-log.ts";
import { ReservedInodes, type InodeNumbers } from "./inode-numbers.ts";
import { LockCalls } from "./lock-calls.ts";
import { ServerCalls, type Reading } from "./server-calls.ts";
import { ServerLink, sessionLost, type ServerPeer } from "./server-link.ts";
import { ServerPlaces } from "./server-places.ts";
import { Session } from "./session.ts";
import type { Changing, KnownServers, NameServer, NameServerEvents, NameServerOptions } from "./types.ts";

export interface ConnectNameServerOptions {
  /** Of name servers, or of storage nodes that know where one is; at least one. */
  readonly addresses: readonly Address[];
  readonly connect: Connect<ClientMethods, NameServerMethods>;
  /** To a storage node, to ask it where the name server is. */
  readonly connectNode: Connect<NoMethods, JournalMethods>;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** Names this machine and mount in the server's log and in `dfs status`. */
  readonly clientName: string;
  readonly events: NameServerEvents;
  /** How long a call waits for a broken connection before it fails with ETIMEDOUT (a "soft" mount). Absent: for ever. */
  readonly timeoutMillis?: number | undefined;
  /** How long a server is looked for at first, default `limits.callMillis`; one that is there is waited for longer. */
  readonly openMillis?: number | undefined;
  /** What another client knew, whose place this one takes. */
  readonly before?: KnownServers | undefined;
  /** Gives up the first opening. */
  readonly signal?: AbortSignal | undefined;
}

const closeMillis = 5_000;

/** Rejects with ETIMEDOUT when no address answers, EPERM or EPROTO when the server refuses this client. */
export async function connectNameServer(options: ConnectNameServerOptions): Promise<NameServer> {
  const client = new NameServerClient(options);
  await client.open(options.openMillis ?? limits.callMillis, options.signal);
  return client;
}

class NameServerClient implements NameServer {
  readonly #events: NameServerEvents;
  readonly #log: Log;
  readonly #session: Session;
  readonly #places: ServerPlaces;
  readonly #link: ServerLink;
  readonly #calls: ServerCalls;
  readonly #locks: LockCalls;
  readonly #ahead: AheadQueue;
  readonly #inodeNumbers: ReservedInodes;
  /** Where news goes: from when what ran ahead is on this connection. */
  #newsPeer: ServerPeer | undefined;
  /** News of before that, while a connection is entered: the server asks for leases again as soon as the session is resumed. */
  #untold: LeaseNews[] | undefined;
  /** What is done about the session being a new one. */
  #told: Promise<void> | undefined;
  #serversTold = "";

  constructor(options: ConnectNameServerOptions) {
    const { addresses, clock, random, log, clientName, events, connect } = options;
    this.#events = events;
    this.#log = log;
    this.#session = new Session({
      ...{ clock, log, clientName, epoch: options.before?.epoch ?? 0 },
      onTrusted: (until) => {
        events.onTrusted(until);
      },
      onMap: () => {
        if (this.#link.peer !== undefined) this.#tellServers();
      },
    });
    const handlers: Handlers<ClientMethods, NameServerMethods> = {
      ...events.handlers,
      mapChanged: ({ map }) => {
        this.#session.adopt(map);
        return {};
      },
    };
    const hello = { role: "client", id: clientName } as const;
    assert(addresses.length > 0, "no address of a name server");
    this.#places = new ServerPlaces({
      given: addresses,
      last: options.before?.address,
      nodes: () => (this.#session.cluster === undefined ? (options.before?.nodes ?? []) : this.#nodes),
      epoch: () => this.#session.epoch,
      ask: askingNodes(options.connectNode, { clientName, clock }),
      ...{ clock, random, log },
    });
    this.#link = new ServerLink({
      places: this.#places,
      name: `the name server at ${addresses.map(addressName).join(", ")}`,
      clock,
      random,
      log,
      dial: (address, signal) => connectTo("name-server", connect, address, { handlers, hello, signal, clock }),
      enter: (peer) => this.#enter(peer),
      stay: (peer) => {
        this.#tellServers();
        return this.#session.keep(peer);
      },
    });
    this.#calls = new ServerCalls({ link: this.#link, clock, timeoutMillis: options.timeoutMillis ?? Infinity });
    this.#ahead = new AheadQueue({
      clock,
      events: events.ahead,
      broken: (peer) => {
        this.#link.gone(peer, "a batch of changes got no answer");
      },
    });
    this.#inodeNumbers = new ReservedInodes((count) => this.#calls.change("reserveInodes", { count }), log);
    this.#locks = new LockCalls((method, request, how) => this.#calls.ask(method, request, how), log);
  }

  open(millis: number, signal: AbortSignal | undefined): Promise<void> {
    return this.#link.open(millis, limits.callMillis, signal);
  }

  get ahead(): AheadLog {
    return this.#ahead;
  }

  get inodeNumbers(): InodeNumbers {
    return this.#inodeNumbers;
  }

  get session(): SessionId {
    return this.#session.id as SessionId;
  }

  get cluster(): ClusterId {
    return this.#session.cluster as ClusterId;
  }

  get map(): ClusterMap {
    return this.#session.map;
  }

  get bytesFree(): number {
    return this.#session.bytesFree;
  }

  nowNanos(): bigint {
    return this.#session.serverClock.nowNanos();
  }

  ask<M extends Reading>(
    method: M,
    request: RequestOf<NameServerMethods, M>,
    options?: NameServerOptions,
  ): Promise<ReplyOf<NameServerMethods, M>> {
    type Reply = Promise<ReplyOf<NameServerMethods, M>>;
    if (method === "setLock") return this.#locks.setLock(request as never, options) as Reply;
    if (method === "releaseLocks") return this.#locks.releaseLocks(request as never, options) as Reply;
    const reply = this.#calls.ask(method, request, options);
    return method === "clusterMap" ? this.#learning(reply) : reply;
  }

  change<M extends Changing>(
    method: M,
    request: Omit<RequestOf<NameServerMethods, M>, "op">,
    options?: NameServerOptions,
  ): Promise<ReplyOf<NameServerMethods, M>> {
    const reply = this.#calls.change(method, request, options);
    return method === "allocateBlocks" ? this.#learning(reply) : reply;
  }

  tell(news: readonly LeaseNews[]): void {
    if (this.#untold !== undefined) {
      this.#untold.push(...news);
      return;
    }
    if (this.#newsPeer?.isOpen !== true) return;
    for (let first = 0; first < news.length; first += limits.leaseNewsMax) {
      this.#newsPeer.notify("leaseNews", { news: news.slice(first, first + limits.leaseNewsMax) });
    }
  }

  async close(): Promise<void> {
    try {
      await this.#link.peer?.call("closeSession", {}, { deadlineMillis: closeMillis });
    } catch (error) {
      this.#log.warn({ err: error }, "the session was not closed in order, it will expire");
    }
    this.#ahead.close();
    this.#calls.endSession(new FsError("ENOTCONN", "the name server client has been closed"));
    await this.#link.close();
  }

  async #enter(peer: ServerPeer): Promise<void> {
    this.#untold = [];
    const opening = await this.#session.open(peer);
    // At once: if this connection breaks now, the next one resumes the new session.
    if (!opening.resumed) this.#beginSession();
    await this.#session.heartbeat(peer);
    // Set when a connection broke before that was done: this one goes on with it.
    const told = this.#told;
    const isKnown = told === undefined;
    if (isKnown) {
      const lost = await this.#locks.reclaim(peer);
      if (lost.length > 0) this.#events.onLocksLost?.(lost);
    }
    // Before this session has said what it holds: by then somebody else may change what it was giving back.
    this.#ahead.connected(peer);
    this.#tellFrom(peer, opening);
    if (opening.resumed && !opening.leasesKept) await this.#reclaimLeases(peer, isKnown);
    if (isKnown) void this.#tell({ resumed: true });
    await told;
    this.#told = undefined;
  }

  #tellFrom(peer: ServerPeer, { resumed, leasesKept }: { resumed: boolean; leasesKept: boolean }): void {
    const news = this.#untold ?? [];
    this.#untold = undefined;
    this.#newsPeer = peer;
    // Else it is about leases that the server has forgotten.
    if (resumed && leasesKept) this.tell(news);
  }

  /** Says what this session had, and that this is all: only then the server gives anything to anybody. */
  async #reclaimLeases(peer: ServerPeer, isKnown: boolean): Promise<void> {
    const held = isKnown ? this.#events.heldLeases() : [];
    const grants: LeaseGrant[] = [];
    for (let first = 0, last = false; !last; first += limits.leaseNewsMax) {
      last = first + limits.leaseNewsMax >= held.length;
      const { reply } = await peer.call("reclaimLeases", {
        held: held.slice(first, first + limits.leaseNewsMax),
        last,
      });
      grants.push(...reply.leases);
    }
    if (isKnown) this.#events.onLeasesReclaimed(held, grants);
  }

  #beginSession(): void {
    if (this.#link.era > 0) {
      this.#log.error({ session: this.session }, "the session was lost (it had expired); this is a new one");
    }
    this.#calls.endSession(sessionLost());
    this.#ahead.endSession(sessionLost());
    this.#inodeNumbers.clear();
    this.#locks.clear();
    this.#link.beginEra();
    this.#told = this.#tell({ resumed: false });
  }

  get #nodes(): Address[] {
    return this.#session.map.nodes.map(({ address }) => address);
  }

  #tellServers(): void {
    const { last } = this.#places;
    if (this.#events.onServers === undefined || last === undefined) return;
    const servers = { epoch: this.#session.epoch, address: last, nodes: this.#nodes };
    const text = JSON.stringify(servers);
    if (text !== this.#serversTold) this.#events.onServers(servers);
    this.#serversTold = text;
  }

  async #tell(state: { resumed: boolean }): Promise<void> {
    try {
      await this.#events.onSession(state);
    } catch (error) {
      this.#log.error({ err: error, ...state }, "the news of a session could not be dealt with");
    }
  }

  /** Takes over the cluster map of a reply, before whoever asked sees it. */
  async #learning<R>(coming: Promise<R>): Promise<R> {
    const reply = await coming;
    this.#session.adopt((reply as { map: ClusterMap }).map);
    return reply;
  }
}
