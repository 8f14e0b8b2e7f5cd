/**
 * What the kernel has open: files and directories by handle. Handles count up and are never reused, so a late request
 * for a closed one is EBADF and never somebody else's file.
 */
import { FsError } from "../base/errno.ts";
import { toHandle, type Handle } from "../base/ids.ts";
import { hold, type Inode, type OpenFile } from "./inode.ts";
import type { ListingPage, WholeListing } from "./listing.ts";

export interface OpenDirectory {
  readonly handle: Handle;
  readonly inode: Inode;
  readonly flags: number;
  page: ListingPage | undefined;
  /** While its pages were asked for one after the other from the beginning. */
  wholeListing: WholeListing | undefined;
}

export interface Handles {
  openFile(inode: Inode, flags: number, buffered: boolean): OpenFile;
  openDirectory(inode: Inode, flags: number): OpenDirectory;
  /** EBADF when not open, EIO when it has failed. */
  file(handle: Handle): OpenFile;
  /** Also one that has failed. EBADF when not open. */
  anyFile(handle: Handle): OpenFile;
  directory(handle: Handle): OpenDirectory;
  /** Undefined when not open. The caller lets go of the inode (use.ts) when it is done with the closing. */
  closeFile(handle: Handle): OpenFile | undefined;
  closeDirectory(handle: Handle): OpenDirectory | undefined;
  files(): IterableIterator<OpenFile>;
  readonly openCount: number;
}

/** @param first the lowest handle to give */
export function createHandles(first: number): Handles {
  const files = new Map<Handle, OpenFile>();
  const directories = new Map<Handle, OpenDirectory>();
  let last = first - 1;
  const anyFile = (handle: Handle): OpenFile => {
    const file = files.get(handle);
    if (file === undefined) throw new FsError("EBADF", `handle ${String(handle)} is not an open file`);
    return file;
  };
  return {
    openFile(inode, flags, buffered) {
      const handle = toHandle(++last);
      hold(inode);
      const file: OpenFile = {
        handle,
        inode,
        flags,
        buffered,
        failed: undefined,
        lockOwners: undefined,
        flocked: false,
      };
      files.set(handle, file);
      (inode.files ??= new Set()).add(file);
      return file;
    },
    openDirectory(inode, flags) {
      const directory: OpenDirectory = {
        handle: toHandle(++last),
        inode,
        flags,
        page: undefined,
        wholeListing: undefined,
      };
      hold(inode);
      directories.set(directory.handle, directory);
      return directory;
    },
    anyFile,
    file(handle) {
      const file = anyFile(handle);
      if (file.failed !== undefined) throw file.failed;
      return file;
    },
    directory(handle) {
      const directory = directories.get(handle);
      if (directory === undefined) throw new FsError("EBADF", `handle ${String(handle)} is not an open directory`);
      return directory;
    },
    closeFile(handle) {
      const file = files.get(handle);
      if (file === undefined) return undefined;
      files.delete(handle);
      file.inode.files?.delete(file);
      return file;
    },
    closeDirectory(handle) {
      const directory = directories.get(handle);
      if (directory === undefined) return undefined;
      directories.delete(handle);
      return directory;
    },
    files: () => files.values(),
    get openCount() {
      return files.size + directories.size;
    },
  };
}
