/**
 * Blocks of which less than half is named any more, as they are noted by the operations that took the rest: what cleaning
 * looks at. Hints only (an operation that noted one may have been dropped), in order of time, bounded: of what does not
 * fit only that there was something is remembered.
 */
import { blockName, type BlockId, type Ino } from "../../base/ids.ts";
import { limits } from "../../base/limits.ts";

export interface HalfDeadBlock {
  readonly block: BlockId;
  readonly owner: Ino | 0;
  /** Not looked at before: what dies quickly is dead before it is worth a look. */
  readonly dueAt: number;
  /** Not even when space is short: it has just been tried in vain. */
  readonly isRetry?: boolean;
}

export class HalfDeadBlocks {
  readonly #now: () => number;
  readonly #delayMillis: number;
  readonly #blocks = new Map<string, HalfDeadBlock>();
  /** Some were not remembered. */
  overflowed = false;

  constructor(options: { now: () => number; delayMillis: number }) {
    this.#now = options.now;
    this.#delayMillis = options.delayMillis;
  }

  get size(): number {
    return this.#blocks.size;
  }

  note(block: BlockId, owner: Ino | 0, delayMillis = this.#delayMillis): void {
    this.#add({ block, owner, dueAt: this.#now() + delayMillis });
  }

  /** It could not be rewritten: that is not tried again before, however urgent it is. */
  putBack(block: BlockId, owner: Ino | 0, delayMillis: number): void {
    this.#add({ block, owner, dueAt: this.#now() + delayMillis, isRetry: true });
  }

  #add(one: HalfDeadBlock): void {
    const name = blockName(one.block);
    if (this.#blocks.has(name)) return;
    if (this.#blocks.size >= limits.halfDeadBlocksMax) this.overflowed = true;
    else this.#blocks.set(name, one);
  }

  /** Takes up to `count` of those that are due (`early`: of all but retries), longest noted first. */
  take(count: number, early: boolean): HalfDeadBlock[] {
    const taken: HalfDeadBlock[] = [];
    const now = this.#now();
    let looked = 0;
    for (const [name, one] of this.#blocks) {
      if (taken.length >= count || looked++ > lookedMax) break;
      if (one.dueAt > now && (!early || one.isRetry === true)) continue;
      this.#blocks.delete(name);
      taken.push(one);
    }
    return taken;
  }
}

/** Those that were put back for later may stand before others: not all are looked at each time. */
const lookedMax = 4_096;
