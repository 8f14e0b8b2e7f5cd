/**
 * How a node's capacity is divided. Growing stops at a reserve of two segments and 1 %. One of them is for blocks that take
 * the place of larger ones; the rest is compaction's, which copies the living of one segment before it gives that back.
 * Space that dead records take counts as free where compaction will give it back.
 */
import { assert } from "../base/assert.ts";
import { limits } from "../base/limits.ts";
import type { SegmentRow } from "./index-codec.ts";
import { alignUp, pageBytes } from "./record.ts";

/** A segment holds at least one whole block. */
const segmentBytesMin = 4.5 * 1024 * 1024;
/** Below this the reserve would be most of it. */
export const capacityBytesMin = 32 * 1024 * 1024;

export function segmentBytesFor(capacityBytes: number): number {
  assert(capacityBytes >= capacityBytesMin, `a capacity of ${String(capacityBytes)} bytes is too small`);
  const sixteenth = alignUp(Math.floor(capacityBytes / 16)) - pageBytes;
  return Math.min(limits.segmentBytes, Math.max(segmentBytesMin, sixteenth));
}

/** What segments may take before puts are refused. */
export function growthLimit(capacityBytes: number): number {
  return Math.floor(capacityBytes * 0.99) - 2 * segmentBytesFor(capacityBytes);
}

/** What puts may take beyond it that free more than they take. */
export function replacingBytes(capacityBytes: number): number {
  return segmentBytesFor(capacityBytes);
}

export function deadBytes(row: SegmentRow): number {
  return row.endBytes - row.liveBytes - pageBytes;
}

/** Always worth it: more than half of the segment is dead. */
export function isMostlyDead(row: SegmentRow): boolean {
  return row.liveBlocks === 0 || deadBytes(row) > row.endBytes / 2;
}

/** The same of the segment that grows, which ends there: a small store would else keep what is dead for ever. */
export function isWorthSealing(row: SegmentRow): boolean {
  return isMostlyDead(row) && deadBytes(row) >= sealedDeadBytesMin;
}

const sealedDeadBytesMin = 4 * 1024 * 1024;

/** Worth it when space is short. */
export function isReclaimable(row: SegmentRow): boolean {
  return row.liveBlocks === 0 ? row.endBytes > pageBytes : deadBytes(row) >= row.endBytes / 8;
}
