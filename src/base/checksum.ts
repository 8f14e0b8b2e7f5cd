/**
 * CRC-32 (the IEEE polynomial, as zlib computes it: 5.7 GB/s). Block content is summed per unit of 4 KiB, each sum
 * seeded with the block's id and the unit's number, so that right bytes in the wrong place fail.
 */
import { crc32 } from "node:zlib";
import type { BlockId } from "./ids.ts";
import { limits } from "./limits.ts";

export function checksum(bytes: Uint8Array, seed = 0): number {
  return crc32(bytes, seed);
}

const unit = limits.checksumUnitBytes;

export function unitCount(length: number): number {
  return Math.ceil(length / unit);
}

/**
 * The checksums of `bytes`, which are the units of `block` from number `firstUnit` on: 4 bytes (little endian) for each
 * begun unit of 4 KiB. `bytes` starts at a unit's boundary; its last unit may be short only at the block's end. Fresh.
 */
export function blockChecksums(block: BlockId, bytes: Uint8Array, firstUnit = 0): Buffer {
  const count = unitCount(bytes.length);
  const sums = Buffer.allocUnsafe(count * 4);
  for (let i = 0; i < count; i++) {
    const piece = bytes.subarray(i * unit, Math.min((i + 1) * unit, bytes.length));
    sums.writeUInt32LE(crc32(piece, unitSeed(block, firstUnit + i)), i * 4);
  }
  return sums;
}

/** The index (within `bytes`) of the first unit that does not match `sums`, or -1. Arguments as for `blockChecksums`. */
export function firstBadUnit(block: BlockId, bytes: Uint8Array, sums: Buffer, firstUnit = 0): number {
  const count = unitCount(bytes.length);
  if (sums.length !== count * 4) return 0;
  for (let i = 0; i < count; i++) {
    const piece = bytes.subarray(i * unit, Math.min((i + 1) * unit, bytes.length));
    if (crc32(piece, unitSeed(block, firstUnit + i)) !== sums.readUInt32LE(i * 4)) return i;
  }
  return -1;
}

/** Mixes group, number and unit into 32 bits; any two units of a cluster's life rarely share one. */
function unitSeed(block: BlockId, unitNumber: number): number {
  const low = block.number >>> 0;
  const high = Math.floor(block.number / 2 ** 32);
  let seed = Math.imul(low ^ 0x9e3779b9, 0x85ebca6b);
  seed = Math.imul((seed ^ (seed >>> 15)) + ((high << 16) | block.group), 0xc2b2ae35);
  return (seed ^ (seed >>> 13) ^ Math.imul(unitNumber, 0x27d4eb2f)) >>> 0;
}
