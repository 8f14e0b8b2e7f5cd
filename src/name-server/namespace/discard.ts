/**
 * Making a stretch of a file a hole, and cutting its end off, however many extents it has. In rising order of cost:
 *   few extents in the stretch         they are cut in this transaction
 *   few extents outside of it          those move to a fresh content, the old one goes to the reclaim queue
 *   many of both                       the stretch is cut from its end backwards, a transaction at a time
 */
import { isRegular } from "../../base/attributes.ts";
import { assert } from "../../base/assert.ts";
import type { Ino } from "../../base/ids.ts";
import { keys, offsetOfKey } from "../../metadata-store/keys.ts";
import { decodeExtent, encodeExtent, type InodeRecord } from "../../metadata-store/records.ts";
import { BlockAccounts } from "./block-accounts.ts";
import type { OperationContext } from "./context.ts";
import { cutRange, detachContent, endOf, extentsIn, inlineBytes, type StoredExtent } from "./content.ts";
import { writeInode } from "./inodes.ts";

/** Extents cut in one transaction, of two keys each, or moved, of up to four. */
const extentsPerStep = 1_000;
const movedExtentsMax = 900;
const movedInlineBytesMax = 2 * 1024 * 1024;

export interface Stretch {
  readonly start: number;
  readonly end: number;
  /** The stretch reaches to the end of the file, whose size falls to `start`. */
  readonly truncate: boolean;
}

/** Returns the changed record, which the caller changes further and writes. */
export function discardStretch(
  context: OperationContext,
  ino: Ino,
  record: InodeRecord,
  { start, end, truncate }: Stretch,
): InodeRecord {
  assert(isRegular(record.mode), "only files have content");
  const { transaction } = context;
  let rest = record;
  if (record.bytesUsed > 0 && start < end) {
    let found = extentsIn(transaction, record.content, start, end, extentsPerStep + 1);
    const kept = found.length <= extentsPerStep ? undefined : fewOutside(context, record, start, end);
    if (kept !== undefined) rest = moveAway(context, record, { start, end, kept });
    else {
      let until = end;
      while (found.length > extentsPerStep) {
        ({ rest, until } = cutLast(context, ino, rest, { start, end: until, truncate }));
        found = extentsIn(transaction, record.content, start, until, extentsPerStep + 1);
      }
      rest = cut(context, rest, start, until);
    }
  }
  return truncate ? { ...rest, size: start } : rest;
}

function cut(context: OperationContext, record: InodeRecord, start: number, end: number): InodeRecord {
  const accounts = new BlockAccounts(context);
  const removed = cutRange(context.transaction, record.content, start, end, accounts);
  accounts.write();
  return { ...record, bytesUsed: record.bytesUsed - removed };
}

/** The extents that do not lie wholly within [start, end), if they are few. */
function fewOutside(
  context: OperationContext,
  record: InodeRecord,
  start: number,
  end: number,
): readonly StoredExtent[] | undefined {
  const { transaction } = context;
  const before = start === 0 ? [] : extentsIn(transaction, record.content, 0, start, movedExtentsMax + 1);
  const after = end >= record.size ? [] : extentsIn(transaction, record.content, end, record.size, movedExtentsMax + 1);
  const outside = [...before, ...after];
  const inline = outside.reduce((sum, { record: kept }) => sum + (kept.kind === "inline" ? kept.length : 0), 0);
  return outside.length > movedExtentsMax || inline > movedInlineBytesMax ? undefined : outside;
}

/** Gives the file a fresh content with the extents outside of the stretch. */
function moveAway(
  context: OperationContext,
  record: InodeRecord,
  move: { readonly start: number; readonly end: number; readonly kept: readonly StoredExtent[] },
): InodeRecord {
  const { transaction } = context;
  const accounts = new BlockAccounts(context);
  const { start, end } = move;
  const old = record.content;
  // What sticks out of the stretch becomes an extent of its own first; then all that is kept moves as it is.
  for (const stored of move.kept) {
    if (stored.offset < start && endOf(stored) > start)
      cutRange(transaction, old, start, Math.min(endOf(stored), end), accounts);
    if (stored.offset < end && endOf(stored) > end)
      cutRange(transaction, old, Math.max(stored.offset, start), end, accounts);
  }
  accounts.write();
  const content = context.allocator.ino(transaction);
  let bytesUsed = 0;
  const pieces = [
    start > 0 ? { gte: 0, lt: start } : undefined,
    end < record.size ? { gte: end, lt: record.size } : undefined,
  ];
  for (const piece of pieces) {
    if (piece === undefined) continue;
    const bounds = { gte: keys.extent(old, piece.gte), lt: keys.extent(old, piece.lt) };
    for (const [key, value] of transaction.range(bounds)) {
      const stored = { offset: offsetOfKey(key), record: decodeExtent(value) };
      moveExtent(context, old, content, stored);
      accounts.moved(stored.record, old, content);
      bytesUsed += stored.record.length;
    }
  }
  accounts.write();
  detachContent(transaction, old);
  return { ...record, content, bytesUsed };
}

function moveExtent(context: OperationContext, from: Ino, to: Ino, { offset, record }: StoredExtent): void {
  const { transaction } = context;
  if (record.kind === "inline") {
    transaction.put(keys.inline(to, offset), Buffer.from(inlineBytes(transaction, from, offset)));
    transaction.remove(keys.inline(from, offset));
  }
  transaction.put(keys.extent(to, offset), encodeExtent(record));
  transaction.remove(keys.extent(from, offset));
}

/**
 * Cuts the last extents of the stretch and commits: the file is right at every step, shorter or with a larger hole. What
 * is left of the stretch ends at `until`.
 */
function cutLast(
  context: OperationContext,
  ino: Ino,
  record: InodeRecord,
  stretch: Stretch,
): { rest: InodeRecord; until: number } {
  const { transaction } = context;
  const bounds = {
    gte: keys.extent(record.content, stretch.start),
    lt: keys.extent(record.content, stretch.end),
    reverse: true,
    limit: extentsPerStep,
  };
  let from = stretch.end;
  for (const [key] of transaction.range(bounds)) from = offsetOfKey(key);
  const rest = cut(context, record, from, stretch.end);
  const shorter = stretch.truncate ? { ...rest, size: from } : rest;
  writeInode(transaction, ino, shorter);
  context.checkpoint();
  return { rest: shorter, until: from };
}
