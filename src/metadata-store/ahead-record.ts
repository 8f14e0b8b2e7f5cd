/**
 * How far a session's ahead log is, and which inode numbers it may still give. Numbers are byte offsets.
 *
 *   AheadRecord   0 format  1 sequence:8  9 entries:2  11 ranges:2  13 errnoBytes  14 errno  ... for each range: first:8
 *                 count:4 usedBytes:2 used (one bit for each number that was given, lowest first, without zeros at the end)
 */
import { checkLength, checkRecord, readU64, writeU64 } from "./record-codec.ts";

const format = 1;
const headBytes = 14;
const rangeBytes = 14;

export interface AheadRecord {
  /** The last batch that was applied whole; 0: none. */
  readonly sequence: number;
  /** So many changes of the next one are applied too. */
  readonly entries: number;
  /** Why the next one was refused, as a name; empty: it was not. */
  readonly errno: string;
  readonly ranges: readonly NumberRange[];
}

/** Inode numbers of a session: first, first + 1, ... without those that were given. */
export interface NumberRange {
  readonly first: number;
  readonly count: number;
  readonly used: Buffer;
}

export function encodeAhead({ sequence, entries, errno, ranges }: AheadRecord): Buffer {
  const bytes = ranges.reduce((sum, { used }) => sum + rangeBytes + used.length, headBytes + errno.length);
  const out = Buffer.allocUnsafe(bytes);
  out[0] = format;
  writeU64(out, sequence, 1);
  out.writeUInt16LE(entries, 9);
  out.writeUInt16LE(ranges.length, 11);
  out[13] = errno.length;
  let at = headBytes + out.write(errno, headBytes, "latin1");
  for (const { first, count, used } of ranges) {
    writeU64(out, first, at);
    out.writeUInt32LE(count, at + 8);
    out.writeUInt16LE(used.length, at + 12);
    used.copy(out, at + rangeBytes);
    at += rangeBytes + used.length;
  }
  return out;
}

/** `used` is a copy. */
export function decodeAhead(from: Buffer): AheadRecord {
  checkRecord(from, "ahead", format, headBytes);
  let at = headBytes + from.readUInt8(13);
  checkRecord(from, "ahead", format, at);
  const errno = from.toString("latin1", headBytes, at);
  const ranges: NumberRange[] = [];
  while (ranges.length < from.readUInt16LE(11)) {
    checkRecord(from, "ahead", format, at + rangeBytes);
    const end = at + rangeBytes + from.readUInt16LE(at + 12);
    checkRecord(from, "ahead", format, end);
    const used = Buffer.from(from.subarray(at + rangeBytes, end));
    ranges.push({ first: readU64(from, at), count: from.readUInt32LE(at + 8), used });
    at = end;
  }
  checkLength(from, "ahead", at);
  return { sequence: readU64(from, 1), entries: from.readUInt16LE(9), errno, ranges };
}
