/**
 * A snapshot: the whole state at one position as logical records, independent of LMDB's format. File
 * `snapshot/<index, 16 hexadecimal digits>.snapshot`, little endian:
 *
 *   header, 32 bytes: magic "DFSS":4 format 1:2 zero:2 epoch:8 index:8 crc:4 CRC of the 28 bytes before:4
 *   chunk, any number: magic "DFSC":4 body length:4 entries:4 number:4 body CRC:4 CRC of the 20 bytes before:4, body:
 *                      for each entry key length:2 value length:4 key value; keys ascend through the whole file
 *   manifest         : a chunk with magic "DFSM" whose body is chunks:8 entries:8 table sums; nothing follows it
 */
import { checksum } from "../base/checksum.ts";
import { FsError } from "../base/errno.ts";
import type { Position } from "../journal/position.ts";
import { readU64, writeU64 } from "./record-codec.ts";
import type { TableSums } from "./table-sums.ts";
import type { Key } from "./types.ts";

export const snapshotHeaderBytes = 32;
export const chunkHeaderBytes = 24;
const headerMagic = 0x53534644;
const chunkMagic = 0x43534644;
const manifestMagic = 0x4d534644;
const format = 1;
const entryHeaderBytes = 6;

export interface ChunkHeader {
  readonly isManifest: boolean;
  readonly bodyBytes: number;
  readonly entries: number;
  readonly number: number;
  readonly bodyCrc: number;
}

export function encodeSnapshotHeader(position: Position): Buffer {
  const bytes = Buffer.alloc(snapshotHeaderBytes);
  bytes.writeUInt32LE(headerMagic, 0);
  bytes.writeUInt16LE(format, 4);
  writeU64(bytes, position.epoch, 8);
  writeU64(bytes, position.index, 16);
  bytes.writeUInt32LE(position.crc, 24);
  bytes.writeUInt32LE(checksum(bytes.subarray(0, 28)), 28);
  return bytes;
}

/** Undefined if it is damaged. Throws if it is of an unknown format. */
export function decodeSnapshotHeader(bytes: Buffer): Position | undefined {
  if (bytes.length < snapshotHeaderBytes || bytes.readUInt32LE(0) !== headerMagic) return undefined;
  if (bytes.readUInt32LE(28) !== checksum(bytes.subarray(0, 28))) return undefined;
  if (bytes.readUInt16LE(4) !== format)
    throw new FsError("EOPNOTSUPP", "the snapshot has an unknown format: start a newer version");
  return { epoch: readU64(bytes, 8), index: readU64(bytes, 16), crc: bytes.readUInt32LE(24) };
}

export function encodeChunk(number: number, entries: readonly (readonly [Key, Buffer])[]): Buffer {
  const bodyBytes = entries.reduce((sum, [key, value]) => sum + entryHeaderBytes + key.length + value.length, 0);
  const bytes = Buffer.allocUnsafe(chunkHeaderBytes + bodyBytes);
  let at = chunkHeaderBytes;
  for (const [key, value] of entries) {
    bytes.writeUInt16LE(key.length, at);
    bytes.writeUInt32LE(value.length, at + 2);
    at += entryHeaderBytes;
    bytes.write(key, at, "latin1");
    at += key.length;
    bytes.set(value, at);
    at += value.length;
  }
  return withChunkHeader(bytes, chunkMagic, entries.length, number);
}

export function encodeManifest(number: number, entries: number, sums: TableSums): Buffer {
  const tables = sums.encode();
  const bytes = Buffer.alloc(chunkHeaderBytes + 16 + tables.length);
  writeU64(bytes, number, chunkHeaderBytes);
  writeU64(bytes, entries, chunkHeaderBytes + 8);
  tables.copy(bytes, chunkHeaderBytes + 16);
  return withChunkHeader(bytes, manifestMagic, 0, number);
}

function withChunkHeader(bytes: Buffer, magic: number, entries: number, number: number): Buffer {
  bytes.writeUInt32LE(magic, 0);
  bytes.writeUInt32LE(bytes.length - chunkHeaderBytes, 4);
  bytes.writeUInt32LE(entries, 8);
  bytes.writeUInt32LE(number, 12);
  bytes.writeUInt32LE(checksum(bytes.subarray(chunkHeaderBytes)), 16);
  bytes.writeUInt32LE(checksum(bytes.subarray(0, 20)), 20);
  return bytes;
}

export function decodeChunkHeader(bytes: Buffer): ChunkHeader | undefined {
  if (bytes.length < chunkHeaderBytes || bytes.readUInt32LE(20) !== checksum(bytes.subarray(0, 20))) return undefined;
  const magic = bytes.readUInt32LE(0);
  if (magic !== chunkMagic && magic !== manifestMagic) return undefined;
  return {
    isManifest: magic === manifestMagic,
    bodyBytes: bytes.readUInt32LE(4),
    entries: bytes.readUInt32LE(8),
    number: bytes.readUInt32LE(12),
    bodyCrc: bytes.readUInt32LE(16),
  };
}

/** Entries of a body whose CRC is right; values are slices of it. */
export function decodeEntries(header: ChunkHeader, body: Buffer): (readonly [Key, Buffer])[] {
  const entries: (readonly [Key, Buffer])[] = [];
  let at = 0;
  for (let i = 0; i < header.entries; i++) {
    const keyEnd = at + entryHeaderBytes + body.readUInt16LE(at);
    const valueEnd = keyEnd + body.readUInt32LE(at + 2);
    entries.push([body.toString("latin1", at + entryHeaderBytes, keyEnd), body.subarray(keyEnd, valueEnd)]);
    at = valueEnd;
  }
  return entries;
}

export function decodeManifest(body: Buffer): { chunks: number; entries: number; sums: Buffer } {
  return { chunks: readU64(body, 0), entries: readU64(body, 8), sums: body.subarray(16) };
}
