/** A storage node as the name server knows it: its record, which is committed, and what it said last. */
import type { NodeId } from "../base/ids.ts";
import { keys } from "../metadata-store/keys.ts";
import { encodeNode, type NodeRecord } from "../metadata-store/records.ts";
import type { ScrubReport } from "../protocol/scrub-methods.ts";
import type { Transaction } from "./namespace/index.ts";
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

/** Nothing is expected of it any more. */
export function isGone({ state, out }: Pick<NodeRecord, "state" | "out">): boolean {
  return out || state === "removed";
}

export function addressText({ host, port }: { host: string; port: number }): string {
  return `${host}:${String(port)}`;
}

/** Until a change is durable others are made: each begins with the one before, and so the record is the node's at once. */
export function putRecord(transaction: Transaction, node: StorageNode, record: NodeRecord): void {
  transaction.put(keys.node(node.id), encodeNode(record));
  node.record = record;
}
