/** Whole numbers of 64 bits in records, little endian, kept as doubles below 2^53. */
import { assert } from "./assert.ts";

/** A whole number from 0 to 2^53 - 1 in 8 bytes. */
export function writeU64(into: Buffer, value: number, at: number): void {
  assert(Number.isSafeInteger(value) && value >= 0, "not an exact unsigned number");
  into.writeUInt32LE(value >>> 0, at);
  into.writeUInt32LE(Math.floor(value / 2 ** 32), at + 4);
}

export function readU64(from: Buffer, at: number): number {
  return from.readUInt32LE(at + 4) * 2 ** 32 + from.readUInt32LE(at);
}
