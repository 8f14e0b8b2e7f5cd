/**
 * Bytes of records: little endian, fixed layouts, first byte the format number. Whole numbers of 48, 56 or 64 bits are
 * kept as doubles below 2^53. A record of an unknown format or length is damage or of a newer version: EIO, never a guess.
 */
import { assert } from "../base/assert.ts";
import { FsError } from "../base/errno.ts";

export { readU64, writeU64 } from "../base/u64.ts";

const scratch = new DataView(new ArrayBuffer(8));

export function writeU48(into: Buffer, value: number, at: number): void {
  into.writeUInt32LE(value >>> 0, at);
  into.writeUInt16LE(Math.floor(value / 2 ** 32), at + 4);
}

export function readU48(from: Buffer, at: number): number {
  return from.readUInt16LE(at + 4) * 2 ** 32 + from.readUInt32LE(at);
}

/** A signed 64-bit time. (Through a DataView: several times faster than Buffer's own bigint methods.) */
export function writeNanos(into: Buffer, value: bigint, at: number): void {
  scratch.setBigInt64(0, value, true);
  into.writeUInt32LE(scratch.getUint32(0, true), at);
  into.writeUInt32LE(scratch.getUint32(4, true), at + 4);
}

export function readNanos(from: Buffer, at: number): bigint {
  scratch.setUint32(0, from.readUInt32LE(at), true);
  scratch.setUint32(4, from.readUInt32LE(at + 4), true);
  return scratch.getBigInt64(0, true);
}

/** An id of 16 hexadecimal digits in 8 bytes. */
export function writeHex(into: Buffer, id: string, at: number): void {
  assert(into.write(id, at, 8, "hex") === 8, "not an id of 16 digits");
}

export function readHex(from: Buffer, at: number): string {
  return from.toString("hex", at, at + 8);
}

/** Throws EIO unless the record has this format and at least this length. */
export function checkRecord(record: Buffer, what: string, format: number, bytesMin: number): void {
  if (record.length >= bytesMin && record[0] === format) return;
  throw new FsError(
    "EIO",
    `${what} record of ${String(record.length)} bytes has format ${String(record[0])}, expected ${String(format)}: ` +
      "written by a newer version, or damaged",
  );
}

/** Throws EIO unless the record ends where its content ends. */
export function checkLength(record: Buffer, what: string, bytes: number): void {
  if (record.length === bytes) return;
  throw new FsError("EIO", `${what} record has ${String(record.length)} bytes, expected ${String(bytes)}`);
}
