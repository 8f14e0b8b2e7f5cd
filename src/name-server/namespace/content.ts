/**
 * The extents of one content as they are kept. Invariants: extents do not overlap, end at or before the file's size, and
 * their lengths add up to the inode's `bytesUsed`; an inline extent has its bytes under the same offset.
 */
import { FsError } from "../../base/errno.ts";
import type { Ino } from "../../base/ids.ts";
import { keys, offsetOfKey } from "../../metadata-store/keys.ts";
import {
  decodeExtent,
  detachedFirst,
  encodeExtent,
  encodeReclaim,
  type ExtentRecord,
  type InodeRecord,
} from "../../metadata-store/records.ts";
import type { MetadataReader } from "../../metadata-store/types.ts";
import { cutExtents } from "../../protocol/extents.ts";
import type { Extent } from "../../protocol/types.ts";
import type { BlockAccounts } from "./block-accounts.ts";
import type { OperationContext } from "./context.ts";
import type { Transaction } from "./transaction.ts";

export interface StoredExtent {
  readonly offset: number;
  readonly record: ExtentRecord;
}

export function endOf({ offset, record }: StoredExtent): number {
  return offset + record.length;
}

/** The extents that begin in [start, end), in order; at most `limit` of them. */
export function extentsFrom(
  reader: MetadataReader,
  content: Ino,
  start: number,
  end: number,
  limit = Infinity,
): StoredExtent[] {
  const found: StoredExtent[] = [];
  const bounds = { gte: keys.extent(content, start), lt: keys.extent(content, end) };
  for (const [key, value] of reader.range(bounds)) {
    if (found.length >= limit) break;
    found.push({ offset: offsetOfKey(key), record: decodeExtent(value) });
  }
  return found;
}

/** The extents that overlap [start, end), in order; at most `limit` of them. */
export function extentsIn(
  reader: MetadataReader,
  content: Ino,
  start: number,
  end: number,
  limit = Infinity,
): StoredExtent[] {
  const found = extentsFrom(reader, content, start, end, limit);
  if (start === 0 || found[0]?.offset === start) return found;
  const before = extentBefore(reader, content, start);
  if (before !== undefined && endOf(before) > start) found.unshift(before);
  return found.length > limit ? found.slice(0, limit) : found;
}

/** The last extent that begins before `offset`. */
export function extentBefore(reader: MetadataReader, content: Ino, offset: number): StoredExtent | undefined {
  const bounds = { gte: keys.extent(content, 0), lt: keys.extent(content, offset), reverse: true, limit: 1 };
  for (const [key, value] of reader.range(bounds)) return { offset: offsetOfKey(key), record: decodeExtent(value) };
  return undefined;
}

/** The bytes of an inline extent: borrowed. */
export function inlineBytes(reader: MetadataReader, content: Ino, offset: number): Buffer {
  const bytes = reader.get(keys.inline(content, offset));
  if (bytes === undefined) {
    throw new FsError("EIO", `content ${String(content)} lacks its inline bytes at ${String(offset)}`);
  }
  return bytes;
}

/** As the protocol shows it; inline content is a copy. */
export function toExtent(reader: MetadataReader, content: Ino, { offset, record }: StoredExtent): Extent {
  if (record.kind === "block") return { ...record, offset };
  const bytes = Buffer.from(inlineBytes(reader, content, offset));
  return { kind: "inline", offset, length: record.length, content: bytes };
}

/** Where no extent is. Takes a copy of inline content. */
export function putExtent(transaction: Transaction, content: Ino, extent: Extent, accounts: BlockAccounts): void {
  const { offset, length } = extent;
  let record: ExtentRecord;
  if (extent.kind === "block") {
    record = { kind: "block", length, block: extent.block, blockOffset: extent.blockOffset };
  } else {
    record = { kind: "inline", length };
    transaction.put(keys.inline(content, offset), Buffer.from(extent.content));
  }
  accounts.add(record, content);
  transaction.put(keys.extent(content, offset), encodeExtent(record));
}

/** Makes [start, end) a hole; what sticks out of it on either side stays. Returns how many bytes were removed. */
export function cutRange(
  transaction: Transaction,
  content: Ino,
  start: number,
  end: number,
  accounts: BlockAccounts,
): number {
  return cutFound(transaction, content, extentsIn(transaction, content, start, end), { start, end, accounts });
}

/** As `cutRange`, for whoever knows which extents overlap. */
export function cutFound(
  transaction: Transaction,
  content: Ino,
  found: readonly StoredExtent[],
  cut: { readonly start: number; readonly end: number; readonly accounts: BlockAccounts },
): number {
  let removed = 0;
  for (const stored of found) removed += cutExtent(transaction, content, stored, cut);
  return removed;
}

/**
 * What overlaps [start, end), but not more than `limit` extents of it: `end` of the reply is how far they go (to where
 * the next one begins).
 */
export function overlapUpTo(
  reader: MetadataReader,
  record: InodeRecord,
  stretch: { readonly start: number; readonly end: number; readonly limit: number },
): { readonly found: readonly StoredExtent[]; readonly end: number } {
  const { start, end, limit } = stretch;
  if (start >= record.size || record.bytesUsed === 0) return { found: [], end };
  const found = extentsIn(reader, record.content, start, end, limit + 1);
  const beyond = found[limit];
  return beyond === undefined ? { found, end } : { found: found.slice(0, limit), end: beyond.offset };
}

function cutExtent(
  transaction: Transaction,
  content: Ino,
  stored: StoredExtent,
  cut: { readonly start: number; readonly end: number; readonly accounts: BlockAccounts },
): number {
  const { offset, record } = stored;
  const from = Math.max(offset, cut.start);
  const to = Math.min(endOf(stored), cut.end);
  const whole = from === offset && to === endOf(stored);
  const extent = whole ? undefined : toExtent(transaction, content, stored);
  transaction.remove(keys.extent(content, offset));
  if (record.kind === "inline") transaction.remove(keys.inline(content, offset));
  cut.accounts.subtract(record);
  if (extent !== undefined) {
    for (const rest of cutExtents([extent], from, to)) putExtent(transaction, content, rest, cut.accounts);
  }
  return to - from;
}

/** How many extents go with the inode in its own transaction; more go by way of the reclaim queue. */
const dropAtOnceMax = 16;

/** All content of an inode, which is about to be removed or to get a fresh content. */
export function dropContent(context: OperationContext, record: InodeRecord, accounts: BlockAccounts): void {
  if (record.bytesUsed === 0) return;
  const { transaction } = context;
  const found = extentsIn(transaction, record.content, 0, record.size, dropAtOnceMax + 1);
  if (found.length > dropAtOnceMax) detachContent(transaction, record.content);
  else for (const stored of found) dropExtent(transaction, record.content, stored, accounts);
}

export function dropExtent(
  transaction: Transaction,
  content: Ino,
  stored: StoredExtent,
  accounts: BlockAccounts,
): void {
  transaction.remove(keys.extent(content, stored.offset));
  if (stored.record.kind === "inline") transaction.remove(keys.inline(content, stored.offset));
  accounts.subtract(stored.record);
}

/** Leaves the content to `reclaimStep`: no inode may lead to it any more. */
export function detachContent(transaction: Transaction, content: Ino): void {
  transaction.put(keys.reclaim(detachedFirst + content), encodeReclaim({ kind: "detached", content }));
}
