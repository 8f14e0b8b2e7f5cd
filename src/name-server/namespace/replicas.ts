/**
 * How many copies the content of files is to have: kept in the inode, inherited by what is made in a directory.
 *
 * Invariant: a file with a number of its own that names a block of a group with another number is in the queue of
 * conversions, whatever way the block came there (written before, by a client that did not know yet, cloned).
 */
import { isDirectory, isRegular } from "../../base/attributes.ts";
import { FsError } from "../../base/errno.ts";
import type { GroupId, Ino } from "../../base/ids.ts";
import { entryOfKey, keys } from "../../metadata-store/keys.ts";
import {
  decodeEntry,
  decodeGroup,
  decodeInode,
  encodeConversion,
  replicasOfInode,
  withReplicas,
  type InodeRecord,
} from "../../metadata-store/records.ts";
import type { Extent } from "../../protocol/types.ts";
import { requireOwner } from "./access.ts";
import { requireRoom, type OperationContext } from "./context.ts";
import { attributesOf, changeTime, readInode, writeInode } from "./inodes.ts";
import type { Transaction } from "./transaction.ts";
import type { Method } from "./types.ts";

export const setReplicas: Method<"setReplicas"> = (context, { caller, ino, replicas }) => {
  const record = readInode(context.transaction, ino);
  requireOwner(caller, ino, record);
  if (!isDirectory(record.mode) && !isRegular(record.mode)) {
    throw new FsError("EINVAL", `inode ${String(ino)} is neither file nor directory: it has no content to copy`);
  }
  requireRoom(context);
  return { attributes: attributesOf(ino, give(context, ino, record, replicas)) };
};

function give(context: OperationContext, ino: Ino, record: InodeRecord, replicas: number): InodeRecord {
  const changed = { ...withReplicas(record, replicas), ctime: changeTime(context, record) };
  writeInode(context.transaction, ino, changed);
  if (isDirectory(record.mode)) queueTree(context, ino, replicas, 0);
  else if (record.bytesUsed > 0) queueFile(context, ino);
  return changed;
}

/** Content of the file was put into these extents: those of other groups than it wants are to be converted. */
export function noteReplicas(
  context: OperationContext,
  ino: Ino,
  record: InodeRecord,
  extents: readonly Extent[],
): void {
  const wanted = replicasOfInode(record);
  if (wanted === undefined) return;
  let last: GroupId | undefined;
  for (const extent of extents) {
    if (extent.kind !== "block" || extent.block.group === last) continue;
    last = extent.block.group;
    if (replicasOfGroup(context.transaction, last) === wanted) continue;
    queueFile(context, ino);
    return;
  }
}

/** How many entries of a directory one step looks at. */
const entriesPerStep = 64;

/**
 * Gives the next entries of a directory so many copies. Returns where to go on; undefined: that was all, or the directory
 * is not there any more.
 */
export function convertEntries(
  context: OperationContext,
  directory: Ino,
  from: { readonly cookie: number; readonly replicas: number },
): number | undefined {
  const { transaction } = context;
  const bounds = {
    gte: keys.entriesFrom(directory, from.cookie),
    lt: keys.entriesEnd(directory),
    limit: entriesPerStep,
  };
  let looked = 0;
  let last = from.cookie;
  for (const [key, value] of [...transaction.range(bounds)]) {
    looked++;
    last = entryOfKey(key).hash;
    const { ino } = decodeEntry(value);
    const found = transaction.get(keys.inode(ino));
    if (found === undefined) continue;
    const record = decodeInode(found);
    const isRight = replicasOfInode(record) === from.replicas;
    // What is below a directory may be different, whatever it is itself.
    if (isDirectory(record.mode) && isRight) queueTree(context, ino, from.replicas, 0);
    else if (isDirectory(record.mode) || (isRegular(record.mode) && !isRight))
      give(context, ino, record, from.replicas);
  }
  // Several names of one hash are looked at twice, unless a whole step has no other.
  return looked < entriesPerStep ? undefined : Math.max(last, from.cookie + 1);
}

export function queueTree(context: OperationContext, ino: Ino, replicas: number, cookie: number): void {
  const record = { kind: "tree", stamp: stamp(context), cookie, replicas } as const;
  context.transaction.put(keys.conversion("tree", ino), encodeConversion(record));
}

function queueFile(context: OperationContext, ino: Ino): void {
  const record = encodeConversion({ kind: "file", stamp: stamp(context) });
  context.transaction.put(keys.conversion("file", ino), record);
}

function stamp(context: OperationContext): number {
  return context.allocator.reclaimSequence();
}

function replicasOfGroup(transaction: Transaction, group: GroupId): number | undefined {
  const value = transaction.get(keys.group(group));
  return value === undefined ? undefined : decodeGroup(value).replicas;
}
