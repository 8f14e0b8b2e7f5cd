/**
 * Files that the kernel has open, by the number that libfuse keeps: the package hands on 31 bits, and takes 0 as none.
 * Each holds one lookup of its inode, so that it stays usable whatever becomes of its path.
 */
import { FsError } from "../../base/errno.ts";
import type { Handle, Ino } from "../../base/ids.ts";

export interface OpenFile {
  readonly ino: Ino;
  readonly handle: Handle;
  /** Of open(2). */
  readonly flags: number;
}

export interface OpenFiles {
  add(file: OpenFile): number;
  /** EBADF when there is none. */
  get(fd: number): OpenFile;
  take(fd: number): OpenFile;
}

const fdMax = 2 ** 31 - 1;

export function createOpenFiles(): OpenFiles {
  const files = new Map<number, OpenFile>();
  let last = 0;
  const get = (fd: number): OpenFile => {
    const file = files.get(fd);
    if (file === undefined) throw new FsError("EBADF", `${String(fd)} is not an open file`);
    return file;
  };
  return {
    add(file) {
      do last = last === fdMax ? 1 : last + 1;
      while (files.has(last));
      files.set(last, file);
      return last;
    },
    get,
    take(fd) {
      const file = get(fd);
      files.delete(fd);
      return file;
    },
  };
}
