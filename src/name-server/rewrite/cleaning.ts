/**
 * Cleaning: what lives of blocks that are less than half alive is copied into new blocks, several old ones of a group to
 * one, so that the old ones can be deleted.
 *
 * Blocks come from the notes of operations and from a slow walk through all block records (after a start, and when notes
 * were lost). A block of which the known owners do not account for every reference (clones) is kept until there are many
 * such, or space is short; then one walk through all extents finds the places of all of them.
 *
 * It goes on while all nodes are full, with a part of their reserve: each new block takes the place of several old ones, of
 * its own group, which are more than twice as large.
 */
import { sleep, type Clock } from "../../base/clock.ts";
import { errnoOf } from "../../base/errno.ts";
import { limits } from "../../base/limits.ts";
import { blockName, type GroupId, type Ino } from "../../base/ids.ts";
import type { Log } from "../../base/log.ts";
import { blockOfKey, keys } from "../../metadata-store/keys.ts";
import { decodeBlock } from "../../metadata-store/records.ts";
import type { Key, MetadataStore } from "../../metadata-store/types.ts";
import type { ClusterMaps } from "../cluster-map.ts";
import { isHalfDead } from "../namespace/block-accounts.ts";
import { nextTurn } from "../next-turn.ts";
import { contentsOf, isComplete, PlaceSearch, wantedBlock, type Wanted } from "./find-places.ts";
import type { HalfDeadBlock, HalfDeadBlocks } from "./half-dead.ts";
import { isPassing } from "./rewriter.ts";
import type { Place, Rewriter } from "./types.ts";

/** Blocks looked at together, and about how many places of them are held in memory. */
const blocksPerBatch = 128;
const referencesPerBatch = 65_536;
/** Block records that the walk looks at in one turn. */
const recordsPerStep = 500;
const walkPauseMillis = 250;
const searchPauseMillis = 5;
/** A block that could not be rewritten is looked at again after this time. */
const retryMillis = 30_000;
/** One that found no space: by then what was rewritten before it has given some back. */
const fullRetryMillis = 2 * limits.reclaimGraceMillis;
/** So many shared blocks, or so many dead bytes in them, are worth a walk through all extents, at most so often. */
const sharedWorth = 64;
const sharedWorthBytes = 64 * 1024 * 1024;
const sharedMax = 1_024;
const sharedEveryMillis = 600_000;

export interface Cleaning {
  /** One round: what is due now, one batch. Returns whether there may be more. Rejects only with ECANCELED. */
  round(): Promise<boolean>;
  /** Looks at the next block records, if the walk is not through. */
  walk(): Promise<void>;
}

export function createCleaning(parts: {
  store: MetadataStore;
  clock: Clock;
  log: Log;
  maps: ClusterMaps;
  halfDead: HalfDeadBlocks;
  rewriter: Rewriter;
  isUrgent: () => boolean;
  signal: AbortSignal;
}): Cleaning {
  const { store, clock, log, maps, halfDead, rewriter, isUrgent, signal } = parts;
  const shared = new Map<string, HalfDeadBlock>();
  let sharedDeadBytes = 0;
  let lastSharedAt = -Infinity;
  let walkFrom: Key | undefined = keys.block({ group: 0 as GroupId, number: 0 });
  let walkedAt = -Infinity;

  const pause = (): Promise<void> => (isUrgent() ? nextTurn() : sleep(clock, searchPauseMillis, signal));

  /** As many as fit into memory; the others stay noted. */
  function takeBatch(): Wanted[] {
    const batch: Wanted[] = [];
    let references = 0;
    for (const one of halfDead.take(blocksPerBatch, isUrgent())) {
      const wanted = wantedBlock(store, one.block);
      if (wanted === undefined) continue;
      references += wanted.record.references;
      if (batch.length > 0 && references > referencesPerBatch) halfDead.note(one.block, one.owner, 0);
      else batch.push(wanted);
    }
    return batch;
  }

  function share({ block, record }: Wanted): void {
    if (shared.size >= sharedMax) return;
    shared.set(blockName(block), { block, owner: record.owner, dueAt: 0 });
    sharedDeadBytes += record.length - record.liveBytes;
  }

  async function rewriteAll(found: readonly Wanted[], isShared: boolean): Promise<void> {
    const byGroup = new Map<GroupId, Wanted[]>();
    for (const one of found) {
      const list = byGroup.get(one.block.group);
      if (list === undefined) byGroup.set(one.block.group, [one]);
      else list.push(one);
    }
    for (const [group, list] of byGroup) {
      const copies = maps.replicasOf(group);
      if (copies === undefined) continue;
      let pause = retryMillis;
      try {
        for (const together of portions(list)) {
          const places: Place[] = together.flatMap((one) => one.places);
          await rewriter.rewrite(places, { copies, isShared, replaces: true, signal });
        }
      } catch (error) {
        if (signal.aborted) throw error;
        if (errnoOf(error) === "ENOSPC") pause = fullRetryMillis;
        if (!isPassing(error)) log.warn({ group, err: error }, "half-dead blocks were not rewritten, trying again");
      }
      // What could not be moved, or only in part.
      for (const { block, record } of list)
        if (wantedBlock(store, block) !== undefined) halfDead.putBack(block, record.owner, pause);
    }
  }

  async function cleanOwned(batch: readonly Wanted[]): Promise<void> {
    const contents = new Set<Ino>();
    for (const one of batch) for (const content of contentsOf(store, one)) contents.add(content);
    await new PlaceSearch(store, batch, pause).inContents(contents);
    for (const one of batch) if (!isComplete(one)) share(one);
    await rewriteAll(batch.filter(isComplete), false);
  }

  function isSharedWorth(): boolean {
    if (shared.size === 0) return false;
    const since = clock.monotonicMillis() - lastSharedAt;
    if (isUrgent()) return since > sharedEveryMillis / 10;
    return since > sharedEveryMillis && (shared.size >= sharedWorth || sharedDeadBytes >= sharedWorthBytes);
  }

  async function cleanShared(): Promise<void> {
    const wanted = [...shared.values()].flatMap(({ block }) => wantedBlock(store, block) ?? []);
    shared.clear();
    sharedDeadBytes = 0;
    lastSharedAt = clock.monotonicMillis();
    for (let from = 0; from < wanted.length; from += blocksPerBatch) {
      const batch = wanted.slice(from, from + blocksPerBatch);
      await new PlaceSearch(store, batch, pause).everywhere();
      await rewriteAll(batch.filter(isComplete), true);
    }
  }

  return {
    async round() {
      const batch = takeBatch();
      if (batch.length > 0) await cleanOwned(batch);
      else if (isSharedWorth()) await cleanShared();
      else return false;
      return true;
    },

    async walk() {
      const now = clock.monotonicMillis();
      if (walkFrom === undefined && halfDead.overflowed && halfDead.size === 0) {
        halfDead.overflowed = false;
        walkFrom = keys.block({ group: 0 as GroupId, number: 0 });
      }
      if (walkFrom === undefined || now - walkedAt < walkPauseMillis || halfDead.size > recordsMax) return;
      walkedAt = now;
      let count = 0;
      for (const [key, value] of store.range({ gte: walkFrom, lt: keys.blocksEnd, limit: recordsPerStep })) {
        count++;
        walkFrom = key + "\0";
        const record = decodeBlock(value);
        if (isHalfDead(record)) halfDead.note(blockOfKey(key), record.owner, 0);
      }
      if (count < recordsPerStep) walkFrom = undefined;
      await nextTurn();
    },
  };
}

/** The walk waits while so many are noted. */
const recordsMax = 4_096;

/** As much as one new block holds: each frees all that it is made of, whatever becomes of the next one. */
function* portions(found: readonly Wanted[]): Generator<Wanted[]> {
  const inOrder = [...found].sort((a, b) => a.record.owner - b.record.owner || a.block.number - b.block.number);
  let portion: Wanted[] = [];
  let [bytes, pieces] = [0, 0];
  for (const one of inOrder) {
    const { liveBytes, references } = one.record;
    if (bytes + liveBytes > limits.blockBytesMax || pieces + references > limits.composePiecesMax) {
      if (portion.length > 0) yield portion;
      portion = [];
      [bytes, pieces] = [0, 0];
    }
    portion.push(one);
    bytes += liveBytes;
    pieces += references;
  }
  if (portion.length > 0) yield portion;
}
