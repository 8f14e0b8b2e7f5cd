/**
 * Arithmetic on a file's extents: pure, shared by the name server (which keeps them) and the client (which predicts
 * them). A list is in order of offset, without overlaps; gaps are holes.
 */
import { limits } from "../base/limits.ts";
import type { Extent } from "./types.ts";

export function extentEnd(extent: Extent): number {
  return extent.offset + extent.length;
}

/** The part of an extent within [start, end), which it must overlap. Inline content is a view of the original. */
export function clipExtent(extent: Extent, start: number, end: number): Extent {
  const from = Math.max(extent.offset, start);
  const to = Math.min(extentEnd(extent), end);
  if (from === extent.offset && to === extentEnd(extent)) return extent;
  const skip = from - extent.offset;
  const length = to - from;
  return extent.kind === "block"
    ? { ...extent, offset: from, length, blockOffset: extent.blockOffset + skip }
    : { ...extent, offset: from, length, content: extent.content.subarray(skip, skip + length) };
}

/** What remains of `existing` (each of which overlaps [start, end)) outside of [start, end). */
export function cutExtents(existing: readonly Extent[], start: number, end: number): Extent[] {
  const rest: Extent[] = [];
  for (const extent of existing) {
    if (extent.offset < start) rest.push(clipExtent(extent, extent.offset, start));
    if (extentEnd(extent) > end) rest.push(clipExtent(extent, end, extentEnd(extent)));
  }
  return rest;
}

/** Whether two neighbours can be written as one: the same block going on, or inline content that fits together. */
export function joinExtents(left: Extent, right: Extent): Extent | undefined {
  if (extentEnd(left) !== right.offset) return undefined;
  if (left.kind === "block" && right.kind === "block") {
    const same = left.block.group === right.block.group && left.block.number === right.block.number;
    if (!same || left.blockOffset + left.length !== right.blockOffset) return undefined;
    return { ...left, length: left.length + right.length };
  }
  if (left.kind === "inline" && right.kind === "inline" && left.length + right.length <= limits.inlineBytesMax) {
    return { ...left, length: left.length + right.length, content: Buffer.concat([left.content, right.content]) };
  }
  return undefined;
}
