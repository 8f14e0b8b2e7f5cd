/**
 * The content of files as one client sees it: what it wrote and has not yet sent, what it has read, and the way to the
 * rest. `vfs/` calls this; implemented here over `remote/`.
 *
 * Under an exclusive lease writes are taken into memory and flushed in the background; under any lease extents are
 * remembered. Without, `write` resolves only when the name server has committed it, and every read asks for the extents
 * anew. Cached block content is immutable and right in any case.
 */
import type { Attributes, Nanos } from "../base/attributes.ts";
import type { Ino } from "../base/ids.ts";
import type { Extent } from "../protocol/types.ts";

export interface ReadPieces {
  readonly pieces: readonly Uint8Array[];
  readonly release?: () => void;
}

/** All that the name server knows of a file. */
export interface ReadFile {
  readonly attributes: Attributes;
  readonly extents: readonly Extent[];
}

/** The inode's side of a file: `vfs/` implements it. */
export interface ContentOwner {
  readonly ino: Ino;
  /** Whether what is known of size and extents is true, and what is asked now may be remembered. */
  readonly mayCache: boolean;
  /** Whether what was asked for at `since` is still true. */
  holds(since: number): boolean;
  /** Whether nobody else may read or write it: writes may stay here. */
  readonly mayBuffer: boolean;
  /** Whether small content may run ahead (remote/ahead-log.ts). */
  readonly runsAhead: boolean;
  /** Whether the kernel keeps what it reads and writes, whatever it is told: then a lease is asked for in any case. */
  readonly insists: boolean;
  /** Copies that its blocks are to have; undefined: the cluster's default. */
  readonly replicas: number | undefined;
  /** The present moment (see Leases). */
  readonly moment: number;
  /** Other files whose content will probably be read next. */
  companions(): readonly Ino[];
  /** The whole content of those, asked for at `since`, as far as it may be kept. */
  companionsRead(files: readonly ReadFile[], since: number): void;
  /** The server's attributes after a flush or a look at the extents, asked for at `since`. */
  serverAttributes(attributes: Attributes, since: number): void;
  /** Unflushed data was lost for good (no space, the session ended); `flush` rejects with the same error once. */
  lost(error: Error): void;
}

export interface WriteOptions {
  readonly time: Nanos;
  /** The flush tells the server to drop setuid/setgid. */
  readonly clearPrivileges: boolean;
}

/** One regular file in use. */
export interface FileContent {
  /** What stat shows: the server's size and what was written here since. */
  readonly size: number;
  /** The time of the newest write that the server does not know yet, if any: stat shows it as mtime and ctime. */
  readonly dirtyTime: Nanos | undefined;
  readonly isDirty: boolean;
  /** The server is being asked to set the mtime of a write: what runs ahead could overtake that. */
  readonly isAskingTime: boolean;

  /** Nothing is known or remembered of its content. */
  readonly isUnknown: boolean;
  /** What was asked for under a lease that still lasts; ignored unless nothing was known. `extents`: all of the file. */
  know(extents: readonly Extent[]): void;
  /** Bytes of [offset, offset + length) up to the end of the file; unflushed writes included. At once if it is all at hand. */
  read(offset: number, length: number, signal?: AbortSignal): ReadPieces | Promise<ReadPieces>;
  /**
   * Takes a copy of `content` (borrowed until it resolves). Waits while the memory for dirty data is used up, and until
   * it is committed without an exclusive lease. ENOSPC when the cluster has clearly no room for what is dirty and this.
   */
  write(offset: number, content: Buffer, options: WriteOptions): void | Promise<void>;
  /** As `write` at the end of the file, wherever that is (with other clients: decided by the server). Returns where. */
  append(content: Buffer, options: WriteOptions): number | Promise<number>;
  /**
   * Everything written before the call is on all replicas and committed. Rejects with the error that it met, and with
   * that of data lost since the last report (each loss is reported once). Data is dropped only if sending it again is
   * hopeless or was tried for minutes; else it is kept, and sent again in the background and by the next `flush`.
   */
  flush(signal?: AbortSignal): Promise<void>;
  /** Starts writing in the background what is dirty (after the last close); its error comes at the next `flush`. */
  flushSoon(): void;
  /**
   * Runs a change of this file's size or extents at the server (`setattr` size, `fallocate`, `copyFileRange` target)
   * with writes and flushes of this file held back (so `run` must not call them). First flushes, except for dirty data
   * at or after `discardFrom`, which is dropped; rejects without running if that fails. Afterwards the extents are asked
   * anew. `run` tells a new size by `serverSize` before it resolves, so that the writes that were held back see it.
   * `keepDirty`: dirty data is not flushed, only what is on its way is waited for, and the extents stay known (for
   * `setattr` of times: an mtime on its way with a flush must not arrive after it; `forgetDirtyTime` goes into `run`).
   */
  change<T>(options: { discardFrom?: number; keepDirty?: boolean }, run: () => Promise<T>): Promise<T>;
  /** SEEK_DATA 3, SEEK_HOLE 4 over server extents and dirty data; ENXIO past the end. */
  seek(offset: number, whence: 3 | 4): Promise<number>;
  /** A setattr set mtime: an earlier write's time no longer counts. */
  forgetDirtyTime(): void;
  /** The server's attributes were learned elsewhere (getattr, setattr): takes over its size unless dirty data says more. */
  serverSize(size: number): void;
  /** The inode was removed and nobody has it open: dirty data is dropped, never sent. */
  discard(): void;
}

export interface Contents {
  /** The content of an inode: the same object until `close` of it. `attributes` as last seen from the server. */
  open(owner: ContentOwner, attributes: Attributes): FileContent;
  /** The owner is done with it: must be clean or discarded. Clean blocks stay cached. */
  close(ino: Ino): void;
  /** Flushes every file; resolves when all that was written before is durable. */
  flushAll(): Promise<void>;
  /**
   * Everything written to the inode is at the server; what could not be flushed in several tries is lost. Never rejects.
   * Waits for a change of the file that is under way: see `isHeld`.
   */
  flushForRecall(ino: Ino): Promise<void>;
  /** Whether a change of the file holds its flushes back. */
  isHeld(ino: Ino): boolean;
  /** Others may change the content from now on: nothing known of its extents is believed. */
  forget(ino: Ino): void;
  /** What was written to the inode and not flushed is lost: its lease went to somebody else. `lost` is called on its owner. */
  lose(ino: Ino): void;
  /** The session was lost: everything unflushed is lost, with `lost` called on each owner. */
  sessionLost(): void;
  /**
   * Bytes of memory in use: for dirty data (being written too, with its bookkeeping), and for clean blocks, extents and
   * what is being read. `pooledBytes`: kept to be used again for dirty data, within the same bound.
   */
  readonly statistics: { readonly dirtyBytes: number; readonly cleanBytes: number; readonly pooledBytes: number };
  shutdown(): Promise<void>;
}
