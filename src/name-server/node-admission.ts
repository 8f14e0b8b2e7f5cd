/**
 * Who may register as a storage node, and what is committed about it: a node of this cluster that was not removed and that
 * holds nothing which was never given. One that is new at the address of another takes its place, if that does not answer.
 */
import { FsError } from "../base/errno.ts";
import type { ClusterId, GroupId, NodeId } from "../base/ids.ts";
import type { Log } from "../base/log.ts";
import { encodeNode, type NodeRecord } from "../metadata-store/records.ts";
import type { NameServerMethods } from "../protocol/name-server.ts";
import type { RequestOf } from "../rpc/types.ts";
import type { Execution } from "./execution.ts";
import { addressText, isGone, putRecord, type StorageNode } from "./storage-node.ts";

export type Registration = RequestOf<NameServerMethods, "registerNode">;

/** What a node says of itself: it is not out, in any case. */
type Described = Omit<NodeRecord, "state" | "joined">;

export interface NodeAdmission {
  /** Resolves when the node's record is committed; `hasMoved`: it was at another address. EPERM, EADDRINUSE: see `Nodes`. */
  admit(request: Registration): Promise<{ readonly node: StorageNode; readonly hasMoved: boolean }>;
}

export function createNodeAdmission(parts: {
  execution: Execution;
  log: Log;
  cluster: () => ClusterId;
  nowNanos: () => bigint;
  /** The next block number of a group, or undefined: unknown group. */
  nextNumber: (group: GroupId) => number | undefined;
  nodes: ReadonlyMap<NodeId, StorageNode>;
  /** Puts a new one among them. */
  add: (id: NodeId, record: NodeRecord) => StorageNode;
  /** Has it among them, if it was forgotten meanwhile. */
  keep: (node: StorageNode) => void;
  /** Asks it, and takes it down if it does not answer. */
  checkNow: (node: StorageNode) => Promise<void>;
}): NodeAdmission {
  const { execution, log, nodes } = parts;

  /** EPERM. */
  function checkCluster({ node, cluster }: Registration): void {
    if (cluster === null || cluster === parts.cluster()) return;
    log.error({ node, cluster }, "refused a storage node of another cluster");
    throw new FsError("EPERM", `node ${node} belongs to cluster ${cluster}, not ${parts.cluster()}`);
  }

  /** EPERM. A node that holds numbers which this store has never given shows that the store is an old one. */
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

  /** The node at whose address an unknown one registers, if any. EADDRINUSE. */
  async function predecessor({ node, address }: Registration): Promise<StorageNode | undefined> {
    if (nodes.has(node)) return undefined;
    const old = [...nodes.values()].find(
      ({ record }) => record.host === address.host && record.port === address.port && !isGone(record),
    );
    if (old === undefined) return undefined;
    await parts.checkNow(old);
    if (old.state === "down") return old;
    throw new FsError(
      "EADDRINUSE",
      `node ${old.id} answers at ${addressText(address)}: give node ${node} an address of its own (--listen, --advertise)`,
    );
  }

  /** With the same batch the one whose place it takes is out. */
  async function commit(node: StorageNode, described: Described, replaced: StorageNode | undefined): Promise<void> {
    await execution.change((transaction) => {
      putRecord(transaction, node, { ...node.record, ...described });
      parts.keep(node);
      if (replaced !== undefined) putRecord(transaction, replaced, { ...replaced.record, out: true });
    });
    if (replaced === undefined) return;
    log.warn(
      { node: replaced.id, by: node.id, address: addressText(described) },
      "another storage node stands at the address of one that is down: that one is out",
    );
  }

  return {
    async admit(request) {
      checkCluster(request);
      checkHistory(request);
      const replaced = await predecessor(request);
      const known = nodes.get(request.node);
      if (known?.record.state === "removed") {
        throw new FsError(
          "EPERM",
          `node ${request.node} was removed from the cluster: start it with an empty folder, as a new node`,
        );
      }
      const described: Described = {
        out: false,
        hostLabel: request.hostLabel,
        host: request.address.host,
        port: request.address.port,
        capacityBytes: request.capacityBytes,
      };
      const node = known ?? parts.add(request.node, { ...described, state: "member", joined: parts.nowNanos() });
      const hasMoved = addressText(described) !== addressText(node.record);
      const isNews =
        known === undefined || !encodeNode({ ...node.record, ...described }).equals(encodeNode(node.record));
      if (isNews || replaced !== undefined) await commit(node, described, replaced);
      return { node, hasMoved };
    },
  };
}
