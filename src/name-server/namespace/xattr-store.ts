/**
 * Extended attributes as they are kept: values cut into pieces, `xattrCount` of the inode counting the pieces of all of
 * them. Permission and meaning are in xattrs.ts.
 */
import { FsError } from "../../base/errno.ts";
import type { Ino } from "../../base/ids.ts";
import { limits } from "../../base/limits.ts";
import type { Name } from "../../base/name.ts";
import { keys, xattrNameOfKey } from "../../metadata-store/keys.ts";
import {
  decodeXattr,
  encodeXattr,
  inodeFlags,
  xattrPieceBytesMax,
  type InodeRecord,
} from "../../metadata-store/records.ts";
import type { MetadataReader } from "../../metadata-store/types.ts";
import { aclXattrs } from "../../protocol/acl.ts";
import type { Transaction } from "./transaction.ts";

/** Pieces of one inode's xattrs, so that removing the inode stays one small transaction. */
const xattrPiecesMax = 1_024;
export const capabilityXattr = "security.capability" as Name;

/** Which flag of the inode says that it has this xattr. */
export function flagOf(name: Name): number {
  if (name === aclXattrs.access) return inodeFlags.accessAcl;
  if (name === aclXattrs.default) return inodeFlags.defaultAcl;
  return name === capabilityXattr ? inodeFlags.capability : 0;
}

/** A copy, or undefined. */
export function readXattr(reader: MetadataReader, ino: Ino, name: Name): Buffer | undefined {
  const value = reader.get(keys.xattr(ino, name));
  if (value === undefined) return undefined;
  const { pieces, first } = decodeXattr(value);
  const all = [first];
  for (let piece = 1; piece < pieces; piece++) {
    const more = reader.get(keys.xattrPiece(ino, name, piece));
    if (more === undefined)
      throw new FsError("EIO", `xattr ${name} of inode ${String(ino)} lacks piece ${String(piece)}`);
    all.push(more);
  }
  return Buffer.concat(all);
}

export function hasXattr(reader: MetadataReader, ino: Ino, name: Name): boolean {
  return reader.get(keys.xattr(ino, name)) !== undefined;
}

/** Names with the pieces of each, in the order of their bytes. */
export function listXattrs(reader: MetadataReader, ino: Ino): readonly { name: Name; pieces: number }[] {
  const found: { name: Name; pieces: number }[] = [];
  for (const [key, value] of reader.range({ gte: keys.xattrsFrom(ino), lt: keys.xattrsEnd(ino) })) {
    const name = xattrNameOfKey(key);
    if (name !== undefined) found.push({ name, pieces: decodeXattr(value).pieces });
  }
  return found;
}

/** Sets or replaces; returns the inode as it is to be written. ENOSPC when the inode has too many. */
export function putXattr(
  transaction: Transaction,
  ino: Ino,
  record: InodeRecord,
  name: Name,
  value: Buffer,
): InodeRecord {
  const without = record.xattrCount === 0 ? record : dropXattr(transaction, ino, record, name);
  const pieces = Math.max(1, Math.ceil(value.length / xattrPieceBytesMax));
  const xattrCount = without.xattrCount + pieces;
  if (xattrCount > xattrPiecesMax || (xattrCount > 250 && !fitsList(transaction, ino, name))) {
    throw new FsError("ENOSPC", `inode ${String(ino)} has no room for one more xattr`);
  }
  transaction.put(keys.xattr(ino, name), encodeXattr(pieces, value.subarray(0, xattrPieceBytesMax)));
  for (let piece = 1; piece < pieces; piece++) {
    const start = piece * xattrPieceBytesMax;
    const copy = Buffer.from(value.subarray(start, start + xattrPieceBytesMax));
    transaction.put(keys.xattrPiece(ino, name, piece), copy);
  }
  return { ...without, xattrCount, flags: without.flags | flagOf(name) };
}

/** Removes it if it is there; returns the inode as it is to be written. */
export function dropXattr(transaction: Transaction, ino: Ino, record: InodeRecord, name: Name): InodeRecord {
  const value = transaction.get(keys.xattr(ino, name));
  if (value === undefined) return record;
  const { pieces } = decodeXattr(value);
  transaction.remove(keys.xattr(ino, name));
  for (let piece = 1; piece < pieces; piece++) transaction.remove(keys.xattrPiece(ino, name, piece));
  return { ...record, xattrCount: record.xattrCount - pieces, flags: record.flags & ~flagOf(name) };
}

/** With the inode itself. */
export function dropAllXattrs(transaction: Transaction, ino: Ino): void {
  for (const [key] of transaction.range({ gte: keys.xattrsFrom(ino), lt: keys.xattrsEnd(ino) }))
    transaction.remove(key);
}

/** listxattr(2) shows at most 64 KiB of names. */
function fitsList(reader: MetadataReader, ino: Ino, added: Name): boolean {
  let bytes = added.length + 1;
  for (const { name } of listXattrs(reader, ino)) bytes += name.length + 1;
  return bytes <= limits.xattrListBytesMax;
}
