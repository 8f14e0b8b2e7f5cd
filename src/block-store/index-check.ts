/**
 * Whether an index is whole, before anything of it is believed. LMDB does not check its pages: one with a flipped bit may
 * lack keys, give them in a wrong order, or lead a search past what a walk finds. Then a block would be missing although its
 * segment has it. About 2 s for a million blocks.
 */
import type { GroupId } from "../base/ids.ts";
import type { IndexBackend } from "./index-backend.ts";
import {
  blockOfKey,
  decodeGreatest,
  decodeLocation,
  decodePosition,
  decodeSegment,
  IndexDamaged,
  kindOfKey,
  type Position,
  type SegmentRow,
} from "./index-codec.ts";
import { recordBytes } from "./record.ts";

const everything = [Buffer.from([0]), Buffer.from([0xff])] as const;

/** Throws IndexDamaged, or whatever the backend throws. */
export function checkIndex(backend: IndexBackend): void {
  const tally = new Tally();
  let previous: Buffer | undefined;
  for (const [key, value] of backend.range(...everything)) {
    if (previous !== undefined && previous.compare(key) >= 0) throw new IndexDamaged("the index is not in order");
    previous = Buffer.from(key);
    tally.add(key, value);
    if (backend.get(key)?.equals(value) !== true) {
      throw new IndexDamaged(`the index does not find its own key ${key.toString("hex")}`);
    }
  }
  if (previous !== undefined) tally.compare();
}

/** What the entries of the blocks add up to, and what the index says about that elsewhere. */
class Tally {
  #blocks = 0;
  readonly #alive = new Map<number, { blocks: number; bytes: number }>();
  readonly #greatestStored = new Map<GroupId, number>();
  readonly #rows: SegmentRow[] = [];
  readonly #greatest = new Map<GroupId, number>();
  #stored: { readonly position: Position; readonly blocks: number } | undefined;

  add(key: Buffer, value: Buffer): void {
    switch (kindOfKey(key)) {
      case "block": {
        const { segment, length } = decodeLocation(key, value);
        const { group, number } = blockOfKey(key);
        const alive = this.#alive.get(segment) ?? { blocks: 0, bytes: 0 };
        alive.blocks += 1;
        alive.bytes += recordBytes(length);
        this.#alive.set(segment, alive);
        this.#greatestStored.set(group, Math.max(number, this.#greatestStored.get(group) ?? 0));
        this.#blocks += 1;
        return;
      }
      case "segment":
        this.#rows.push(decodeSegment(key, value));
        return;
      case "greatest": {
        const { group, number } = decodeGreatest(key, value);
        this.#greatest.set(group, number);
        return;
      }
      case "position":
        this.#stored = decodePosition(value);
        return;
      case undefined:
        throw new IndexDamaged(`an unknown key ${key.toString("hex")} in the index`);
    }
  }

  compare(): void {
    const blocks = this.#stored?.blocks;
    if (blocks !== this.#blocks) {
      throw new IndexDamaged(`the index has ${String(this.#blocks)} blocks, and says ${String(blocks)}`);
    }
    for (const { segment, liveBlocks, liveBytes } of this.#rows) {
      const alive = this.#alive.get(segment) ?? { blocks: 0, bytes: 0 };
      this.#alive.delete(segment);
      if (alive.blocks === liveBlocks && alive.bytes === liveBytes) continue;
      throw new IndexDamaged(`the index counts ${String(liveBlocks)} blocks in segment ${String(segment)} wrongly`);
    }
    for (const segment of this.#alive.keys()) {
      throw new IndexDamaged(`segment ${String(segment)} is not in the index, and has blocks`);
    }
    for (const [group, number] of this.#greatestStored) {
      if (number > (this.#greatest.get(group) ?? -1)) {
        throw new IndexDamaged(`the greatest number of group ${String(group)} is below one that is there`);
      }
    }
  }
}
