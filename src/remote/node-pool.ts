/**
 * Connections to storage nodes: one per node, opened on demand and kept. Nodes are known by id; where they are says the
 * cluster map, at every use. A suspect node is refused nobody: callers prefer others.
 *
 * Bounded by the map: what has left it, or has moved, is closed. While calls are under way a timer looks for nodes that
 * are stuck: what the name server calls down and what takes nothing is cut off, so that its calls fail and can go elsewhere.
 */
import type { Clock, Timer } from "../base/clock.ts";
import { FsError } from "../base/errno.ts";
import type { NodeId } from "../base/ids.ts";
import type { Log } from "../base/log.ts";
import type { StorageNodeMethods } from "../protocol/storage-node.ts";
import type { ClusterMap, ClusterNode } from "../protocol/types.ts";
import type { Answer, CallOptions, ReplyOf, RequestOf } from "../rpc/types.ts";
import { connectInTime, type Connect, type NoMethods } from "./connect.ts";
import { StorageLink } from "./storage-link.ts";

export interface NodePoolOptions {
  readonly connect: Connect<NoMethods, StorageNodeMethods>;
  readonly clock: Clock;
  readonly log: Log;
  /** How this client names itself to the nodes. */
  readonly clientName: string;
  /** The newest cluster map. */
  readonly map: () => ClusterMap;
}

const sweepMillis = 500;
/** A node that is down by the map and has not answered for so long is cut off. */
const downSilentMillis = 2_000;

export class NodePool {
  readonly #options: NodePoolOptions;
  readonly #links = new Map<NodeId, StorageLink>();
  readonly #closing = new AbortController();
  #map: ClusterMap | undefined;
  #nodes = new Map<NodeId, ClusterNode>();
  #sweeping: Timer | undefined;

  constructor(options: NodePoolOptions) {
    this.#options = options;
  }

  /**
   * Calls a method of a node. `bytes`: what the call weighs, for `bytesInFlight`. Rejects with the node's own error, or
   * with one of `isConnectionError` (the node is then suspect), or with the signal's reason.
   */
  async call<M extends keyof StorageNodeMethods>(
    id: NodeId,
    bytes: number,
    method: M,
    request: RequestOf<StorageNodeMethods, M>,
    options: CallOptions,
  ): Promise<Answer<ReplyOf<StorageNodeMethods, M>>> {
    const link = this.#link(id);
    this.#sweeping ??= this.#options.clock.after(sweepMillis, () => {
      this.#sweep();
    });
    return link.call(bytes, method, request, options);
  }

  bytesInFlight(id: NodeId): number {
    return this.#links.get(id)?.bytesInFlight ?? 0;
  }

  /** Whether the node failed a short while ago. */
  isSuspect(id: NodeId): boolean {
    this.#follow();
    return this.#links.get(id)?.isSuspect ?? false;
  }

  /** Somebody found out otherwise that the node does not do its work. */
  suspect(id: NodeId, why: Error): void {
    this.#follow();
    if (this.#nodes.has(id)) this.#link(id).suspect(why);
  }

  close(): void {
    this.#closing.abort(new FsError("ENOTCONN", "the connections to the storage nodes have been closed"));
    this.#sweeping?.cancel();
    for (const link of this.#links.values()) link.close("closed");
    this.#links.clear();
  }

  /** The node at its present address; EHOSTUNREACH if the map does not know it. */
  #link(id: NodeId): StorageLink {
    if (this.#closing.signal.aborted) throw this.#closing.signal.reason as Error;
    this.#follow();
    const link = this.#links.get(id);
    if (link !== undefined) return link;
    const node = this.#nodes.get(id);
    if (node === undefined) throw new FsError("EHOSTUNREACH", `storage node ${id} is not part of the cluster`);
    const { connect, clock, log, clientName } = this.#options;
    const hello = { role: "client", id: clientName } as const;
    const { signal } = this.#closing;
    const added = new StorageLink({
      ...{ id, address: node.address, clock, log },
      dial: (address) => connectInTime(connect, address, { handlers: {}, hello, signal, clock }),
    });
    this.#links.set(id, added);
    return added;
  }

  /** Takes over a new map. */
  #follow(): void {
    const map = this.#options.map();
    if (map === this.#map) return;
    const before = this.#nodes;
    this.#map = map;
    this.#nodes = new Map(map.nodes.map((node) => [node.id, node]));
    for (const [id, link] of this.#links) {
      const node = this.#nodes.get(id);
      if (node === undefined || node.address.host !== link.address.host || node.address.port !== link.address.port) {
        this.#links.delete(id);
        link.close("the node is not there any more");
      } else if (node.state === "up" && before.get(id)?.state === "down") link.trust();
    }
  }

  #sweep(): void {
    this.#sweeping = undefined;
    this.#follow();
    let isBusy = false;
    for (const [id, link] of this.#links) {
      isBusy ||= link.isBusy;
      link.checkOverdue();
      if (this.#nodes.get(id)?.state === "down" && link.silentMillis() >= downSilentMillis)
        link.cut("the node is down");
    }
    if (!isBusy) return;
    this.#sweeping = this.#options.clock.after(sweepMillis, () => {
      this.#sweep();
    });
  }
}
