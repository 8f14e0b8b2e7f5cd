/**
 * Values of the metadata store that describe blocks. Numbers are byte offsets.
 *
 *   BlockRecord   0 format  1 length:4  5 references:4  9 liveBytes:8  and from format 2 on  17 owner:8  (17 or 25)
 *   PackRecord    0 format  1 count:2  3 content:8 ...
 */
import type { Ino } from "../base/ids.ts";
import { checkLength, checkRecord, readU64, writeU64 } from "./record-codec.ts";

/** A block that at least one extent names. */
export interface BlockRecord {
  /** The greatest end within the block that an extent has named. */
  readonly length: number;
  /** How many extents name it. */
  readonly references: number;
  /** Sum of the lengths of those extents. */
  readonly liveBytes: number;
  /**
   * A content whose extents name it: the first that did. A hint, which saves a search through all extents; others may name
   * it too (clones). 0: not known, or several from the beginning, which are in a PackRecord then.
   */
  readonly owner: Ino | 0;
}

const format = 2;

export function encodeBlock(record: BlockRecord): Buffer {
  const out = Buffer.allocUnsafe(25);
  out[0] = format;
  out.writeUInt32LE(record.length, 1);
  out.writeUInt32LE(record.references, 5);
  writeU64(out, record.liveBytes, 9);
  writeU64(out, record.owner, 17);
  return out;
}

/** Of format 1 too, which knows no owner. */
export function decodeBlock(from: Buffer): BlockRecord {
  const isOld = from[0] === 1;
  if (isOld) checkLength(from, "block", 17);
  else checkRecord(from, "block", format, 25);
  return {
    length: from.readUInt32LE(1),
    references: from.readUInt32LE(5),
    liveBytes: readU64(from, 9),
    owner: isOld ? 0 : (readU64(from, 17) as Ino | 0),
  };
}

/** The contents from which a block was put together. A hint as `owner` is; lives as long as the block's record. */
export interface PackRecord {
  readonly contents: readonly Ino[];
}

/** So that the record stays a valid value. */
export const packContentsMax = 2_000;

export function encodePack(record: PackRecord): Buffer {
  const out = Buffer.allocUnsafe(3 + record.contents.length * 8);
  out[0] = packFormat;
  out.writeUInt16LE(record.contents.length, 1);
  record.contents.forEach((content, i) => {
    writeU64(out, content, 3 + i * 8);
  });
  return out;
}

export function decodePack(from: Buffer): PackRecord {
  checkRecord(from, "pack", packFormat, 3);
  const count = from.readUInt16LE(1);
  checkLength(from, "pack", 3 + count * 8);
  return { contents: Array.from({ length: count }, (_, i) => readU64(from, 3 + i * 8) as Ino) };
}

const packFormat = 1;
