/**
 * Values of the metadata store that describe groups, nodes, block ranges and sessions. Numbers are byte offsets.
 *
 *   GroupRecord   0 format (2)  1 count  2 epoch:8  10 nextNumber:8  18 replicas  19 one bit for each node, set while it
 *                 copies (lowest bit: the first)  20 node:8 ...
 *     format 1    0 format  1 count  2 epoch:8  10 nextNumber:8  18 node:8 ...   (as many replicas as nodes, none copies)
 *   NodeRecord    0 format (2)  1 state  2 port:2  4 capacityBytes:8  12 joined:8  20 out (0, 1)  21 labelBytes
 *                 22 hostLabel (UTF-8)  ... host (UTF-8, to the end)
 *     format 1    0 format  1 state  2 port:2  4 capacityBytes:8  12 joined:8  20 host (UTF-8, to the end)
 *   RangeRecord   0 format  1 session:8  9 count:4  13 one bit for each number, set when named (lowest bit first)
 *   SessionRecord 0 format  1 opened:8  9 clientName (UTF-8, to the end)
 *   ReplyRecord   0 format  1 sequence:8  9 methodBytes  10 method  ... reply (to the end)
 */
import type { Nanos } from "../base/attributes.ts";
import { assert } from "../base/assert.ts";
import type { NodeId, SessionId } from "../base/ids.ts";
import {
  checkLength,
  checkRecord,
  readHex,
  readNanos,
  readU64,
  writeHex,
  writeNanos,
  writeU64,
} from "./record-codec.ts";

const format = 1;
/** Of groups and nodes, which had another one before. */
const secondFormat = 2;

export interface GroupRecord {
  /** Rises when the members change: what was written under an older one is refused. */
  readonly epoch: number;
  /** In the order of writing; at most 8. */
  readonly nodes: readonly NodeId[];
  /** Those of `nodes` that do not yet hold everything that is older than their joining. */
  readonly copying: readonly NodeId[];
  /** Copies wanted: `nodes` may be more or fewer while members change. */
  readonly replicas: number;
  /** The next block number to hand out. */
  readonly nextNumber: number;
}

export function encodeGroup(record: GroupRecord): Buffer {
  assert(record.nodes.length <= 8, "one bit for each node of a group");
  const out = Buffer.allocUnsafe(20 + record.nodes.length * 8);
  out[0] = secondFormat;
  out[1] = record.nodes.length;
  writeU64(out, record.epoch, 2);
  writeU64(out, record.nextNumber, 10);
  out[18] = record.replicas;
  out[19] = record.nodes.reduce((bits, node, i) => bits | (record.copying.includes(node) ? 1 << i : 0), 0);
  record.nodes.forEach((node, i) => {
    writeHex(out, node, 20 + i * 8);
  });
  return out;
}

/** `nodes` and `copying` are fresh. */
export function decodeGroup(from: Buffer): GroupRecord {
  const isFirst = from[0] === format;
  const nodesAt = isFirst ? 18 : 20;
  checkRecord(from, "group", isFirst ? format : secondFormat, nodesAt);
  const count = from.readUInt8(1);
  checkLength(from, "group", nodesAt + count * 8);
  const nodes = Array.from({ length: count }, (_, i) => readHex(from, nodesAt + i * 8) as NodeId);
  const bits = isFirst ? 0 : from.readUInt8(19);
  return {
    epoch: readU64(from, 2),
    nextNumber: readU64(from, 10),
    replicas: isFirst ? count : from.readUInt8(18),
    nodes,
    copying: nodes.filter((_, i) => (bits & (1 << i)) !== 0),
  };
}

/** The epoch alone: what a write checks. */
export function decodeGroupEpoch(from: Buffer): number {
  checkRecord(from, "group", from[0] === format ? format : secondFormat, 18);
  return readU64(from, 2);
}

const nodeStates = ["member", "draining", "removed"] as const;

export interface NodeRecord {
  /** What operators decided; whether it is up is known only while the server runs. */
  readonly state: (typeof nodeStates)[number];
  /** It was silent for too long, or another node stands at its address: its groups get other members. */
  readonly out: boolean;
  /** Nodes with the same label fail together; "": its host. At most 255 bytes. */
  readonly hostLabel: string;
  readonly host: string;
  readonly port: number;
  readonly capacityBytes: number;
  readonly joined: Nanos;
}

export function encodeNode(record: NodeRecord): Buffer {
  const host = Buffer.from(record.host, "utf8");
  const label = Buffer.from(record.hostLabel, "utf8");
  assert(label.length <= 255, "a host label has at most 255 bytes");
  const out = Buffer.allocUnsafe(22 + label.length + host.length);
  out[0] = secondFormat;
  out[1] = nodeStates.indexOf(record.state);
  out.writeUInt16LE(record.port, 2);
  writeU64(out, record.capacityBytes, 4);
  writeNanos(out, record.joined, 12);
  out[20] = record.out ? 1 : 0;
  out[21] = label.length;
  label.copy(out, 22);
  host.copy(out, 22 + label.length);
  return out;
}

export function decodeNode(from: Buffer): NodeRecord {
  const isFirst = from[0] === format;
  checkRecord(from, "node", isFirst ? format : secondFormat, isFirst ? 20 : 22);
  const hostAt = isFirst ? 20 : 22 + from.readUInt8(21);
  checkRecord(from, "node", isFirst ? format : secondFormat, hostAt);
  return {
    state: nodeStates[from.readUInt8(1)] ?? "member",
    port: from.readUInt16LE(2),
    capacityBytes: readU64(from, 4),
    joined: readNanos(from, 12),
    out: !isFirst && from[20] !== 0,
    hostLabel: isFirst ? "" : from.toString("utf8", 22, hostAt),
    host: from.toString("utf8", hostAt),
  };
}

/**
 * Block numbers handed to a session. Removed when every number has been named, or when the session has ended (then the
 * numbers that were not named are deleted from their nodes).
 */
export interface RangeRecord {
  readonly session: SessionId;
  readonly count: number;
  /** Which numbers an extent has named, for ever after: a number is named once. Ceil(count / 8) bytes. */
  readonly named: Buffer;
}

/** A range of which nothing has been named. */
export function freshRange(session: SessionId, count: number): RangeRecord {
  return { session, count, named: Buffer.alloc(Math.ceil(count / 8)) };
}

export function isNamed(range: RangeRecord, index: number): boolean {
  return (range.named.readUInt8(index >>> 3) & (1 << (index & 7))) !== 0;
}

/** Whether every number has been named. (From the end: numbers are mostly used in their order.) */
export function isExhausted(range: RangeRecord): boolean {
  for (let index = range.count - 1; index >= 0; index--) if (!isNamed(range, index)) return false;
  return true;
}

export function encodeRange(record: RangeRecord): Buffer {
  assert(record.named.length === Math.ceil(record.count / 8), "one bit for each number of the range");
  const out = Buffer.allocUnsafe(13 + record.named.length);
  out[0] = format;
  writeHex(out, record.session, 1);
  out.writeUInt32LE(record.count, 9);
  record.named.copy(out, 13);
  return out;
}

/** `named` is a fresh copy. */
export function decodeRange(from: Buffer): RangeRecord {
  checkRecord(from, "range", format, 13);
  const count = from.readUInt32LE(9);
  checkLength(from, "range", 13 + Math.ceil(count / 8));
  return { session: readHex(from, 1) as SessionId, count, named: Buffer.from(from.subarray(13)) };
}

export interface SessionRecord {
  readonly opened: Nanos;
  /** For people. */
  readonly clientName: string;
}

export function encodeSession(record: SessionRecord): Buffer {
  const name = Buffer.from(record.clientName, "utf8");
  const out = Buffer.allocUnsafe(9 + name.length);
  out[0] = format;
  writeNanos(out, record.opened, 1);
  name.copy(out, 9);
  return out;
}

export function decodeSession(from: Buffer): SessionRecord {
  checkRecord(from, "session", format, 9);
  return { opened: readNanos(from, 1), clientName: from.toString("utf8", 9) };
}

/** The last reply of a slot: what a request that is sent again gets. */
export interface ReplyRecord {
  readonly sequence: number;
  readonly method: string;
  /** Encoded by the service. */
  readonly reply: Buffer;
}

export function encodeReply(record: ReplyRecord): Buffer {
  const out = Buffer.allocUnsafe(10 + record.method.length + record.reply.length);
  out[0] = format;
  writeU64(out, record.sequence, 1);
  out[9] = record.method.length;
  out.write(record.method, 10, "latin1");
  record.reply.copy(out, 10 + record.method.length);
  return out;
}

/** `reply` is a view of `from`. */
export function decodeReply(from: Buffer): ReplyRecord {
  checkRecord(from, "reply", format, 10);
  const end = 10 + from.readUInt8(9);
  checkRecord(from, "reply", format, end);
  return { sequence: readU64(from, 1), method: from.toString("latin1", 10, end), reply: from.subarray(end) };
}
