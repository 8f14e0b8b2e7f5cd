/** Reading the namespace: lookup, getattr, readlink, readdir, open, statfs. Nothing here changes anything. */
import { fileType } from "../../base/attributes.ts";
import { FsError } from "../../base/errno.ts";
import type { Ino } from "../../base/ids.ts";
import { limits } from "../../base/limits.ts";
import { entryOfKey, keys } from "../../metadata-store/keys.ts";
import { decodeEntry, decodeInode } from "../../metadata-store/records.ts";
import type { MetadataReader } from "../../metadata-store/types.ts";
import { access } from "../../protocol/permission.ts";
import { requireAccess } from "./access.ts";
import { countOfInodes } from "./context.ts";
import { findEntry } from "./entries.ts";
import { attributesOf, readDirectory, readInode } from "./inodes.ts";
import type { Method, Reply } from "./types.ts";

export const lookup: Method<"lookup"> = ({ transaction }, { parent, name }) => {
  if (name === ".") return { attributes: attributesOf(parent, readInode(transaction, parent)) };
  if (name === "..") {
    const above = readDirectory(transaction, parent).parent as Ino;
    return { attributes: attributesOf(above, readInode(transaction, above)) };
  }
  const entry = findEntry(transaction, parent, name);
  if (entry !== undefined) return { attributes: attributesOf(entry.ino, readNamed(transaction, entry.ino)) };
  readDirectory(transaction, parent);
  return { attributes: null };
};

export const getattr: Method<"getattr"> = ({ transaction }, { ino }) => ({
  attributes: attributesOf(ino, readInode(transaction, ino)),
});

export const readlink: Method<"readlink"> = ({ transaction }, { ino }) => {
  const target = transaction.get(keys.symlink(ino));
  if (target !== undefined) return { target: Buffer.from(target) };
  readInode(transaction, ino);
  throw new FsError("EINVAL", `inode ${String(ino)} is no symlink`);
};

/** Asks the permission that open(2) asks; what cannot be opened is refused as there. */
export const open: Method<"open"> = ({ transaction }, { caller, ino, read, write }) => {
  const record = readInode(transaction, ino);
  const type = record.mode & fileType.mask;
  if (type === fileType.symlink) throw new FsError("ELOOP", `inode ${String(ino)} is a symlink`);
  if (type === fileType.directory && write) throw new FsError("EISDIR", `inode ${String(ino)}`);
  const want = (read ? access.read : 0) | (write ? access.write : 0);
  requireAccess(transaction, caller, ino, record, want);
  return { attributes: attributesOf(ino, record) };
};

/** What an entry takes in a message, beside its name and with attributes. */
const entryBytes = 32;
const attributesBytes = 160;

export const readdir: Method<"readdir"> = ({ transaction }, { ino, cookie, bytesMax, plus }) => {
  const directory = readDirectory(transaction, ino);
  const entries: Reply<"readdir">["entries"] = [];
  const room = Math.min(bytesMax, limits.messageBytesMax / 2);
  const bounds = { gte: keys.entriesFrom(ino, cookie === 0 ? 0 : cookie + 1), lt: keys.entriesEnd(ino) };
  const parent = directory.parent as Ino;
  let bytes = 0;
  let last = -1;
  for (const [key, value] of transaction.range(bounds)) {
    const { hash, name } = entryOfKey(key);
    // Equal hashes stay together: the cookie could not say where to go on between them.
    if (bytes >= room && hash !== last) return { parent, entries, end: false };
    const entry = decodeEntry(value);
    const shown = { name, ino: entry.ino, type: entry.type, cookie: hash };
    entries.push(plus ? { ...shown, attributes: attributesOf(entry.ino, readNamed(transaction, entry.ino)) } : shown);
    bytes += name.length + entryBytes + (plus ? attributesBytes : 0);
    last = hash;
  }
  return { parent, entries, end: true };
};

export const statfs: Method<"statfs"> = (context) => {
  const { bytesTotal, bytesFree, filesFree } = context.space();
  const files = countOfInodes(context.transaction) + filesFree;
  return { bytesTotal, bytesFree, files, filesFree };
};

/** An inode that an entry names: it must be there. */
function readNamed(reader: MetadataReader, ino: Ino): ReturnType<typeof decodeInode> {
  const value = reader.get(keys.inode(ino));
  if (value === undefined) throw new FsError("EIO", `a directory names inode ${String(ino)}, which is not there`);
  return decodeInode(value);
}
