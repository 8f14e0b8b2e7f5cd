/**
 * The way back of space: detached contents are dereferenced step by step (`reclaimStep`); blocks without references wait
 * for their grace time, are asked for (`dueBlocks`), deleted by the service on their nodes, and forgotten
 * (`blocksDeleted`). A node deletes a block only because it is listed here.
 */
import type { Nanos } from "../../base/attributes.ts";
import type { BlockId, Ino, SessionId } from "../../base/ids.ts";
import { blockOfKey, keys, reclaimSequenceOfKey } from "../../metadata-store/keys.ts";
import { decodeRange, decodeReclaim, detachedFirst, isNamed } from "../../metadata-store/records.ts";
import type { MetadataReader } from "../../metadata-store/types.ts";
import { BlockAccounts, queueForDeletion } from "./block-accounts.ts";
import { dropExtent, extentsFrom } from "./content.ts";
import type { OperationContext } from "./context.ts";
import type { Transaction } from "./transaction.ts";

const extentsPerStepMax = 1_000;

/** How far a content has been taken apart: nothing of it is left before. */
export interface ReclaimPlace {
  readonly content: Ino;
  readonly offset: number;
}

/**
 * Dereferences up to `budget` extents of the oldest detached content. Returns undefined when nothing was left to do, else
 * where it got to: for the next step, in another transaction. (Without `after` a step looks at every key that the steps
 * before it removed and that the base still has: with 17,000 extents that took the name server 2.5 s.)
 */
export function reclaimStep(context: OperationContext, budget: number, after?: ReclaimPlace): ReclaimPlace | undefined {
  const { transaction } = context;
  const detached = { gte: keys.reclaim(detachedFirst), lt: keys.reclaimEnd, limit: 1 };
  for (const [key, value] of transaction.range(detached)) {
    const record = decodeReclaim(value);
    if (record.kind !== "detached") return undefined;
    const { content } = record;
    const limit = Math.max(1, Math.min(budget, extentsPerStepMax));
    const start = after?.content === content ? after.offset : 0;
    const found = extentsFrom(transaction, content, start, Number.MAX_SAFE_INTEGER, limit);
    const accounts = new BlockAccounts(context);
    for (const stored of found) dropExtent(transaction, content, stored, accounts);
    accounts.write();
    if (found.length < limit) transaction.remove(key);
    return { content, offset: (found.at(-1)?.offset ?? start) + 1 };
  }
  return undefined;
}

/** One entry of the queue: to be given to `blocksDeleted` whole, once all its blocks are gone from all their nodes. */
export interface DueBlocks {
  readonly sequence: number;
  readonly blocks: readonly BlockId[];
}

/** The oldest entries from sequence `from` on that were freed at or before `freedBefore`, with about `limit` blocks. */
export function dueBlocks(reader: MetadataReader, freedBefore: Nanos, limit: number, from = 0): DueBlocks[] {
  const due: DueBlocks[] = [];
  let count = 0;
  for (const [key, value] of reader.range({ gte: keys.reclaim(from), lt: keys.reclaim(detachedFirst) })) {
    const record = decodeReclaim(value);
    if (record.kind !== "blocks" || record.freed > freedBefore || count >= limit) break;
    due.push({ sequence: reclaimSequenceOfKey(key), blocks: record.blocks });
    count += record.blocks.length;
  }
  return due;
}

export function blocksDeleted(transaction: Transaction, sequences: readonly number[]): void {
  for (const sequence of sequences) transaction.remove(keys.reclaim(sequence));
}

/**
 * The block numbers of an ended session that nothing names: they may have been written, and are deleted. A commit that
 * names one later is refused, because its range is gone. In steps: returns whether there is more to do.
 */
export function releaseRanges(context: OperationContext, session: SessionId): boolean {
  const { transaction } = context;
  const unnamed: BlockId[] = [];
  for (const [key, value] of transaction.range({ gte: keys.rangesFrom, lt: keys.rangesEnd })) {
    const range = decodeRange(value);
    if (range.session !== session) continue;
    if (unnamed.length >= blocksPerStep) {
      queueForDeletion(context, unnamed);
      return true;
    }
    const { group, number } = blockOfKey(key);
    for (let i = 0; i < range.count; i++) if (!isNamed(range, i)) unnamed.push({ group, number: number + i });
    transaction.remove(key);
  }
  queueForDeletion(context, unnamed);
  return false;
}

const blocksPerStep = 50_000;
