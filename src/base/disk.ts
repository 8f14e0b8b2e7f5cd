/**
 * A process' own folder on a local disk, injected, so that simulation can lose unsynced writes, tear, flip and fill.
 * Paths are relative to that folder. Errors are FsError with the errno of the system call (EIO, ENOSPC, ENOENT...).
 */
export interface Disk {
  /** Opens for reading and writing; `create` fails with EEXIST if it is there, `open` with ENOENT if not. */
  open(path: string, mode: "open" | "create", options?: OpenOptions): Promise<DiskFile>;
  /** Names in a folder ("" is the root), unsorted; ENOENT when absent. */
  list(path: string): Promise<string[]>;
  makeFolder(path: string): Promise<void>;
  rename(from: string, to: string): Promise<void>;
  remove(path: string): Promise<void>;
  /** Makes created, renamed and removed entries of a folder durable. */
  syncFolder(path: string): Promise<void>;
  exists(path: string): Promise<boolean>;
  /** Free and total bytes of the filesystem below. */
  space(): Promise<{ freeBytes: number; totalBytes: number }>;
  /** The absolute path of the folder: for what cannot be injected (LMDB). */
  readonly root: string;
}

export interface OpenOptions {
  /**
   * Writes go past the page cache (O_DIRECT): 2 to 5 times the rate of buffered writes with fdatasync, and they displace
   * nothing from memory. Then every piece written is an `alignedBuffer` (or a stretch of one that begins and ends at a
   * multiple of 4 KiB) and so is its position. Where it is not supported the file is opened as usual.
   */
  readonly direct?: boolean;
  /** Each write is durable when it resolves (O_DSYNC): one system call where write and `sync` would be two. */
  readonly synchronous?: boolean;
}

export interface DiskFile {
  /** Reads up to `into.length` bytes at `position`; returns how many (short only at the end). Borrows `into`. */
  read(into: Uint8Array, position: number): Promise<number>;
  /** Writes all of `pieces` one after the other at `position`. Borrows until it resolves. Not durable before `sync`. */
  write(pieces: readonly Uint8Array[], position: number): Promise<void>;
  /** fdatasync(2): what was written (and the size) is durable. After a rejection nothing about unsynced writes is known. */
  sync(): Promise<void>;
  /** ftruncate(2), in either direction. */
  truncate(bytes: number): Promise<void>;
  size(): Promise<number>;
  close(): Promise<void>;
}
