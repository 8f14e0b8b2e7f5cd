/**
 * Connections to storage nodes: one per node, opened at the first call, kept, opened again after it broke. Nodes are
 * known by id; where they are says the cluster map, at every use.
 *
 * A node that failed is suspect for a while, doubling up to `limits.nodeAvoidMillisMax`, until a call succeeds: callers
 * prefer others, the pool itself refuses nobody. Bounded by the map: what has left it is closed.
 */
import type { Clock } from "../base/clock.ts";
import { errnoOf, FsError } from "../base/errno.ts";
import type { NodeId } from "../base/ids.ts";
import { limits } from "../base/limits.ts";
import type { Log } from "../base/log.ts";
import type { StorageNodeMethods } from "../protocol/name-server.ts";
import type { ClusterMap } from "../protocol/types.ts";
import type { Address, Answer, CallOptions, Peer, ReplyOf, RequestOf } from "../rpc/types.ts";
import { addressName, connectInTime, isConnectionError, type Connect, type NoMethods } from "./connect.ts";

export interface NodePoolOptions {
  readonly connect: Connect<NoMethods, StorageNodeMethods>;
  readonly clock: Clock;
  readonly log: Log;
  /** How this client names itself to the nodes. */
  readonly clientName: string;
  /** The newest cluster map. */
  readonly map: () => ClusterMap;
}

type NodePeer = Peer<StorageNodeMethods>;

const suspectMillisFirst = 500;

/** What is known of one node. */
class Node {
  address: Address;
  peer: NodePeer | undefined;
  connecting: Promise<NodePeer> | undefined;
  /** Bytes of unanswered calls. */
  bytesInFlight = 0;
  failures = 0;
  suspectUntil = -Infinity;
  /** When (monotonic) it last answered anything. */
  answeredAt = -Infinity;

  constructor(address: Address) {
    this.address = address;
  }
}

export class NodePool {
  readonly #options: NodePoolOptions;
  readonly #nodes = new Map<NodeId, Node>();
  readonly #closing = new AbortController();
  #mapVersion = -1;

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
    const node = this.#node(id);
    const { clock } = this.#options;
    node.bytesInFlight += bytes;
    let peer: NodePeer | undefined;
    let sentAt = 0;
    try {
      peer = node.peer ?? (await this.#connected(id, node));
      sentAt = clock.monotonicMillis();
      const answer = await peer.call(method, request, options);
      this.#answered(node);
      return answer;
    } catch (error) {
      if (options.signal?.aborted === true) throw error;
      if (isConnectionError(error)) {
        this.#failed(id, node, error as Error);
        // Nothing at all came back meanwhile: the connection is dead, not busy.
        if (errnoOf(error) === "ETIMEDOUT" && node.answeredAt <= sentAt) peer?.close("it does not answer");
      } else this.#answered(node);
      throw error;
    } finally {
      node.bytesInFlight -= bytes;
    }
  }

  bytesInFlight(id: NodeId): number {
    return this.#nodes.get(id)?.bytesInFlight ?? 0;
  }

  /** Whether the node failed a short while ago. */
  isSuspect(id: NodeId): boolean {
    const node = this.#nodes.get(id);
    return node !== undefined && node.suspectUntil > this.#options.clock.monotonicMillis();
  }

  /** Somebody found out otherwise that the node does not do its work. */
  suspect(id: NodeId, why: Error): void {
    this.#failed(id, this.#node(id), why);
  }

  close(): void {
    this.#closing.abort(new FsError("ENOTCONN", "the connections to the storage nodes have been closed"));
    for (const node of this.#nodes.values()) node.peer?.close("closed");
    this.#nodes.clear();
  }

  /** The node with its present address; EHOSTUNREACH if the map does not know it. */
  #node(id: NodeId): Node {
    const map = this.#options.map();
    if (map.version !== this.#mapVersion) this.#follow(map);
    const node = this.#nodes.get(id);
    if (node !== undefined) return node;
    const known = map.nodes.find((candidate) => candidate.id === id);
    if (known === undefined) throw new FsError("EHOSTUNREACH", `storage node ${id} is not part of the cluster`);
    const added = new Node(known.address);
    this.#nodes.set(id, added);
    return added;
  }

  #follow(map: ClusterMap): void {
    this.#mapVersion = map.version;
    const addresses = new Map(map.nodes.map(({ id, address }) => [id, address]));
    for (const [id, node] of this.#nodes) {
      const address = addresses.get(id);
      if (address === undefined) {
        this.#nodes.delete(id);
        node.peer?.close("the node is not part of the cluster any more");
      } else if (address.host !== node.address.host || address.port !== node.address.port) {
        node.address = address;
        node.connecting = undefined;
        node.peer?.close("the node has moved");
        node.peer = undefined;
        node.suspectUntil = -Infinity;
      }
    }
  }

  #connected(id: NodeId, node: Node): Promise<NodePeer> {
    node.connecting ??= this.#open(id, node);
    return node.connecting;
  }

  async #open(id: NodeId, node: Node): Promise<NodePeer> {
    const { connect, clock, clientName } = this.#options;
    const { address } = node;
    try {
      const peer = await connectInTime(connect, address, {
        handlers: {},
        hello: { role: "client", id: clientName },
        signal: this.#closing.signal,
        clock,
      });
      if (peer.remote.role !== "storage-node" || peer.remote.id !== id) {
        peer.close("not the node that was expected here");
        throw new FsError("EHOSTUNREACH", `at ${addressName(address)} is ${peer.remote.id}, not storage node ${id}`);
      }
      if (node.address !== address || this.#nodes.get(id) !== node) {
        peer.close("the node has moved");
        throw new FsError("ECONNRESET", `storage node ${id} has moved`);
      }
      node.peer = peer;
      void peer.closed.then(() => {
        if (node.peer === peer) node.peer = undefined;
      });
      return peer;
    } finally {
      if (node.address === address) node.connecting = undefined;
    }
  }

  #answered(node: Node): void {
    node.answeredAt = this.#options.clock.monotonicMillis();
    node.failures = 0;
    node.suspectUntil = -Infinity;
  }

  #failed(id: NodeId, node: Node, error: Error): void {
    const { clock, log } = this.#options;
    const now = clock.monotonicMillis();
    // Many calls fail together when a connection breaks: that is one failure.
    if (node.suspectUntil > now) return;
    const pause = Math.min(suspectMillisFirst * 2 ** Math.min(node.failures, 16), limits.nodeAvoidMillisMax);
    node.failures++;
    node.suspectUntil = now + pause;
    log.warn({ node: id, address: addressName(node.address), err: error, millis: pause }, "avoiding a storage node");
  }
}
