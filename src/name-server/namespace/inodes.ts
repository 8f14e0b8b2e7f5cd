/** Inode records: finding, changing and showing them. A change never lets ctime go back. */
import { fileType, isDirectory, isRegular, type Attributes, type Nanos } from "../../base/attributes.ts";
import { FsError } from "../../base/errno.ts";
import type { Ino } from "../../base/ids.ts";
import { keys } from "../../metadata-store/keys.ts";
import { decodeInode, encodeInode, replicasOfInode, type InodeRecord } from "../../metadata-store/records.ts";
import type { MetadataReader } from "../../metadata-store/types.ts";
import type { OperationContext } from "./context.ts";
import type { Transaction } from "./transaction.ts";

/** ESTALE: the number belongs to no inode any more (numbers are not used again). */
export function readInode(reader: MetadataReader, ino: Ino): InodeRecord {
  const value = reader.get(keys.inode(ino));
  if (value === undefined) throw new FsError("ESTALE", `inode ${String(ino)} was removed`);
  return decodeInode(value);
}

export function writeInode(transaction: Transaction, ino: Ino, record: InodeRecord): void {
  transaction.put(keys.inode(ino), encodeInode(record));
}

/** The ctime of a change made now: always later than the last one, so that clients can tell which answer is newer. */
export function changeTime(context: OperationContext, record: InodeRecord): Nanos {
  return context.nowNanos > record.ctime ? context.nowNanos : record.ctime + 1n;
}

/** ENOTDIR unless it is a directory. */
export function readDirectory(reader: MetadataReader, ino: Ino): InodeRecord {
  const record = readInode(reader, ino);
  if (!isDirectory(record.mode)) throw new FsError("ENOTDIR", `inode ${String(ino)}`);
  return record;
}

/** EISDIR or EINVAL unless it is a regular file. */
export function readFile(reader: MetadataReader, ino: Ino): InodeRecord {
  const record = readInode(reader, ino);
  if (!isRegular(record.mode)) throw notAFile(ino, record);
  return record;
}

export function notAFile(ino: Ino, record: InodeRecord): FsError {
  return new FsError(isDirectory(record.mode) ? "EISDIR" : "EINVAL", `inode ${String(ino)} is not a regular file`);
}

const unit = 4_096;

export function attributesOf(ino: Ino, record: InodeRecord): Attributes {
  const directory = isDirectory(record.mode);
  const size = directory ? Math.max(unit, Math.ceil(record.size / unit) * unit) : record.size;
  const replicas = replicasOfInode(record);
  return {
    ino,
    mode: record.mode,
    nlink: record.nlink,
    uid: record.uid,
    gid: record.gid,
    rdev: record.rdev,
    size,
    // Of an empty directory 0: that it is empty need not be asked.
    blocks: Math.ceil((directory ? record.size : record.bytesUsed) / unit) * (unit / 512),
    atime: record.atime,
    mtime: record.mtime,
    ctime: record.ctime,
    btime: record.btime,
    hasXattrs: record.xattrCount > 0,
    ...(replicas === undefined ? {} : { replicas }),
  };
}

/** Undefined: there is no such inode (any more). */
export function findAttributes(reader: MetadataReader, ino: Ino): Attributes | undefined {
  const value = reader.get(keys.inode(ino));
  return value === undefined ? undefined : attributesOf(ino, decodeInode(value));
}

export function typeOf(record: InodeRecord): number {
  return record.mode & fileType.mask;
}
