/**
 * Which pieces of which blocks make up a range of a file: pure. Stretches of one block that lie near each other (a file
 * that was written in small steps, many small files packed into one block) are read together.
 */
import type { BlockId } from "../base/ids.ts";
import { clipExtent, extentEnd } from "../protocol/extents.ts";
import type { Extent } from "../protocol/types.ts";

/** A piece of the range: `offset` and `length` are the file's. Pieces are in order, without gaps. */
export type ReadPiece =
  | { readonly kind: "hole"; readonly offset: number; readonly length: number }
  | { readonly kind: "inline"; readonly offset: number; readonly length: number; readonly content: Buffer }
  /** The bytes from `from` on of what reading `reads[read]` gives. */
  | {
      readonly kind: "block";
      readonly offset: number;
      readonly length: number;
      readonly read: number;
      readonly from: number;
    };

/** One call of `BlockReader.read`. */
export interface PlannedRead {
  readonly block: BlockId;
  readonly offset: number;
  readonly length: number;
}

export interface ReadPlan {
  readonly pieces: readonly ReadPiece[];
  readonly reads: readonly PlannedRead[];
}

/** Reading this much for nothing is cheaper than another request. */
const gapBytesMax = 8 * 1024;

type BlockExtent = Extent & { kind: "block" };

/**
 * `extents`: those that overlap [offset, offset + length), in order. The end of the file is the caller's business: what
 * no extent covers is a hole. Inline content is a view of the extent's.
 */
export function planRead(extents: readonly Extent[], offset: number, length: number): ReadPlan {
  const end = offset + length;
  const clipped = extents
    .filter((extent) => extent.offset < end && extentEnd(extent) > offset)
    .map((extent) => clipExtent(extent, offset, end));
  const { reads, places } = joinReads(clipped.filter((extent) => extent.kind === "block"));
  const pieces: ReadPiece[] = [];
  let next = offset;
  const holeTo = (to: number): void => {
    if (to > next) pieces.push({ kind: "hole", offset: next, length: to - next });
  };
  for (const extent of clipped) {
    holeTo(extent.offset);
    next = extentEnd(extent);
    const place = places.get(extent);
    if (extent.kind === "inline") {
      pieces.push({ kind: "inline", offset: extent.offset, length: extent.length, content: extent.content });
    } else if (place !== undefined) {
      pieces.push({ kind: "block", offset: extent.offset, length: extent.length, ...place });
    }
  }
  holeTo(end);
  return { pieces, reads };
}

interface Place {
  readonly read: number;
  readonly from: number;
}

/** Groups stretches by block, and those of a block into reads; `places` says where each stretch is found. */
function joinReads(stretches: readonly BlockExtent[]): { reads: PlannedRead[]; places: Map<Extent, Place> } {
  const reads: PlannedRead[] = [];
  const places = new Map<Extent, Place>();
  const inBlockOrder = stretches.length < 2 ? stretches : [...stretches].sort(byPlace);
  for (const stretch of inBlockOrder) {
    const { block, blockOffset, length } = stretch;
    const last = reads.at(-1);
    const to = blockOffset + length;
    if (last !== undefined && isSame(last.block, block) && blockOffset - (last.offset + last.length) <= gapBytesMax) {
      const joined = Math.max(last.offset + last.length, to) - last.offset;
      reads[reads.length - 1] = { ...last, length: joined };
      places.set(stretch, { read: reads.length - 1, from: blockOffset - last.offset });
    } else {
      places.set(stretch, { read: reads.length, from: 0 });
      reads.push({ block, offset: blockOffset, length });
    }
  }
  return { reads, places };
}

function byPlace(a: BlockExtent, b: BlockExtent): number {
  return a.block.group - b.block.group || a.block.number - b.block.number || a.blockOffset - b.blockOffset;
}

function isSame(a: BlockId, b: BlockId): boolean {
  return a.group === b.group && a.number === b.number;
}
