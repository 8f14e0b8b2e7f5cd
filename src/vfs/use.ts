/** Inodes in use: open, being opened, or being changed. What happens when the last use ends is said here only. */
import type { Core } from "./core.ts";
import type { Inode } from "./inode.ts";

/** Ends one use: after the last one dirty data goes out, or is dropped with a removed file. */
export function letGo(core: Core, inode: Inode): void {
  inode.opens--;
  if (inode.opens === 0) settle(core, inode);
}

/** Its last name is gone: `kept` says that the name server keeps it until we release it. */
export function removed(core: Core, inode: Inode, kept: boolean): void {
  inode.removed = true;
  inode.orphan = kept;
  inode.xattrs = undefined;
  if (inode.directory) core.dentries.forget(inode.ino);
  if (inode.attributes !== undefined && inode.attributes.nlink > 0) {
    inode.attributes = { ...inode.attributes, nlink: 0 };
  }
  core.accessTimes.drop(inode);
  if (inode.opens === 0) settle(core, inode);
}

function settle(core: Core, inode: Inode): void {
  core.inodeContents.closed(inode);
  if (inode.removed && inode.orphan) {
    inode.orphan = false;
    core.orphans.release(inode.ino);
  }
  core.inodes.dropIfUnused(inode);
}
