/** The blocks that the files at or below one inode name: for a check of a part of the filesystem. */
import { isDirectory, isRegular } from "../../base/attributes.ts";
import type { Ino } from "../../base/ids.ts";
import { keys } from "../../metadata-store/keys.ts";
import { decodeEntry, decodeExtent } from "../../metadata-store/records.ts";
import type { Key } from "../../metadata-store/types.ts";
import { decoded, inodeOf } from "./records.ts";
import type { Check } from "./types.ts";
import { each } from "./walk.ts";

type Reading = Pick<Check, "state" | "pause" | "stretch">;

/** Undefined: there are too many to keep in memory; then all blocks are looked at. */
export async function blocksBelow(reading: Reading, top: Ino): Promise<ReadonlySet<Key> | undefined> {
  const blocks = new Set<Key>();
  const seen = new Set<Ino>();
  const left: Ino[] = [top];
  for (let ino = left.pop(); ino !== undefined; ino = left.pop()) {
    if (seen.has(ino)) continue;
    seen.add(ino);
    if (blocks.size > reading.stretch || seen.size + left.length > reading.stretch) return undefined;
    const record = inodeOf(reading.state, ino);
    if (record === undefined) continue;
    if (isDirectory(record.mode)) {
      await each(reading, keys.entriesFrom(ino, 0).slice(0, 9), (key, value) => {
        const entry = decoded({ report: () => undefined }, key, () => decodeEntry(value));
        if (entry !== undefined) left.push(entry.ino);
      });
    } else if (isRegular(record.mode) && record.bytesUsed > 0) {
      await each(reading, keys.extent(record.content, 0).slice(0, 9), (key, value) => {
        const extent = decoded({ report: () => undefined }, key, () => decodeExtent(value));
        if (extent?.kind === "block") blocks.add(keys.block(extent.block));
      });
    }
  }
  return blocks;
}
