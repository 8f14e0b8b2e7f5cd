/** link(2): one more name for an inode; the first one for an inode of O_TMPFILE. */
import { isDirectory } from "../../base/attributes.ts";
import { FsError } from "../../base/errno.ts";
import { limits } from "../../base/limits.ts";
import { keys } from "../../metadata-store/keys.ts";
import { inodeFlags } from "../../metadata-store/records.ts";
import { requireChangeable, requireLiving } from "./access.ts";
import { requireRoom } from "./context.ts";
import { putEntry, requireNoEntry, writeChangedDirectory } from "./entries.ts";
import { attributesOf, changeTime, readInode, typeOf, writeInode } from "./inodes.ts";
import type { Method } from "./types.ts";

export const link: Method<"link"> = (context, { caller, ino, newParent, newName }) => {
  const { transaction } = context;
  requireNoEntry(transaction, newParent, newName);
  const directory = requireChangeable(transaction, caller, newParent);
  requireLiving(directory, newParent);
  const record = readInode(transaction, ino);
  if (isDirectory(record.mode)) throw new FsError("EPERM", `inode ${String(ino)} is a directory`);
  const unnamed = record.nlink === 0;
  if (unnamed && (record.flags & inodeFlags.linkable) === 0) throw new FsError("ENOENT", `inode ${String(ino)}`);
  if (record.nlink >= limits.linksMax) throw new FsError("EMLINK", `inode ${String(ino)}`);
  requireRoom(context);
  // Named again, it belongs to no session any more.
  if (unnamed) transaction.remove(keys.orphan(ino));
  const changed = {
    ...record,
    nlink: record.nlink + 1,
    flags: record.flags & ~inodeFlags.linkable,
    ctime: changeTime(context, record),
  };
  writeInode(transaction, ino, changed);
  const difference = putEntry(context, newParent, newName, { ino, type: typeOf(record) });
  writeChangedDirectory(context, newParent, directory, difference);
  return { attributes: attributesOf(ino, changed) };
};
