/**
 * Names in directories. Invariants: an entry's type is its inode's; a directory is named by one entry, and its record's
 * `parent` is the directory of that entry; a directory's nlink is 2 and the number of directories in it (0 once removed);
 * its size is the sum of `entryBytes`.
 */
import { fileType } from "../../base/attributes.ts";
import { FsError } from "../../base/errno.ts";
import type { Ino } from "../../base/ids.ts";
import { nameToText, type Name } from "../../base/name.ts";
import { entryOfKey, keys } from "../../metadata-store/keys.ts";
import { decodeEntry, encodeEntry, type EntryRecord, type InodeRecord } from "../../metadata-store/records.ts";
import type { MetadataReader } from "../../metadata-store/types.ts";
import type { OperationContext } from "./context.ts";
import { changeTime, writeInode } from "./inodes.ts";

export function findEntry(reader: MetadataReader, parent: Ino, name: Name): EntryRecord | undefined {
  const value = reader.get(keys.entry(parent, name));
  return value === undefined ? undefined : decodeEntry(value);
}

export function requireEntry(reader: MetadataReader, parent: Ino, name: Name): EntryRecord {
  const entry = findEntry(reader, parent, name);
  if (entry === undefined) throw new FsError("ENOENT", `${nameToText(name)} in directory ${String(parent)}`);
  return entry;
}

export function requireNoEntry(reader: MetadataReader, parent: Ino, name: Name): void {
  if (reader.get(keys.entry(parent, name)) === undefined) return;
  throw new FsError("EEXIST", `${nameToText(name)} in directory ${String(parent)}`);
}

export function requireEmpty(reader: MetadataReader, directory: Ino): void {
  const all = { gte: keys.entriesFrom(directory, 0), lt: keys.entriesEnd(directory), limit: 1 };
  for (const [key] of reader.range(all)) {
    throw new FsError("ENOTEMPTY", `directory ${String(directory)} has ${nameToText(entryOfKey(key).name)}`);
  }
}

/** What adding (or, negated, removing) an entry does to its directory's size and nlink. */
export interface DirectoryDifference {
  readonly size: number;
  readonly nlink: number;
}

export function putEntry(context: OperationContext, parent: Ino, name: Name, entry: EntryRecord): DirectoryDifference {
  context.transaction.put(keys.entry(parent, name), encodeEntry(entry));
  return { size: entryBytes(name), nlink: entry.type === fileType.directory ? 1 : 0 };
}

export function dropEntry(context: OperationContext, parent: Ino, name: Name, entry: EntryRecord): DirectoryDifference {
  context.transaction.remove(keys.entry(parent, name));
  return { size: -entryBytes(name), nlink: entry.type === fileType.directory ? -1 : 0 };
}

/** Writes a directory whose entries changed. Returns its new record. */
export function writeChangedDirectory(
  context: OperationContext,
  ino: Ino,
  record: InodeRecord,
  ...differences: readonly DirectoryDifference[]
): InodeRecord {
  const now = changeTime(context, record);
  let { size, nlink } = record;
  for (const difference of differences) {
    size += difference.size;
    nlink += difference.nlink;
  }
  const changed = { ...record, size, nlink, mtime: now, ctime: now };
  writeInode(context.transaction, ino, changed);
  return changed;
}

function entryBytes(name: Name): number {
  return 16 + name.length;
}
