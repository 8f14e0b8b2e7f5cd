/**
 * The bytes of a segment file, as pure functions. Everything is little endian and aligned to 4 KiB; see FORMAT.md.
 *
 *   segment  = file header (4 KiB), records
 *   record   = head, payload; each filled with zeros to a multiple of 4 KiB
 *   head     = record header (64 bytes), the payload's unit checksums (4 bytes for each 4 KiB)
 *
 *   file header    0  magic "dfsS"    record header    0  magic "dfsR"
 *                  4  format  u16                      4  format  u16
 *                  6  -                                6  group   u16
 *                  8  node id                          8  node id
 *                 16  cluster id                      16  segment u32
 *                 24  segment u32                     20  offset  u32, in units of 4 KiB
 *                 28  -                               24  block number u48
 *                 60  crc of bytes 0 to 59            30  -
 *                                                     32  payload length u32
 *                                                     36  -
 *                                                     60  crc of bytes 0 to 59 and of the unit checksums,
 *                                                         seeded with node, segment and offset
 */
import { assert } from "../base/assert.ts";
import { checksum, unitCount } from "../base/checksum.ts";
import { toGroupId, type BlockId, type ClusterId, type NodeId } from "../base/ids.ts";
import { limits } from "../base/limits.ts";

const segmentFormat = 1;
export const pageBytes = 4096;
export const fileHeaderBytes = 4096;
const headerBytes = 64;
const crcAt = 60;
const fileMagic = 0x53736664;
const recordMagic = 0x52736664;

/** Where a block's record is, and how long its payload is. */
export interface Location {
  readonly segment: number;
  /** Of the head, in bytes. */
  readonly offset: number;
  readonly length: number;
}

export interface Head {
  readonly block: BlockId;
  readonly location: Location;
  /** A view of what was decoded. */
  readonly checksums: Buffer;
}

export function alignUp(bytes: number): number {
  return Math.ceil(bytes / pageBytes) * pageBytes;
}

export function headBytes(length: number): number {
  return alignUp(headerBytes + 4 * unitCount(length));
}

export function recordBytes(length: number): number {
  return headBytes(length) + alignUp(length);
}

export const headBytesMax = headBytes(limits.blockBytesMax);
export const recordBytesMax = recordBytes(limits.blockBytesMax);

/** Writes a whole record at the start of `into`; returns its bytes. */
export function encodeRecord(
  into: Buffer,
  record: { node: NodeId; block: BlockId; location: Location; bytes: Uint8Array; checksums: Uint8Array },
): number {
  const { node, block, location, bytes, checksums } = record;
  assert(bytes.length === location.length && checksums.length === 4 * unitCount(bytes.length), "a record's sizes");
  const payloadAt = headBytes(location.length);
  const end = recordBytes(location.length);
  into.fill(0, 0, headerBytes);
  into.writeUInt32LE(recordMagic, 0);
  into.writeUInt16LE(segmentFormat, 4);
  into.writeUInt16LE(block.group, 6);
  into.write(node, 8, "hex");
  into.writeUInt32LE(location.segment, 16);
  into.writeUInt32LE(location.offset / pageBytes, 20);
  into.writeUIntLE(block.number, 24, 6);
  into.writeUInt32LE(location.length, 32);
  into.set(checksums, headerBytes);
  into.writeUInt32LE(headCrc(into, node, location, checksums.length), crcAt);
  into.fill(0, headerBytes + checksums.length, payloadAt);
  into.set(bytes, payloadAt);
  into.fill(0, payloadAt + bytes.length, end);
  return end;
}

/**
 * The head at the start of `from`, if it is whole, undamaged, and belongs to this place of this node. `from` should
 * have `headBytesMax` bytes, less only at the file's end.
 */
export function decodeHead(from: Buffer, place: { node: NodeId; segment: number; offset: number }): Head | undefined {
  if (from.length < headerBytes || from.readUInt32LE(0) !== recordMagic) return undefined;
  if (from.readUInt16LE(4) !== segmentFormat) return undefined;
  const length = from.readUInt32LE(32);
  if (length === 0 || length > limits.blockBytesMax) return undefined;
  const sumBytes = 4 * unitCount(length);
  if (from.length < headerBytes + sumBytes) return undefined;
  const location: Location = { segment: place.segment, offset: place.offset, length };
  if (from.readUInt32LE(crcAt) !== headCrc(from, place.node, location, sumBytes)) return undefined;
  return {
    block: { group: toGroupId(from.readUInt16LE(6)), number: from.readUIntLE(24, 6) },
    location,
    checksums: from.subarray(headerBytes, headerBytes + sumBytes),
  };
}

/** Whether a record might begin here: cheap, before `decodeHead`. */
export function looksLikeHead(from: Buffer, at: number): boolean {
  return from.readUInt32LE(at) === recordMagic;
}

export interface Owner {
  readonly node: NodeId;
  readonly cluster: ClusterId;
}

export function encodeFileHeader(into: Buffer, owner: Owner, segment: number): void {
  into.fill(0, 0, fileHeaderBytes);
  into.writeUInt32LE(fileMagic, 0);
  into.writeUInt16LE(segmentFormat, 4);
  into.write(owner.node, 8, "hex");
  into.write(owner.cluster, 16, "hex");
  into.writeUInt32LE(segment, 24);
  into.writeUInt32LE(checksum(into.subarray(0, crcAt)), crcAt);
}

/** Undefined: damaged. */
export function decodeFileHeader(from: Buffer): { node: string; cluster: string; segment: number } | undefined {
  if (from.length < headerBytes || from.readUInt32LE(0) !== fileMagic) return undefined;
  if (from.readUInt32LE(crcAt) !== checksum(from.subarray(0, crcAt))) return undefined;
  if (from.readUInt16LE(4) !== segmentFormat) return undefined;
  return { node: from.toString("hex", 8, 16), cluster: from.toString("hex", 16, 24), segment: from.readUInt32LE(24) };
}

const seedBytes = Buffer.alloc(16);
function headCrc(head: Buffer, node: NodeId, location: Location, sumBytes: number): number {
  seedBytes.write(node, 0, "hex");
  seedBytes.writeUInt32LE(location.segment, 8);
  seedBytes.writeUInt32LE(location.offset / pageBytes, 12);
  const crc = checksum(head.subarray(0, crcAt), checksum(seedBytes));
  return checksum(head.subarray(headerBytes, headerBytes + sumBytes), crc);
}
