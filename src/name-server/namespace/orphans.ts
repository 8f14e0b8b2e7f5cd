/**
 * The end of inodes. Invariant: an inode with nlink 0 has an orphan record with at least one session that may use it;
 * when the last one lets go, inode and content go in the same transaction (large content by way of the reclaim queue).
 */
import { isRegular, isSymlink, type Attributes } from "../../base/attributes.ts";
import type { Ino, SessionId } from "../../base/ids.ts";
import { inoOfKey, keys } from "../../metadata-store/keys.ts";
import { decodeOrphan, encodeOrphan, type InodeRecord } from "../../metadata-store/records.ts";
import { BlockAccounts } from "./block-accounts.ts";
import { countInodes, type OperationContext } from "./context.ts";
import { dropContent } from "./content.ts";
import { attributesOf, readInode, writeInode } from "./inodes.ts";
import type { Method } from "./types.ts";
import { dropAllXattrs } from "./xattr-store.ts";

export function writeOrphan(context: OperationContext, ino: Ino, sessions: readonly SessionId[]): void {
  context.transaction.put(keys.orphan(ino), encodeOrphan({ sessions }));
}

/**
 * An inode lost its last name (its record says nlink 0 and is not written yet): it stays for the sessions that may use
 * it, or goes. Returns what is left.
 */
export function orphanOrRemove(
  context: OperationContext,
  ino: Ino,
  record: InodeRecord,
  keep: boolean,
): Attributes | null {
  const { session, otherSessions } = context;
  const sessions = keep ? [session, ...otherSessions] : otherSessions;
  if (sessions.length === 0) {
    removeInode(context, ino, record);
    return null;
  }
  writeInode(context.transaction, ino, record);
  writeOrphan(context, ino, sessions);
  if (otherSessions.length > 0) context.orphaned.push(ino);
  return attributesOf(ino, record);
}

/** Removes an inode that nothing names and nobody uses. */
export function removeInode(context: OperationContext, ino: Ino, record: InodeRecord): void {
  const { transaction } = context;
  if (isRegular(record.mode)) {
    const accounts = new BlockAccounts(context);
    dropContent(context, record, accounts);
    accounts.write();
  } else if (isSymlink(record.mode)) transaction.remove(keys.symlink(ino));
  if (record.xattrCount > 0) dropAllXattrs(transaction, ino);
  transaction.remove(keys.inode(ino));
  countInodes(transaction, -1);
}

export const releaseOrphans: Method<"releaseOrphans"> = (context, { inos }) => {
  for (const ino of inos) {
    if (isFull(context)) context.checkpoint();
    releaseOrphan(context, ino, context.session);
  }
  return {};
};

/** One session no longer uses an inode without a name. Nothing happens if there is no such use. */
export function releaseOrphan(context: OperationContext, ino: Ino, session: SessionId): void {
  const value = context.transaction.get(keys.orphan(ino));
  if (value === undefined) return;
  const { sessions } = decodeOrphan(value);
  if (!sessions.includes(session)) return;
  const rest = sessions.filter((other) => other !== session);
  if (rest.length > 0) {
    writeOrphan(context, ino, rest);
    return;
  }
  context.transaction.remove(keys.orphan(ino));
  removeInode(context, ino, readInode(context.transaction, ino));
}

/**
 * Lets go of everything that an ended session kept, in steps of one transaction: returns whether there is more to do.
 * Its unnamed block numbers go with `releaseRanges`.
 */
export function releaseSession(context: OperationContext, session: SessionId): boolean {
  const { transaction } = context;
  const mine: Ino[] = [];
  for (const [key, value] of transaction.range({ gte: keys.orphan(0 as Ino), lt: keys.orphansEnd })) {
    if (decodeOrphan(value).sessions.includes(session)) mine.push(inoOfKey(key));
    if (mine.length > orphansPerStep) break;
  }
  let done = 0;
  for (const ino of mine) {
    if (done === orphansPerStep || isFull(context)) return true;
    releaseOrphan(context, ino, session);
    done++;
  }
  return false;
}

const orphansPerStep = 256;
/** Removing one more inode (at most 1,024 xattr pieces and some content) might not fit. */
const comfortableKeys = 2_500;

function isFull(context: OperationContext): boolean {
  return context.transaction.keys > comfortableKeys;
}
