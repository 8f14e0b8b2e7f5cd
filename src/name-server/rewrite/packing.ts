/**
 * Packing: when inline content takes more of the metadata store than it may, the oldest of it is moved into blocks, many
 * files to one. A cursor goes round through the table, which is in the order in which files were made; what was written a
 * moment ago stays while the table is not far above its bound.
 */
import type { Clock } from "../../base/clock.ts";
import type { Ino } from "../../base/ids.ts";
import { limits } from "../../base/limits.ts";
import type { Log } from "../../base/log.ts";
import { inoOfKey, keys, offsetOfKey } from "../../metadata-store/keys.ts";
import { decodeInode, replicasOfInode } from "../../metadata-store/records.ts";
import type { Key, MetadataStore } from "../../metadata-store/types.ts";
import { inlineBytesSum, inlineTableBytes } from "../namespace/inline-sum.ts";
import { nextTurn } from "../next-turn.ts";
import { isPassing } from "./rewriter.ts";
import type { Place, Rewriter } from "./types.ts";

/** Once above the bound, packing goes on down to this part of it. */
const targetShare = 7 / 8;
/** What was written since stays inline: it may be written again at once. */
const hotMillis = 30_000;
/** Above this part of the bound nothing is spared. */
const farAboveShare = 5 / 4;
const rowsPerStep = 256;
/** So many steps are made until something is packed, or the next tick is waited for. */
const stepsPerRound = 64;
const retryMillis = 10_000;

export interface Packing {
  /** Packs what fits one block, if there is too much. Returns whether there is more to do. Rejects only with ECANCELED. */
  round(): Promise<boolean>;
}

export function createPacking(parts: {
  store: MetadataStore;
  clock: Clock;
  log: Log;
  rewriter: Rewriter;
  copies: number;
  bytesMax: number;
  signal: AbortSignal;
}): Packing {
  const { store, clock, log, rewriter, copies, bytesMax, signal } = parts;
  const begin = keys.inline(0 as Ino, 0);
  let cursor: Key = begin;
  let isPacking = false;
  let notBefore = -Infinity;

  function isHot(content: Ino, now: bigint): boolean {
    const value = store.get(keys.inode(content));
    if (value === undefined) return false;
    const { mtime, ctime } = decodeInode(value);
    const changed = mtime > ctime ? mtime : ctime;
    return now - changed < BigInt(hotMillis) * 1_000_000n;
  }

  /** Enough to make the table so much smaller, or what fits one block. */
  async function nextPlaces(excess: number, sparesHot: boolean): Promise<Place[]> {
    const places: Place[] = [];
    let freed = 0;
    let bytes = 0;
    for (let step = 0; step < stepsPerRound; step++) {
      let count = 0;
      const now = clock.wallNanos();
      for (const [key, value] of store.range({ gte: cursor, lt: inlineEnd, limit: rowsPerStep })) {
        if (places.length === limits.composePiecesMax || bytes + value.length > limits.blockBytesMax) return places;
        if (freed >= excess) return places;
        count++;
        cursor = key + "\0";
        const content = inoOfKey(key);
        if (sparesHot && isHot(content, now)) continue;
        places.push({ content, offset: offsetOfKey(key), record: { kind: "inline", length: value.length } });
        bytes += value.length;
        freed += inlineTableBytes(value.length);
      }
      if (count < rowsPerStep) {
        cursor = begin;
        break;
      }
      await nextTurn();
      if (signal.aborted) return [];
    }
    return places;
  }

  /** Of files with a number of copies of their own the most that one of them wants. */
  function copiesFor(places: readonly Place[]): number {
    let most = copies;
    for (const { content } of places) {
      const value = store.get(keys.inode(content));
      most = Math.max(most, (value === undefined ? undefined : replicasOfInode(decodeInode(value))) ?? 0);
    }
    return most;
  }

  return {
    async round() {
      const sum = inlineBytesSum(store);
      isPacking = sum > (isPacking ? bytesMax * targetShare : bytesMax);
      if (!isPacking || clock.monotonicMillis() < notBefore) return false;
      const places = await nextPlaces(sum - bytesMax * targetShare, sum <= bytesMax * farAboveShare);
      // What was looked at is hot: the next rows come with the next tick.
      if (places.length === 0) return false;
      try {
        await rewriter.rewrite(places, { copies: copiesFor(places), signal });
      } catch (error) {
        if (signal.aborted) throw error;
        notBefore = clock.monotonicMillis() + retryMillis;
        if (!isPassing(error)) log.warn({ err: error }, "inline content was not packed, trying again");
        return false;
      }
      return true;
    },
  };
}

const inlineEnd: Key = "o";
