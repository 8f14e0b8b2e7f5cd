/**
 * The storage nodes: who belongs to the cluster, who is up, and what space they have.
 *
 * Invariants: a node's record is committed before the node is answered; a node is "up" only while it speaks over a
 * connection of its own (or has just lost it); silence counts only while this server was listening.
 */
import { FsError } from "../base/errno.ts";
import type { ClusterId, GroupId, NodeId } from "../base/ids.ts";
import { limits } from "../base/limits.ts";
import type { Log } from "../base/log.ts";
import { keys, nodeOfKey } from "../metadata-store/keys.ts";
import { decodeNode, type NodeRecord } from "../metadata-store/records.ts";
import type { MetadataStore } from "../metadata-store/types.ts";
import type { NameServerMethods } from "../protocol/name-server.ts";
import type { RequestOf } from "../rpc/types.ts";
import type { Execution } from "./execution.ts";
import type { ListeningTime } from "./listening.ts";
import { createNodeAdmission, type Registration } from "./node-admission.ts";
import { addressText, putRecord, type StorageNode } from "./storage-node.ts";
import type { RemotePeer } from "./types.ts";

export interface NodeEvents {
  /** Something that the cluster map shows has changed. */
  onChange(): void;
  /** A node has registered, and its record is durable: there may be groups to create. `held`: groups of its blocks. */
  onRegistered(node: StorageNode, held: readonly GroupId[]): Promise<void>;
}

export interface Nodes {
  load(): void;
  all(): readonly StorageNode[];
  get(id: NodeId): StorageNode | undefined;
  /** ENOTCONN: not registered on this connection. */
  of(peer: RemotePeer): StorageNode;
  /**
   * Resolves when it is committed. EPERM: the node belongs to another cluster, was removed, or knows of blocks that were
   * never given. EADDRINUSE: another node answers at its address. A new node at the address of one that does not answer
   * stands on its emptied disk: the old one is out.
   */
  register(peer: RemotePeer, request: Registration): Promise<void>;
  /** ENOTCONN: not registered on this connection. */
  heartbeat(peer: RemotePeer, request: RequestOf<NameServerMethods, "nodeHeartbeat">): void;
  /** It answered something: busy is not silent. */
  heardFrom(node: StorageNode): void;
  disconnected(peer: RemotePeer): void;
  /** How often they are to tell that they are there. */
  readonly heartbeatMillis: number;
  /** Commits what operators or silence decided about a node. */
  decide(node: StorageNode, decision: Partial<Pick<NodeRecord, "state" | "out">>): Promise<void>;
  /** It has no part in the cluster any more, and its record is deleted; unless it is back meanwhile. */
  forget(node: StorageNode): Promise<void>;
  /** Takes nodes down that have been silent for too long. */
  tick(): void;
  /** Somebody could not reach it or found it full: asks it, and takes it down if it does not answer. */
  check(node: StorageNode): Promise<void>;
}

/** A node whose connection broke has so long to come back before it counts as down: a restart takes less. */
const reconnectMillis = limits.nodeHeartbeatMillis;
/** How long a node that somebody complained about may take to answer. */
const checkMillis = 2_000;

export function createNodes(parts: {
  store: MetadataStore;
  execution: Execution;
  listening: ListeningTime;
  log: Log;
  cluster: () => ClusterId;
  nowNanos: () => bigint;
  downMillis: number;
  /** The next block number of a group, or undefined: unknown group. */
  nextNumber: (group: GroupId) => number | undefined;
  events: NodeEvents;
}): Nodes {
  const { store, execution, listening, log, events } = parts;
  const nodes = new Map<NodeId, StorageNode>();
  const byPeer = new Map<RemotePeer, StorageNode>();
  const checks = new Map<NodeId, Promise<void>>();

  function add(id: NodeId, record: NodeRecord): StorageNode {
    return keep({
      id,
      record,
      state: "down",
      peer: undefined,
      heardAt: listening.now(),
      lostAt: listening.now(),
      usedBytes: 0,
      freeBytes: 0,
      blocks: 0,
      scrub: undefined,
    });
  }

  function keep(node: StorageNode): StorageNode {
    nodes.set(node.id, node);
    return node;
  }

  function ofPeer(peer: RemotePeer): StorageNode {
    const node = byPeer.get(peer);
    if (node === undefined) throw new FsError("ENOTCONN", "no storage node on this connection: register first");
    return node;
  }

  function bind(node: StorageNode, peer: RemotePeer): void {
    const old = node.peer;
    node.peer = peer;
    node.heardAt = listening.now();
    byPeer.set(peer, node);
    if (old === undefined || old === peer) return;
    byPeer.delete(old);
    old.close("the storage node registered over another connection");
  }

  function takeDown(node: StorageNode, reason: string): void {
    if (node.state === "down") return;
    node.state = "down";
    log.warn({ node: node.id, address: addressText(node.record), reason }, "a storage node is down");
    events.onChange();
  }

  function comeUp(node: StorageNode): void {
    if (node.state === "up") return;
    node.state = "up";
    log.info({ node: node.id, address: addressText(node.record) }, "a storage node is up");
    events.onChange();
  }

  async function checkNow(node: StorageNode): Promise<void> {
    const { peer } = node;
    if (peer === undefined) {
      takeDown(node, "not connected, and reported as unreachable");
      return;
    }
    try {
      const { reply } = await peer.call("nodeStatus", {}, { deadlineMillis: checkMillis });
      node.heardAt = listening.now();
      node.usedBytes = reply.usedBytes;
      node.freeBytes = reply.freeBytes;
      node.blocks = reply.blocks;
    } catch (error) {
      if (node.peer === peer) takeDown(node, `does not answer: ${String(error)}`);
    }
  }

  const admission = createNodeAdmission({
    ...{
      execution,
      log,
      add,
      keep,
      checkNow,
      cluster: parts.cluster,
      nowNanos: parts.nowNanos,
      nextNumber: parts.nextNumber,
    },
    nodes,
  });

  return {
    all: () => [...nodes.values()],
    // Two may be lost before the third is missed.
    heartbeatMillis: Math.max(100, Math.min(limits.nodeHeartbeatMillis, Math.floor(parts.downMillis / 4))),
    get: (id) => nodes.get(id),
    of: ofPeer,

    load() {
      for (const [key, value] of store.range({ gte: "N", lt: "O" })) add(nodeOfKey(key), decodeNode(value));
    },

    async register(peer, request) {
      const { node, hasMoved } = await admission.admit(request);
      if (!peer.isOpen) throw new FsError("ECONNRESET", "the storage node's connection broke while it registered");
      bind(node, peer);
      node.usedBytes = request.usedBytes;
      node.freeBytes = request.freeBytes;
      if (node.state === "up" && hasMoved) events.onChange();
      comeUp(node);
      await events.onRegistered(
        node,
        request.greatest.map(({ group }) => group),
      );
    },

    async decide(node, decision) {
      await execution.change((transaction) => {
        putRecord(transaction, node, { ...node.record, ...decision });
      });
      if (decision.state === "removed") node.peer?.close("the storage node was removed from the cluster");
      events.onChange();
    },

    async forget(node) {
      await execution.change((transaction) => {
        if (!node.record.out || node.peer !== undefined) return;
        transaction.remove(keys.node(node.id));
        nodes.delete(node.id);
      });
      events.onChange();
    },

    heartbeat(peer, request) {
      const node = ofPeer(peer);
      node.heardAt = listening.now();
      node.usedBytes = request.usedBytes;
      node.freeBytes = request.freeBytes;
      node.blocks = request.blocks;
      node.scrub = request.scrub;
      comeUp(node);
    },

    heardFrom(node) {
      node.heardAt = listening.now();
    },

    disconnected(peer) {
      const node = byPeer.get(peer);
      if (node === undefined) return;
      byPeer.delete(peer);
      node.peer = undefined;
      node.lostAt = listening.now();
    },

    tick() {
      const now = listening.now();
      for (const node of nodes.values()) {
        if (node.state === "down") continue;
        if (now - node.heardAt > parts.downMillis) takeDown(node, "silent");
        else if (node.peer === undefined && now - node.lostAt > reconnectMillis) takeDown(node, "connection lost");
      }
    },

    check(node) {
      let running = checks.get(node.id);
      if (running === undefined) {
        running = checkNow(node).finally(() => checks.delete(node.id));
        checks.set(node.id, running);
      }
      return running;
    },
  };
}
