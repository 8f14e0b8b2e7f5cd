/**
 * Which extents name some blocks: looked for in the contents that are known to, or in all. In steps between which requests
 * are served; what changes meanwhile may be missed, which whoever uses the places notices by the count of references.
 */
import { blockName, type BlockId, type Ino } from "../../base/ids.ts";
import { inoOfKey, keys, offsetOfKey } from "../../metadata-store/keys.ts";
import { decodeBlock, decodeExtent, decodePack, type BlockRecord } from "../../metadata-store/records.ts";
import type { Key, MetadataReader } from "../../metadata-store/types.ts";
import { isHalfDead } from "../namespace/block-accounts.ts";
import type { Place } from "./types.ts";

/** Extents looked at in one turn of the event loop. */
const extentsPerStep = 512;

/** A block to be rewritten, and the extents that were found to name it. */
export interface Wanted {
  readonly block: BlockId;
  readonly record: BlockRecord;
  readonly places: Place[];
}

/** The block as it is now, if it is still worth rewriting. */
export function wantedBlock(reader: MetadataReader, block: BlockId): Wanted | undefined {
  const value = reader.get(keys.block(block));
  if (value === undefined) return undefined;
  const record = decodeBlock(value);
  return isHalfDead(record) ? { block, record, places: [] } : undefined;
}

/** The contents that are known to name a block. */
export function contentsOf(reader: MetadataReader, { block, record }: Wanted): readonly Ino[] {
  if (record.owner !== 0) return [record.owner];
  const pack = reader.get(keys.pack(block));
  return pack === undefined ? [] : decodePack(pack).contents;
}

export function isComplete({ record, places }: Wanted): boolean {
  return places.length === record.references;
}

export class PlaceSearch {
  readonly #reader: MetadataReader;
  readonly #wanted = new Map<string, Wanted>();
  readonly #pause: () => Promise<void>;

  /** `pause`: between two steps. Rejects when the search is to end. */
  constructor(reader: MetadataReader, wanted: readonly Wanted[], pause: () => Promise<void>) {
    this.#reader = reader;
    this.#pause = pause;
    for (const one of wanted) this.#wanted.set(blockName(one.block), one);
  }

  /** Adds what it finds in these contents to the places of the blocks. */
  async inContents(contents: Iterable<Ino>): Promise<void> {
    for (const content of contents) await this.#range(keys.extent(content, 0), keys.extentsEnd(content));
  }

  /** The same in all contents. The blocks have no places yet. */
  async everywhere(): Promise<void> {
    await this.#range(keys.extent(0 as Ino, 0), keys.allExtentsEnd);
  }

  async #range(from: Key, lt: Key): Promise<void> {
    for (let gte = from; ;) {
      let count = 0;
      for (const [key, value] of this.#reader.range({ gte, lt, limit: extentsPerStep })) {
        count++;
        gte = key + "\0";
        const record = decodeExtent(value);
        if (record.kind === "inline") continue;
        const wanted = this.#wanted.get(blockName(record.block));
        wanted?.places.push({ content: inoOfKey(key), offset: offsetOfKey(key), record });
      }
      if (count < extentsPerStep) return;
      await this.#pause();
    }
  }
}
