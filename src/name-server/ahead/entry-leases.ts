/** Which inodes an entry changes, and what its session has to have of each. */
import { FsError } from "../../base/errno.ts";
import type { Ino } from "../../base/ids.ts";
import type { MetadataReader } from "../../metadata-store/types.ts";
import type { AheadEntry } from "../../protocol/ahead.ts";
import { findEntry } from "../namespace/index.ts";

export interface EntryLeases {
  /** The session may change it: it holds it alone, or gives it back just now. */
  mayChange(ino: Ino): boolean;
  /** Nobody else knows anything of it. */
  isUnseen(ino: Ino): boolean;
}

/** include/uapi/linux/fs.h */
const exchangeFlag = 2;

/** EIO unless the session may do what the entry does to inodes that are there already. */
export function requireLeases(reader: MetadataReader, entry: AheadEntry, leases: EntryLeases): void {
  const changes = (ino: Ino | undefined): void => {
    if (ino === undefined || leases.mayChange(ino)) return;
    throw new FsError("EIO", `inode ${String(ino)} is changed by ${entry.method} without an exclusive lease`);
  };
  /** What loses its name. */
  const loses = (ino: Ino | undefined): void => {
    if (ino === undefined || leases.isUnseen(ino)) return;
    throw new FsError("EIO", `inode ${String(ino)} loses a name by ${entry.method}, and others hold leases on it`);
  };
  switch (entry.method) {
    case "create":
    case "mkdir":
    case "symlink":
      changes(entry.request.parent);
      break;
    case "link":
      changes(entry.request.newParent);
      changes(entry.request.ino);
      break;
    case "unlink":
    case "rmdir": {
      const { parent, name } = entry.request;
      changes(parent);
      loses(findEntry(reader, parent, name)?.ino);
      break;
    }
    case "rename": {
      const { parent, name, newParent, newName, flags } = entry.request;
      changes(parent);
      changes(newParent);
      changes(findEntry(reader, parent, name)?.ino);
      const replaced = findEntry(reader, newParent, newName)?.ino;
      if ((flags & exchangeFlag) === 0) loses(replaced);
      else changes(replaced);
      break;
    }
    case "setattr":
    case "writeExtents":
      changes(entry.request.ino);
      break;
  }
}

/** The inodes of which the answer to its batch tells: directories whose names change, files that are written. */
export function toldBy(entry: AheadEntry): readonly Ino[] {
  switch (entry.method) {
    case "create":
    case "mkdir":
    case "symlink":
    case "unlink":
    case "rmdir":
      return [entry.request.parent];
    case "link":
      return [entry.request.newParent];
    case "rename":
      return [entry.request.parent, entry.request.newParent];
    case "setattr":
    case "writeExtents":
      return [entry.request.ino];
  }
}

/** For the log: where it would have changed something. */
export function placeOf(entry: AheadEntry): Ino {
  return "parent" in entry.request ? entry.request.parent : entry.request.ino;
}
