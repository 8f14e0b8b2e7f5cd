/** What stat(2) shows of an inode, in one shape for every layer. */
import type { Ino } from "./ids.ts";

/** Nanoseconds since 1970, possibly negative, fits 64 bits signed. Never a float: a double would lose the last digits. */
export type Nanos = bigint;

export interface Attributes {
  readonly ino: Ino;
  /** File type and permission bits, as st_mode. */
  readonly mode: number;
  readonly nlink: number;
  readonly uid: number;
  readonly gid: number;
  /** Device number of a special file in the kernel's 32-bit "new" encoding, else 0. */
  readonly rdev: number;
  /** Bytes. */
  readonly size: number;
  /** Space in use, in units of 512 bytes, as st_blocks. Of a directory 0 exactly if it has no names. */
  readonly blocks: number;
  readonly atime: Nanos;
  readonly mtime: Nanos;
  readonly ctime: Nanos;
  /** Birth time, for statx. */
  readonly btime: Nanos;
  /** Whether the inode has any extended attribute (ACLs are among them): if not, nobody needs to ask. */
  readonly hasXattrs: boolean;
  /** Copies that blocks of the file are to have, and those of what is made in the directory; absent: the cluster's default. */
  readonly replicas?: number | undefined;
}

export const fileType = {
  mask: 0o170000,
  fifo: 0o010000,
  character: 0o020000,
  directory: 0o040000,
  block: 0o060000,
  regular: 0o100000,
  symlink: 0o120000,
  socket: 0o140000,
} as const;

export const modeBits = { setuid: 0o4000, setgid: 0o2000, sticky: 0o1000, permissions: 0o7777 } as const;

export function isDirectory(mode: number): boolean {
  return (mode & fileType.mask) === fileType.directory;
}
export function isRegular(mode: number): boolean {
  return (mode & fileType.mask) === fileType.regular;
}
export function isSymlink(mode: number): boolean {
  return (mode & fileType.mask) === fileType.symlink;
}
