/**
 * What LMDB has beside the values: where they stand, and what they add up to.
 *
 *   state, little endian: format 1:1 epoch:8 index:8 crc:4 table sums CRC of all before:4
 */
import { checksum } from "../base/checksum.ts";
import { FsError } from "../base/errno.ts";
import type { Position } from "../journal/position.ts";
import { readU64, writeU64 } from "./record-codec.ts";
import { TableSums } from "./table-sums.ts";
import { checksumBytes, sealOf } from "./value-checksum.ts";

const format = 1;
const headerBytes = 21;

/** Fresh. */
export function encodeState(position: Position, tableSums: TableSums): Buffer {
  const sums = tableSums.encode();
  const bytes = Buffer.alloc(headerBytes + sums.length + checksumBytes);
  bytes[0] = format;
  writeU64(bytes, position.epoch, 1);
  writeU64(bytes, position.index, 9);
  bytes.writeUInt32LE(position.crc, 17);
  sums.copy(bytes, headerBytes);
  const end = bytes.length - checksumBytes;
  bytes.writeUInt32LE(checksum(bytes.subarray(0, end)), end);
  return bytes;
}

/** Throws EIO if it is damaged, or of another format. */
export function decodeState(bytes: Buffer): { position: Position; sums: TableSums } {
  const end = bytes.length - checksumBytes;
  if (end <= headerBytes || sealOf(bytes, bytes.length) !== checksum(bytes.subarray(0, end))) {
    throw new FsError("EIO", "the position stored in LMDB fails its checksum");
  }
  if (bytes[0] !== format) throw new FsError("EIO", "LMDB has an unknown format");
  const position = { epoch: readU64(bytes, 1), index: readU64(bytes, 9), crc: bytes.readUInt32LE(17) };
  return { position, sums: TableSums.decode(bytes.subarray(headerBytes, end)) };
}
