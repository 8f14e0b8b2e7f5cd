/** One inode as this client sees it, and who has it open. Kept by inode-table.ts, which states the invariants. */
import type { Attributes, Nanos } from "../base/attributes.ts";
import type { FsError } from "../base/errno.ts";
import type { Handle, Ino } from "../base/ids.ts";
import type { Name } from "../base/name.ts";
import type { FileContent } from "../cache/types.ts";
import { isWriting } from "./open-flags.ts";

export interface Inode {
  readonly ino: Ino;
  readonly directory: boolean;
  attributes: Attributes | undefined;
  learnedAt: number;
  staleAt: number;
  /** An answer that was asked for before is newer than the attributes only if its ctime is. */
  knownAt: number;
  lookups: number;
  /** Open handles, those being opened included. */
  opens: number;
  files: Set<OpenFile> | undefined;
  content: FileContent | undefined;
  /** Bytes written since the content was last clean: an estimate of the space they will take. */
  writtenBytes: number;
  /** A write that the server does not know yet took setuid and setgid away. */
  privilegesCleared: boolean;
  /** A newer access time than the server's, not sent yet. */
  accessTime: Nanos | undefined;
  /** The last one that was sent, and since when the server has it: an answer that was asked for before may not. */
  accessTimeStored: { readonly atime: Nanos; readonly since: number } | undefined;
  /** By the relatime rule there is nothing to do until the attributes change. */
  accessTimeSettled: boolean;
  /** Since when the kernel's pages of it are right; -1: it may not keep any from before. */
  pagesSince: number;
  /** Directories: under which name the kernel has it (places.ts). */
  place: { readonly parent: Ino; readonly name: Name } | undefined;
  /** Directories: when this client last changed a name in it. */
  namesChangedAt: number;
  /** Directories: changes of its names that the kernel waits for: they hold the kernel's lock of it. */
  changesUnanswered: number;
  /** WRITEs that the kernel waits for: each may hold the lock of a page. */
  writesUnanswered: Set<ByteRange> | undefined;
  /** Directories: changes of names, and of children, that had to be asked for (intent.ts). */
  changesAsked: number;
  childrenAsked: number;
  claimAfter: number;
  /** READs that the kernel waits for. */
  readsUnanswered: number;
  /** The directory by which the kernel learned of it last. */
  seenIn: Ino | undefined;
  /** Directories: how many names had to be asked for since the last listing ahead (list-ahead.ts). */
  lookupsMissed: number;
  /** Directories: settles when the next page of a listing ahead is in. Never rejects. */
  namesComing: Promise<unknown> | undefined;
  /** Directories: how their files' content is read ahead (read-along.ts). */
  along: ReadingAlong | undefined;
  /** Its content was told beside another file's, and has not been read yet. */
  toldAlong: boolean;
  /** Its last name is gone. */
  removed: boolean;
  /** The server keeps it for us although it is removed: release it after the last close. */
  orphan: boolean;
  /** A removal that takes it away unless it fails: opening waits. Never rejects. */
  removing: Promise<void> | undefined;
  /** Unflushed data was lost: the next close or fsync says so. */
  lostData: boolean;
  /** Cut to nothing while open: close waits for the new content (as ext4's auto_da_alloc). */
  flushAtClose: boolean;
  /** Values of extended attributes, null: has none of that name. Valid as long as the attributes. */
  xattrs: Map<Name, Buffer | null> | undefined;
  /** Owners of fcntl and OFD locks on it. */
  lockOwners: Set<bigint> | undefined;
  recentlyUsed: boolean;
}

/** How files of a directory are read ahead: see read-along.ts. */
export interface ReadingAlong {
  /** Files whose content had to be asked for. */
  missed: number;
  /** Files that were asked for beside others, and how many of them were read then. */
  told: number;
  read: number;
  /** Where the next ones come from. */
  children: Iterator<Ino>;
}

export interface ByteRange {
  readonly offset: number;
  readonly length: number;
}

export interface OpenFile {
  readonly handle: Handle;
  readonly inode: Inode;
  /** As open(2) had them. */
  readonly flags: number;
  /** The kernel's cache has pages by it: it was opened for that, or mapped. */
  buffered: boolean;
  /** What every further use of it is answered: the session was lost with data or locks of it. */
  failed: FsError | undefined;
  /** Owners of fcntl and OFD locks that were taken through it. */
  lockOwners: Set<bigint> | undefined;
  flocked: boolean;
}

/** One more use: see use.ts for its end. */
export function hold(inode: Inode): void {
  inode.opens++;
}

/** Whether the kernel may keep pages of it, whatever it is told. */
export function hasBufferedReader(inode: Inode): boolean {
  for (const file of inode.files ?? []) if (file.buffered) return true;
  return false;
}

/** Whether somebody here may write to it. */
export function hasWriter(inode: Inode | undefined): boolean {
  for (const file of inode?.files ?? []) if (isWriting(file.flags)) return true;
  return false;
}

export function newInode(ino: Ino, directory: boolean): Inode {
  return {
    ino,
    directory,
    attributes: undefined,
    learnedAt: -1,
    staleAt: 0,
    knownAt: 0,
    lookups: 0,
    opens: 0,
    files: undefined,
    content: undefined,
    writtenBytes: 0,
    privilegesCleared: false,
    accessTime: undefined,
    accessTimeStored: undefined,
    accessTimeSettled: false,
    pagesSince: -1,
    place: undefined,
    namesChangedAt: 0,
    changesUnanswered: 0,
    writesUnanswered: undefined,
    changesAsked: 0,
    childrenAsked: 0,
    claimAfter: 2,
    readsUnanswered: 0,
    seenIn: undefined,
    lookupsMissed: 0,
    namesComing: undefined,
    along: undefined,
    toldAlong: false,
    removed: false,
    orphan: false,
    removing: undefined,
    lostData: false,
    flushAtClose: false,
    xattrs: undefined,
    lockOwners: undefined,
    recentlyUsed: true,
  };
}
