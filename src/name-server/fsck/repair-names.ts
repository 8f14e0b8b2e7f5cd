/**
 * Repairs of names. Each looks at its proof in the step in which it runs: an inode of which nothing but the access time
 * has changed since the check has the names that were counted then, because every change of names changes its ctime.
 */
import { fileType, isDirectory, modeBits } from "../../base/attributes.ts";
import { rootIno, type Ino } from "../../base/ids.ts";
import { nameFromText, type Name } from "../../base/name.ts";
import { entryOfKey, keys } from "../../metadata-store/keys.ts";
import { decodeEntry, encodeEntry, type InodeRecord } from "../../metadata-store/records.ts";
import type { Key } from "../../metadata-store/types.ts";
import { makeInode } from "../namespace/create.ts";
import { findEntry, putEntry, writeChangedDirectory } from "../namespace/entries.ts";
import type { OperationContext } from "../namespace/index.ts";
import { changeTime, typeOf, writeInode } from "../namespace/inodes.ts";
import { removeInode } from "../namespace/orphans.ts";
import { inodeOf, isUnchanged } from "./records.ts";
import type { Place, Repair } from "./types.ts";

/** The directory's size and links are made right by the next round. */
export function dropEntryAt(key: Key, parent: Ino): Repair {
  return {
    text: "the entry was removed",
    inos: [parent],
    run({ transaction }) {
      const value = transaction.get(key);
      if (value === undefined) return false;
      const { ino } = decodeEntry(value);
      const { name } = entryOfKey(key);
      const directory = inodeOf(transaction, parent);
      const isSound = directory !== undefined && isDirectory(directory.mode) && directory.nlink > 0;
      if (isSound && keys.entry(parent, name) === key && inodeOf(transaction, ino) !== undefined) return false;
      transaction.remove(key);
      return true;
    },
  };
}

export function fixType(key: Key, ino: Ino, parent: Ino): Repair {
  return {
    text: "the entry was given its inode's type",
    inos: [parent],
    run({ transaction }) {
      const value = transaction.get(key);
      const inode = inodeOf(transaction, ino);
      if (value === undefined || inode === undefined || decodeEntry(value).ino !== ino) return false;
      transaction.put(key, encodeEntry({ ino, type: typeOf(inode) }));
      return true;
    },
  };
}

/** Only if that is its only name. */
export function setParent(ino: Ino, place: Place): Repair {
  return {
    text: "the directory was told where it is",
    inos: [ino],
    run(context, names) {
      const { transaction } = context;
      const inode = inodeOf(transaction, ino);
      if (names.length !== 1 || inode === undefined || inode.nlink === 0) return false;
      if (findEntry(transaction, place.parent, place.name)?.ino !== ino || inode.parent === place.parent) return false;
      writeInode(transaction, ino, { ...inode, parent: place.parent, ctime: changeTime(context, inode) });
      return true;
    },
  };
}

/** Every change of its entries changes a directory's ctime: the sums still hold if that did not change. */
export function fixTotals(ino: Ino, found: InodeRecord, right: { size: number; nlink: number }): Repair {
  return {
    text: "size and links were corrected",
    inos: [ino],
    run(context) {
      if (!isUnchanged(context.transaction, ino, found)) return false;
      writeInode(context.transaction, ino, { ...found, ...right, ctime: changeTime(context, found) });
      return true;
    },
  };
}

export function countLinks(ino: Ino, found: InodeRecord): Repair {
  return {
    text: "the count of links was corrected",
    inos: [ino],
    run(context, names) {
      const { transaction } = context;
      if (!isUnchanged(transaction, ino, found) || !areHeld(context, ino, names) || names.length === 0) return false;
      // Whoever has a name is nobody's orphan.
      transaction.remove(keys.orphan(ino));
      writeInode(transaction, ino, { ...found, nlink: names.length, ctime: changeTime(context, found) });
      return true;
    },
  };
}

/** The name in the directory that it says it is in stays. */
export function keepOneName(ino: Ino, found: InodeRecord): Repair {
  return {
    text: "all names but one were removed",
    inos: [ino],
    run(context, names) {
      const { transaction } = context;
      if (!isUnchanged(transaction, ino, found) || !areHeld(context, ino, names)) return false;
      const kept = names.find(({ parent }) => parent === found.parent) ?? names[0];
      if (kept === undefined) return false;
      for (const place of names) if (place !== kept) transaction.remove(keys.entry(place.parent, place.name));
      const nlink = found.nlink === 0 ? 2 : found.nlink;
      writeInode(transaction, ino, { ...found, nlink, parent: kept.parent, ctime: changeTime(context, found) });
      return true;
    },
  };
}

/** What has no name, or only one below itself, gets one in /lost+found. */
export function reattach(ino: Ino, found: InodeRecord): Repair {
  return {
    text: `it is now /lost+found/#${String(ino)}`,
    inos: [rootIno, ino],
    run(context, names) {
      const { transaction } = context;
      if (!isUnchanged(transaction, ino, found) || !areHeld(context, ino, names)) return false;
      const directory = lostAndFound(context);
      const name = nameFromText(`#${String(ino)}`);
      if (directory === undefined || findEntry(transaction, directory, name) !== undefined) return false;
      for (const place of names) transaction.remove(keys.entry(place.parent, place.name));
      const ctime = changeTime(context, found);
      const isDir = isDirectory(found.mode);
      const record = { ...found, nlink: isDir ? found.nlink : 1, parent: isDir ? directory : 0, ctime };
      writeInode(transaction, ino, record);
      const above = inodeOf(transaction, directory);
      if (above === undefined) return false;
      writeChangedDirectory(
        context,
        directory,
        above,
        putEntry(context, directory, name, { ino, type: typeOf(found) }),
      );
      return true;
    },
  };
}

/** A symlink that leads nowhere, with its names; the directories' sizes are made right by the next round. */
export function removeTargetless(ino: Ino, found: InodeRecord): Repair {
  return {
    text: "it was removed",
    inos: [ino],
    run(context, names) {
      const { transaction } = context;
      if (!isUnchanged(transaction, ino, found) || !areHeld(context, ino, names)) return false;
      if (names.length !== found.nlink || transaction.get(keys.symlink(ino)) !== undefined) return false;
      for (const { parent, name } of names) transaction.remove(keys.entry(parent, name));
      transaction.remove(keys.orphan(ino));
      removeInode(context, ino, found);
      return true;
    },
  };
}

/** An inode without name that no session has a claim to. */
export function removeUnnamed(ino: Ino, found: InodeRecord): Repair {
  return {
    text: "it was removed",
    inos: [ino],
    run(context) {
      const { transaction } = context;
      if (!isUnchanged(transaction, ino, found) || transaction.get(keys.orphan(ino)) !== undefined) return false;
      removeInode(context, ino, found);
      return true;
    },
  };
}

function areHeld({ transaction }: OperationContext, ino: Ino, names: readonly Place[]): boolean {
  return names.every(({ parent, name }) => findEntry(transaction, parent, name)?.ino === ino);
}

/** Undefined: something that is no directory has that name. */
function lostAndFound(context: OperationContext): Ino | undefined {
  const { transaction } = context;
  const name = "lost+found" as Name;
  const entry = findEntry(transaction, rootIno, name);
  if (entry !== undefined) return entry.type === fileType.directory ? entry.ino : undefined;
  const root = inodeOf(transaction, rootIno);
  if (root === undefined) return undefined;
  const creation = { caller: { uid: 0, gid: 0 }, parent: rootIno, umask: 0 };
  const mode = fileType.directory | (modeBits.permissions & 0o700);
  const { ino, record } = makeInode(context, creation, root, { mode });
  writeChangedDirectory(context, rootIno, root, putEntry(context, rootIno, name, { ino, type: typeOf(record) }));
  return ino;
}
