/**
 * Where the kernel has each directory: it keeps one dentry for a directory, under the name that it looked up last.
 *
 * When another machine has moved the directory, a lookup of the new name moves that dentry, but not while the lookup
 * belongs to a rename between two directories: the kernel's lock for moving dentries is taken then. The rename ends with
 * ESTALE, is tried once more by the kernel, and would fail again. So what is seen at a new place is dropped from the old
 * one behind the answer: the second try finds nothing in its way.
 *
 * Advisory: a place that is wrong costs the kernel one lookup.
 */
import type { Ino } from "../base/ids.ts";
import type { Name } from "../base/name.ts";
import type { Core } from "./core.ts";
import type { Inode } from "./inode.ts";

/** The kernel is about to learn that the inode has this name, by an answer about its parent. */
export function seenAt(core: Core, inode: Inode, parent: Ino, name: Name): void {
  inode.seenIn = parent;
  if (!inode.directory) return;
  const before = inode.place;
  if (before?.parent === parent && before.name === name) return;
  inode.place = { parent, name };
  // Within one directory a dentry moves without that lock.
  if (before === undefined || before.parent === parent || core.notifier === undefined) return;
  core.background.run("forget where a directory was", core.notifier.invalidateEntry(before.parent, before.name));
}

/** The kernel has moved its dentry by itself. */
export function movedTo(inode: Inode | undefined, parent: Ino, name: Name): void {
  if (inode?.directory === true) inode.place = { parent, name };
}
