/**
 * Keys and values of the block index. Numbers in keys are big endian, so that they sort; every value ends with a CRC-32
 * over key and value.
 *
 *   key                                        value
 *   "b" group u16, number u48                  segment u32, offset u32 in units of 4 KiB, payload length u32
 *   "g" group u16                              greatest number ever stored u48
 *   "p"                                        format u16, node id 8 bytes, segment u32, offset u32 in units of 4 KiB
 *                                              (the index knows every record before this position), blocks u48
 *   "s" segment u32                            record bytes u32 (all), live record bytes u32, live blocks u32; sizes in
 *                                              units of 4 KiB
 */
import { checksum } from "../base/checksum.ts";
import { toGroupId, type BlockId, type GroupId, type NodeId } from "../base/ids.ts";
import { pageBytes, type Location } from "./record.ts";

const indexFormat = 1;

export interface Position {
  readonly segment: number;
  readonly offset: number;
}

export interface SegmentRow {
  readonly segment: number;
  /** The file's length, as far as its records are known. */
  readonly endBytes: number;
  readonly liveBytes: number;
  readonly liveBlocks: number;
}

const tag = { block: 0x62, greatest: 0x67, position: 0x70, segment: 0x73 } as const;

export function blockKey(block: BlockId): Buffer {
  const key = Buffer.allocUnsafe(9);
  key[0] = tag.block;
  key.writeUInt16BE(block.group, 1);
  key.writeUIntBE(block.number, 3, 6);
  return key;
}
export function blockOfKey(key: Buffer): BlockId {
  return { group: toGroupId(key.readUInt16BE(1)), number: key.readUIntBE(3, 6) };
}
export function greatestKey(group: GroupId): Buffer {
  const key = Buffer.allocUnsafe(3);
  key[0] = tag.greatest;
  key.writeUInt16BE(group, 1);
  return key;
}
export function segmentKey(segment: number): Buffer {
  const key = Buffer.allocUnsafe(5);
  key[0] = tag.segment;
  key.writeUInt32BE(segment, 1);
  return key;
}
export const positionKey = Buffer.from([tag.position]);

/** Undefined: not a key of the index. */
export function kindOfKey(key: Buffer): keyof typeof tag | undefined {
  for (const [kind, byte] of Object.entries(tag)) if (key[0] === byte) return kind as keyof typeof tag;
  return undefined;
}

/** Bounds of a whole table. */
export const tables = {
  greatest: [Buffer.from([tag.greatest]), Buffer.from([tag.greatest + 1])],
  segments: [Buffer.from([tag.segment]), Buffer.from([tag.segment + 1])],
} as const;

export function encodeLocation(key: Buffer, { segment, offset, length }: Location): Buffer {
  const value = Buffer.allocUnsafe(16);
  value.writeUInt32LE(segment, 0);
  value.writeUInt32LE(offset / pageBytes, 4);
  value.writeUInt32LE(length, 8);
  return sealed(key, value);
}
export function decodeLocation(key: Buffer, value: Buffer): Location {
  check(key, value, 16);
  return {
    segment: value.readUInt32LE(0),
    offset: value.readUInt32LE(4) * pageBytes,
    length: value.readUInt32LE(8),
  };
}

export function encodeGreatest(key: Buffer, number: number): Buffer {
  const value = Buffer.allocUnsafe(10);
  value.writeUIntLE(number, 0, 6);
  return sealed(key, value);
}
export function decodeGreatest(key: Buffer, value: Buffer): { group: GroupId; number: number } {
  check(key, value, 10);
  return { group: toGroupId(key.readUInt16BE(1)), number: value.readUIntLE(0, 6) };
}

export function encodePosition(node: NodeId, position: Position, blocks: number): Buffer {
  const value = Buffer.allocUnsafe(28);
  value.writeUInt16LE(indexFormat, 0);
  value.write(node, 2, "hex");
  value.writeUInt32LE(position.segment, 10);
  value.writeUInt32LE(position.offset / pageBytes, 14);
  value.writeUIntLE(blocks, 18, 6);
  return sealed(positionKey, value);
}
export function decodePosition(value: Buffer): { node: string; position: Position; blocks: number } {
  check(positionKey, value, 28);
  if (value.readUInt16LE(0) !== indexFormat) throw new IndexDamaged("the index has another format");
  return {
    node: value.toString("hex", 2, 10),
    position: { segment: value.readUInt32LE(10), offset: value.readUInt32LE(14) * pageBytes },
    blocks: value.readUIntLE(18, 6),
  };
}

export function encodeSegment(key: Buffer, row: Omit<SegmentRow, "segment">): Buffer {
  const value = Buffer.allocUnsafe(16);
  value.writeUInt32LE(row.endBytes / pageBytes, 0);
  value.writeUInt32LE(row.liveBytes / pageBytes, 4);
  value.writeUInt32LE(row.liveBlocks, 8);
  return sealed(key, value);
}
export function decodeSegment(key: Buffer, value: Buffer): SegmentRow {
  check(key, value, 16);
  return {
    segment: key.readUInt32BE(1),
    endBytes: value.readUInt32LE(0) * pageBytes,
    liveBytes: value.readUInt32LE(4) * pageBytes,
    liveBlocks: value.readUInt32LE(8),
  };
}

/** The index says something that cannot be: it is to be built again from the segments. */
export class IndexDamaged extends Error {
  override readonly name = "IndexDamaged";
}

function sealed(key: Buffer, value: Buffer): Buffer {
  const at = value.length - 4;
  value.writeUInt32LE(checksum(value.subarray(0, at), checksum(key)), at);
  return value;
}

function check(key: Buffer, value: Buffer, bytes: number): void {
  const at = bytes - 4;
  if (value.length !== bytes || value.readUInt32LE(at) !== checksum(value.subarray(0, at), checksum(key))) {
    throw new IndexDamaged(`a damaged value in the index (key ${key.toString("hex")})`);
  }
}
