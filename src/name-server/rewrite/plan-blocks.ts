/**
 * How places become blocks: which stretches are copied, one behind the other, and where in the new block each place is
 * then. Pure. A stretch that several places name (clones) is copied once, if the places are in the order of their blocks.
 */
import type { BlockId } from "../../base/ids.ts";
import { limits } from "../../base/limits.ts";
import type { Place, Placed } from "./types.ts";

/** A stretch to copy: of a block, or the inline bytes of a place. */
export type Stretch =
  | { readonly kind: "block"; readonly block: BlockId; readonly offset: number; length: number }
  | { readonly kind: "inline"; readonly length: number; readonly content: Buffer };

export interface PlannedBlock {
  readonly stretches: Stretch[];
  readonly placed: Placed[];
  length: number;
}

/** By content and offset: neighbours become one extent. */
export function byContent(a: Place, b: Place): number {
  return a.content - b.content || a.offset - b.offset;
}

/** By block and offset within it: what is shared stays shared. */
export function byBlock(a: Place, b: Place): number {
  if (a.record.kind === "inline" || b.record.kind === "inline") return byContent(a, b);
  const [left, right] = [a.record, b.record];
  const blocks = left.block.group - right.block.group || left.block.number - right.block.number;
  return blocks || left.blockOffset - right.blockOffset || byContent(a, b);
}

/** `inlineOf`: a copy of the bytes of an inline place; undefined leaves the place out. In the order of `places`. */
export function* planBlocks(
  places: Iterable<Place>,
  inlineOf: (place: Place) => Buffer | undefined,
): Generator<PlannedBlock> {
  let plan: PlannedBlock = { stretches: [], placed: [], length: 0 };
  for (const place of places) {
    if (isFull(plan, place)) {
      yield plan;
      plan = { stretches: [], placed: [], length: 0 };
    }
    add(plan, place, inlineOf);
  }
  if (plan.placed.length > 0) yield plan;
}

function isFull(plan: PlannedBlock, place: Place): boolean {
  if (plan.placed.length === 0) return false;
  return plan.placed.length === limits.composePiecesMax || plan.length + place.record.length > limits.blockBytesMax;
}

function add(plan: PlannedBlock, place: Place, inlineOf: (place: Place) => Buffer | undefined): void {
  const { record } = place;
  if (record.kind === "inline") {
    const content = inlineOf(place);
    if (content === undefined) return;
    plan.placed.push({ ...place, at: plan.length, inline: content });
    plan.stretches.push({ kind: "inline", length: content.length, content });
    plan.length += content.length;
    return;
  }
  const { block, blockOffset, length } = record;
  let last = plan.stretches.at(-1);
  const isOfLast = last?.kind === "block" && last.block.group === block.group && last.block.number === block.number;
  if (!isOfLast || last?.kind !== "block" || blockOffset < last.offset || blockOffset > last.offset + last.length) {
    last = { kind: "block", block, offset: blockOffset, length: 0 };
    plan.stretches.push(last);
  }
  const at = plan.length - last.length + blockOffset - last.offset;
  plan.placed.push({ ...place, at, inline: undefined });
  const more = Math.max(0, blockOffset + length - last.offset - last.length);
  last.length += more;
  plan.length += more;
}
