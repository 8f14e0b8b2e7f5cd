/**
 * The session: opened or resumed on each new connection, kept by heartbeats, and what its replies tell (the server's
 * clock, the cluster map, free space).
 *
 * Invariants: the map's version never falls within one cluster; a client that knows one cluster never talks to another,
 * and one that has had a session with a server never goes to one of a lower epoch: that was replaced.
 */
import type { Clock, Timer } from "../base/clock.ts";
import { errnoOf, FsError } from "../base/errno.ts";
import type { ClusterId, SessionId } from "../base/ids.ts";
import { limits } from "../base/limits.ts";
import type { Log } from "../base/log.ts";
import type { ClusterMap } from "../protocol/types.ts";
import { createServerClock, type ServerClock } from "./server-clock.ts";
import type { ServerPeer } from "./server-link.ts";

/** A heartbeat without an answer for so long means that the connection is dead: well before the session expires. */
const heartbeatDeadlineMillis = 2 * limits.heartbeatMillis;

export interface Opening {
  readonly resumed: boolean;
  readonly leasesKept: boolean;
}

export class Session {
  id: SessionId | undefined;
  cluster: ClusterId | undefined;
  map: ClusterMap = { version: 0, replicas: 1, nodes: [], groups: [] };
  bytesFree = 0;
  /** The highest of a server that had a session with this client. */
  epoch: number;
  readonly serverClock: ServerClock;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #clientName: string;
  readonly #onTrusted: (until: number) => void;
  readonly #onMap: () => void;
  #ttlMillis = 0;

  /** The epoch of a server whose refusal was logged. */
  #refused = -1;

  constructor(options: {
    clock: Clock;
    log: Log;
    clientName: string;
    epoch: number;
    onTrusted: (until: number) => void;
    onMap: () => void;
  }) {
    this.epoch = options.epoch;
    this.#onTrusted = options.onTrusted;
    this.#onMap = options.onMap;
    this.#clock = options.clock;
    this.#log = options.log;
    this.#clientName = options.clientName;
    this.serverClock = createServerClock(options.clock);
  }

  /** Resumes the session, or opens the first or a new one. ESTALE: a server of a lower epoch than one before. */
  async open(peer: ServerPeer): Promise<Opening> {
    const resume = this.id;
    const { reply } = await peer.call("openSession", {
      clientName: this.#clientName,
      ...(resume === undefined ? {} : { resume }),
    });
    if (this.cluster !== undefined && this.cluster !== reply.cluster) {
      throw new FsError("EPERM", `the name server is of cluster ${reply.cluster}, this client is of ${this.cluster}`);
    }
    this.#mustBeNewest(reply.epoch);
    this.cluster = reply.cluster;
    this.epoch = reply.epoch;
    this.id = reply.session;
    this.adopt(reply.map);
    this.#ttlMillis = reply.ttlMillis;
    return { resumed: reply.resumed, leasesKept: reply.leasesKept };
  }

  /** Sends heartbeats until the function returned is called; closes a connection that does not answer them. */
  keep(peer: ServerPeer): () => void {
    let timer: Timer | undefined;
    let isOver = false;
    const beat = (): void => {
      const sent = this.#clock.monotonicMillis();
      this.heartbeat(peer).then(next, (error: unknown) => {
        if (isOver) return;
        // After a standstill of this very process the answer may be waiting unread: ask once more.
        if (this.#clock.monotonicMillis() - sent > heartbeatDeadlineMillis + 1_000) beat();
        else peer.close(`no heartbeat: ${errnoOf(error)}`);
      });
    };
    const next = (): void => {
      if (!isOver) timer = this.#clock.after(limits.heartbeatMillis, beat);
    };
    next();
    return () => {
      isOver = true;
      timer?.cancel();
    };
  }

  adopt(map: ClusterMap): void {
    if (map.version <= this.map.version && this.map.version !== 0) return;
    this.map = map;
    this.#onMap();
  }

  /** Keeps the session and learns the time (its round trip is short, unlike that of an opening) and what is free. */
  async heartbeat(peer: ServerPeer): Promise<void> {
    const sent = this.#clock.monotonicMillis();
    const { reply } = await peer.call("heartbeat", {}, { deadlineMillis: heartbeatDeadlineMillis });
    this.serverClock.learn(reply.serverNanos, sent);
    // The server counts from when it heard of this, which was later.
    this.#onTrusted(sent + this.#ttlMillis);
    this.bytesFree = reply.bytesFree;
    if (reply.mapVersion > this.map.version) this.#fetchMap(peer);
  }

  #mustBeNewest(epoch: number): void {
    if (epoch >= this.epoch) return;
    const text =
      `the name server is of epoch ${String(epoch)}, and this client has been at one of epoch ${String(this.epoch)}, which ` +
      "took its place: it is not believed";
    if (epoch !== this.#refused) this.#log.error({ epoch, seen: this.epoch }, text);
    this.#refused = epoch;
    throw new FsError("ESTALE", text);
  }

  #fetchMap(peer: ServerPeer): void {
    peer.call("clusterMap", {}).then(
      ({ reply }) => {
        this.adopt(reply.map);
      },
      (error: unknown) => {
        this.#log.debug({ err: error }, "the cluster map was not fetched; the next heartbeat tries again");
      },
    );
  }
}
