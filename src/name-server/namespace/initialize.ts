/** The namespace of a new cluster: a root directory, as mkfs makes it. */
import { fileType, type Nanos } from "../../base/attributes.ts";
import { rootIno } from "../../base/ids.ts";
import { keys } from "../../metadata-store/keys.ts";
import { countInodes } from "./context.ts";
import { writeInode } from "./inodes.ts";
import type { Transaction } from "./transaction.ts";

/** Does nothing where there is a root already. */
export function initialize(transaction: Transaction, now: Nanos): void {
  if (transaction.get(keys.inode(rootIno)) !== undefined) return;
  writeInode(transaction, rootIno, {
    flags: 0,
    xattrCount: 0,
    mode: fileType.directory | 0o755,
    nlink: 2,
    uid: 0,
    gid: 0,
    rdev: 0,
    size: 0,
    bytesUsed: 0,
    atime: now,
    mtime: now,
    ctime: now,
    btime: now,
    parent: rootIno,
    content: rootIno,
  });
  countInodes(transaction, 1);
}
