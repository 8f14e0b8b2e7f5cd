/**
 * The damaged blocks that a node knows of: from the moment when they were found until they are whole again, or gone. Each
 * is told to the name server until then, again and again, with pauses. Bounded: what does not fit is found again by the
 * next pass.
 */
import type { Clock } from "../base/clock.ts";
import { blockName, type BlockId } from "../base/ids.ts";
import { limits } from "../base/limits.ts";
import type { Verdict } from "../block-store/types.ts";

interface Damaged {
  readonly block: BlockId;
  toldAt: number;
}

/** The name server may have been told in vain: it was restarted, or no good copy could be reached. */
const tellAgainMillis = 60_000;

export class DamageList {
  readonly #clock: Clock;
  readonly #blocks = new Map<string, Damaged>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get size(): number {
    return this.#blocks.size;
  }

  /** What a verification says changes the list, and perhaps a count. */
  note(block: BlockId, verdict: Verdict): "found" | "repaired" | undefined {
    const name = blockName(block);
    if (verdict !== "damaged") return this.#blocks.delete(name) && verdict === "whole" ? "repaired" : undefined;
    if (this.#blocks.has(name) || this.#blocks.size >= limits.damagedBlocksMax) return undefined;
    this.#blocks.set(name, { block, toldAt: -Infinity });
    return "found";
  }

  /** Those that were verified the longest ago, so many at most: they are the last ones from now on. */
  next(count: number): BlockId[] {
    const first = [...this.#blocks].slice(0, count);
    for (const [name, damaged] of first) {
      this.#blocks.delete(name);
      this.#blocks.set(name, damaged);
    }
    return first.map(([, { block }]) => block);
  }

  /** Those that the name server has not been told of for some time: it is being told now. */
  toTell(): BlockId[] {
    const now = this.#clock.monotonicMillis();
    const due: BlockId[] = [];
    for (const damaged of this.#blocks.values()) {
      if (due.length >= limits.blocksPerOrderMax) break;
      if (now - damaged.toldAt < tellAgainMillis) continue;
      damaged.toldAt = now;
      due.push(damaged.block);
    }
    return due;
  }

  /** Telling has failed. */
  untold(blocks: readonly BlockId[]): void {
    for (const block of blocks) {
      const damaged = this.#blocks.get(blockName(block));
      if (damaged !== undefined) damaged.toldAt = -Infinity;
    }
  }
}
