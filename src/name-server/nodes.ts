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
import { decodeNode, encodeNode, type NodeRecord } from "../metadata-store/records.ts";
import type { MetadataStore } from "../metadata-store/types.ts";
import type { NameServerMethods } from "../protocol/name-server.ts";
import type { ScrubReport } from "../protocol/scrub-methods.ts";
import type { RequestOf } from "../rpc/types.ts";
import type { Execution } from "./execution.ts";
import type { ListeningTime } from "./listening.ts";
import type { RemotePeer } from "./types.ts";

export interface StorageNode {
  readonly id: NodeId;
  record: NodeRecord;
  state: "up" | "down";
  peer: RemotePeer | undefined;
  /** Listening time of its last message, and of the loss of its connection. */
  heardAt: number;
  lostAt: number;
  /** As it told last. */
  usedBytes: number;
  freeBytes: number;
  blocks: number;
  /** How far its scrub is, as it told last. */
  scrub: ScrubReport | undefined;
}

export interface NodeEvents {
  /** Something that the cluster map shows has changed. */
  onChange(): void;
  /** A node has registered, and its record is durable: there may be groups to create. `held`: groups of its blocks. */
  onRegistered(node: StorageNode, held: readonly GroupId[]): Promise<void>;
}

type Registration = RequestOf<NameServerMethods, "registerNode">;

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
    const node: StorageNode = {
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
    };
    nodes.set(id, node);
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

  /** A node that holds numbers which this store has never given shows that the store is an old one. */
  function checkHistory({ node, greatest }: Registration): void {
    for (const { group, number } of greatest) {
      const next = parts.nextNumber(group);
      if (next !== undefined && number < next) continue;
      log.error({ node, group, number, next }, "a storage node is ahead of the metadata store: is it an old copy?");
      throw new FsError(
        "EPERM",
        `node ${node} holds block ${String(group)}/${String(number)}, which this name server never gave: its metadata ` +
          "is older than the cluster's; start it with the newest copy of its folder",
      );
    }
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

  /** The node at whose address an unknown one registers, if any. EADDRINUSE. */
  async function predecessor({ node, address }: Registration): Promise<StorageNode | undefined> {
    if (nodes.has(node)) return undefined;
    const old = [...nodes.values()].find(
      ({ record }) => record.host === address.host && record.port === address.port && !isGone(record),
    );
    if (old === undefined) return undefined;
    await checkNow(old);
    if (old.state === "down") return old;
    throw new FsError(
      "EADDRINUSE",
      `node ${old.id} answers at ${addressText(address)}: give node ${node} an address of its own (--listen, --advertise)`,
    );
  }

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
      if (request.cluster !== null && request.cluster !== parts.cluster()) {
        log.error({ node: request.node, cluster: request.cluster }, "refused a storage node of another cluster");
        throw new FsError(
          "EPERM",
          `node ${request.node} belongs to cluster ${request.cluster}, not ${parts.cluster()}`,
        );
      }
      checkHistory(request);
      const replaced = await predecessor(request);
      const known = nodes.get(request.node);
      if (known?.record.state === "removed") {
        throw new FsError(
          "EPERM",
          `node ${request.node} was removed from the cluster: start it with an empty folder, as a new node`,
        );
      }
      const record: NodeRecord = {
        state: known?.record.state ?? "member",
        out: false,
        hostLabel: request.hostLabel,
        host: request.address.host,
        port: request.address.port,
        capacityBytes: request.capacityBytes,
        joined: known?.record.joined ?? parts.nowNanos(),
      };
      const node = known ?? add(request.node, record);
      const moved = addressText(record) !== addressText(node.record);
      const isNews = known === undefined || !encodeNode(record).equals(encodeNode(node.record));
      if (isNews || replaced !== undefined) {
        await execution.change((transaction) => {
          transaction.put(keys.node(request.node), encodeNode(record));
          if (replaced === undefined) return;
          transaction.put(keys.node(replaced.id), encodeNode({ ...replaced.record, out: true }));
        });
        node.record = record;
        if (replaced !== undefined) {
          replaced.record = { ...replaced.record, out: true };
          log.warn(
            { node: replaced.id, by: node.id, address: addressText(record) },
            "another storage node stands at the address of one that is down: that one is out",
          );
        }
      }
      if (!peer.isOpen) throw new FsError("ECONNRESET", "the storage node's connection broke while it registered");
      bind(node, peer);
      node.usedBytes = request.usedBytes;
      node.freeBytes = request.freeBytes;
      if (node.state === "up" && moved) events.onChange();
      comeUp(node);
      await events.onRegistered(
        node,
        request.greatest.map(({ group }) => group),
      );
    },

    async decide(node, decision) {
      const decided = (): NodeRecord => ({ ...node.record, ...decision });
      await execution.change((transaction) => {
        transaction.put(keys.node(node.id), encodeNode(decided()));
      });
      node.record = decided();
      if (decision.state === "removed") node.peer?.close("the storage node was removed from the cluster");
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

/** Nothing is expected of it any more. */
export function isGone({ state, out }: Pick<NodeRecord, "state" | "out">): boolean {
  return out || state === "removed";
}

export function addressText({ host, port }: { host: string; port: number }): string {
  return `${host}:${String(port)}`;
}
