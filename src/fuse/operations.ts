/**
 * What a filesystem offers to the kernel, one typed operation each. `vfs/` implements it; the kernel driver and the
 * fuse-native driver call it.
 *
 * Contract of every operation: it may answer at once or by a promise; it throws (or rejects with) FsError, whose errno
 * the caller sees; any other error becomes EIO. Operations run concurrently and may finish in any order. Buffers given
 * in are borrowed until the operation has answered; buffers given back belong to the caller until `release` (if any).
 * Inodes live by lookup counts: each Entry handed out counts one for its ino, `forget` takes some away, and an ino may
 * be used by the kernel until its count is zero. At an unmount counts fall to zero without `forget`.
 * Permissions have been checked by the kernel (default_permissions) in as far as it can know them.
 */
import type { Attributes, Nanos } from "../base/attributes.ts";
import type { Handle, Ino } from "../base/ids.ts";
import type { Name } from "../base/name.ts";

export type MaybePromise<T> = T | Promise<T>;

/** Who asks. For requests that the kernel makes by itself (writeback) uid, gid and pid are 0. */
export interface Caller {
  readonly uid: number;
  readonly gid: number;
  /** In the pid namespace of the mount; 0 when unknown. */
  readonly pid: number;
}

export interface RequestContext extends Caller {
  /** The kernel's number of this request (without the resend bit). */
  readonly unique: bigint;
  /**
   * Aborted when the kernel interrupts the request and giving up is right: at once for a waiting lock, otherwise only
   * when the process is being killed. The operation then rejects with EINTR, having changed nothing.
   */
  readonly signal: AbortSignal;
  /**
   * When an inode is made: its directory's group, if the caller has that among its supplementary groups (the kernel
   * tells no others; Linux 6.3). Else undefined.
   */
  readonly parentGroup?: number | undefined;
}

/** Attributes and for how long the kernel may believe them. */
export interface AttributesReply {
  readonly attributes: Attributes;
  /** Milliseconds; 0: ask every time. */
  readonly attributesValidMillis: number;
}

/** A name's inode. Counts one lookup. */
export interface Entry extends AttributesReply {
  readonly entryValidMillis: number;
}

/** "No such name", with a time for which the kernel may believe it. Counts nothing. */
export interface AbsentEntry {
  readonly absent: true;
  readonly entryValidMillis: number;
}

export interface Opened {
  readonly handle: Handle;
  /** Reads and writes bypass the page cache (FOPEN_DIRECT_IO). */
  readonly directIo?: boolean;
  /** Cached pages of earlier opens stay (FOPEN_KEEP_CACHE). */
  readonly keepCache?: boolean;
  /** Directories: the kernel may keep the listing (FOPEN_CACHE_DIR). */
  readonly cacheDirectory?: boolean;
  /** No FLUSH on close (FOPEN_NOFLUSH). */
  readonly noFlush?: boolean;
  /** Not seekable, as a pipe (FOPEN_NONSEEKABLE). */
  readonly nonSeekable?: boolean;
}

/** Which attributes a SETATTR changes; absent ones stay. "now" is the server's time of the change. */
export interface AttributeChanges {
  readonly mode?: number;
  readonly uid?: number;
  readonly gid?: number;
  readonly size?: number;
  readonly atime?: Nanos | "now";
  readonly mtime?: Nanos | "now";
  readonly ctime?: Nanos;
  /** The kernel asks for setuid and setgid (where executable by group) to be dropped (FATTR_KILL_SUIDGID). */
  readonly killPrivileges?: boolean;
}

export interface DirectoryEntry {
  readonly name: Name | "." | "..";
  readonly ino: Ino;
  /** File type bits of the mode (`mode & fileType.mask`). */
  readonly type: number;
  /** Where to go on after this entry: opaque, positive, stable while the directory changes. */
  readonly cookie: number;
  /** READDIRPLUS only, and never for `.` and `..`. Counts one lookup if (and only if) the sink accepted it. */
  readonly entry?: Entry;
}

/** Takes entries until it is full: returns false for the first one that does not fit (it was not taken). */
export type DirectorySink = (entry: DirectoryEntry) => boolean;

/** fcntl and OFD locks lock ranges of bytes; flock locks the whole file, and its owner is the open file. */
export interface LockRange {
  readonly kind: "posix" | "flock";
  readonly type: "read" | "write" | "unlock";
  /** First and last byte, inclusive, as the kernel has them; the end of everything is 2^63 - 1. */
  readonly start: bigint;
  readonly end: bigint;
  /** The kernel's lock owner: opaque, compared for equality only. */
  readonly owner: bigint;
  /** Of the locking process (GETLK shows it). */
  readonly pid: number;
}

export interface FilesystemStatistics {
  /** All in units of `blockBytes`. */
  readonly blocks: number;
  readonly blocksFree: number;
  readonly blocksAvailable: number;
  readonly files: number;
  readonly filesFree: number;
  readonly blockBytes: number;
  readonly nameBytesMax: number;
}

export interface ReadResult {
  /** The bytes, in pieces; together at most what was asked, fewer only at the end of the file. */
  readonly pieces: readonly Uint8Array[];
  /** Called once when the pieces have been copied to the kernel. */
  readonly release?: () => void;
}

export const renameFlags = { noReplace: 1, exchange: 2, whiteout: 4 } as const;
/** mode of fallocate(2). */
export const fallocateModes = { keepSize: 1, punchHole: 2, collapseRange: 8, zeroRange: 16, insertRange: 32 } as const;

/** New inode's mode as the caller gave it (type bits included) and the caller's umask, not yet applied (DONT_MASK). */
export interface Creation {
  readonly mode: number;
  readonly umask: number;
}

export interface Operations {
  /** The connection to the kernel is up: `notifier` may be used from now on. */
  start(notifier: Notifier): MaybePromise<void>;
  /** The connection has ended (umount, DESTROY or abort): flush what is dirty. No operation comes afterwards. */
  stop(): Promise<void>;

  /**
   * The kernel knows this inode from a driver before this one, and is about to use it: make it known here as well.
   * ESTALE: it is gone. Called before every operation of a driver that took its mount over.
   */
  adopt?(request: RequestContext, ino: Ino): Promise<void> | undefined;
  /** Whether the kernel may still have an inode that was handed out. Absent: it may. */
  mayBeKnown?(ino: Ino): boolean;

  lookup(request: RequestContext, parent: Ino, name: Name | "." | ".."): MaybePromise<Entry | AbsentEntry>;
  forget(ino: Ino, count: number): void;
  getattr(request: RequestContext, ino: Ino, handle: Handle | undefined): MaybePromise<AttributesReply>;
  setattr(
    request: RequestContext,
    ino: Ino,
    handle: Handle | undefined,
    changes: AttributeChanges,
  ): MaybePromise<AttributesReply>;
  readlink(request: RequestContext, ino: Ino): MaybePromise<Buffer>;
  symlink(request: RequestContext, parent: Ino, name: Name, target: Buffer): MaybePromise<Entry>;
  mknod(request: RequestContext, parent: Ino, name: Name, creation: Creation, rdev: number): MaybePromise<Entry>;
  mkdir(request: RequestContext, parent: Ino, name: Name, creation: Creation): MaybePromise<Entry>;
  unlink(request: RequestContext, parent: Ino, name: Name): MaybePromise<void>;
  rmdir(request: RequestContext, parent: Ino, name: Name): MaybePromise<void>;
  rename(
    request: RequestContext,
    parent: Ino,
    name: Name,
    newParent: Ino,
    newName: Name,
    flags: number,
  ): MaybePromise<void>;
  link(request: RequestContext, ino: Ino, newParent: Ino, newName: Name): MaybePromise<Entry>;

  /**
   * `flags` as open(2), without O_CREAT, O_EXCL, O_NOCTTY; O_TRUNC only if ATOMIC_O_TRUNC was negotiated, and then
   * `killPrivileges` asks for setuid and setgid to be dropped with it (FUSE_OPEN_KILL_SUIDGID).
   */
  open(request: RequestContext, ino: Ino, flags: number, killPrivileges: boolean): MaybePromise<Opened>;
  /** Creates and opens; never opens an existing file: EEXIST with O_EXCL, else ESTALE (the kernel then looks up again). */
  create(
    request: RequestContext,
    parent: Ino,
    name: Name,
    creation: Creation,
    flags: number,
  ): MaybePromise<{ entry: Entry; opened: Opened }>;
  /** O_TMPFILE: an inode without a name. */
  tmpfile(
    request: RequestContext,
    parent: Ino,
    creation: Creation,
    flags: number,
  ): MaybePromise<{ entry: Entry; opened: Opened }>;
  /** `intoPageCache`: the kernel keeps the answer (files opened for that, and mappings of any). */
  read(
    request: RequestContext,
    ino: Ino,
    handle: Handle,
    offset: number,
    length: number,
    intoPageCache: boolean,
  ): MaybePromise<ReadResult>;
  /** Returns how many bytes were taken. `fromPageCache`: writeback of a shared mapping, `flags` and caller mean nothing. */
  write(
    request: RequestContext,
    ino: Ino,
    handle: Handle,
    offset: number,
    content: Buffer,
    options: { flags: number; fromPageCache: boolean; killPrivileges: boolean },
  ): MaybePromise<number>;
  /** A descriptor was closed (each close of a dup too): release the owner's fcntl locks. */
  flush(request: RequestContext, ino: Ino, handle: Handle, lockOwner: bigint): MaybePromise<void>;
  /**
   * The open file is gone; asynchronous, its error is seen by nobody. `flockOwner`: release that owner's flock. Release
   * also every lock that was taken through this handle and is still there: an OFD lock, whose end nothing else tells.
   */
  release(request: RequestContext, ino: Ino, handle: Handle, flockOwner: bigint | undefined): MaybePromise<void>;
  fsync(request: RequestContext, ino: Ino, handle: Handle, dataOnly: boolean): MaybePromise<void>;

  opendir(request: RequestContext, ino: Ino, flags: number): MaybePromise<Opened>;
  /** Offers entries after `cookie` (0: from the start) to the sink until it is full or the directory ends. */
  readdir(
    request: RequestContext,
    ino: Ino,
    handle: Handle,
    cookie: number,
    plus: boolean,
    sink: DirectorySink,
  ): MaybePromise<void>;
  releasedir(request: RequestContext, ino: Ino, handle: Handle): MaybePromise<void>;
  fsyncdir(request: RequestContext, ino: Ino, handle: Handle, dataOnly: boolean): MaybePromise<void>;

  statfs(request: RequestContext, ino: Ino): MaybePromise<FilesystemStatistics>;
  /** `flags`: XATTR_CREATE 1, XATTR_REPLACE 2. `clearSetgid`: SETXATTR_ACL_KILL_SGID. */
  setxattr(
    request: RequestContext,
    ino: Ino,
    name: Name,
    value: Buffer,
    flags: number,
    clearSetgid: boolean,
  ): MaybePromise<void>;
  /** The whole value; undefined (or ENODATA) when absent: asked before the first write of every file, so keep it cheap. */
  getxattr(request: RequestContext, ino: Ino, name: Name): MaybePromise<Buffer | undefined>;
  listxattr(request: RequestContext, ino: Ino): MaybePromise<readonly Name[]>;
  removexattr(request: RequestContext, ino: Ino, name: Name): MaybePromise<void>;
  /** access(2) where the kernel does not decide itself (never with default_permissions). */
  access(request: RequestContext, ino: Ino, mask: number): MaybePromise<void>;

  /** The first lock that stands in the way, or undefined. */
  getlk(request: RequestContext, ino: Ino, handle: Handle, lock: LockRange): MaybePromise<LockRange | undefined>;
  /** EAGAIN when taken and `wait` is false. When the signal aborts a wait: EINTR, and a crossing grant is released first. */
  setlk(request: RequestContext, ino: Ino, handle: Handle, lock: LockRange, wait: boolean): MaybePromise<void>;

  fallocate(
    request: RequestContext,
    ino: Ino,
    handle: Handle,
    offset: number,
    length: number,
    mode: number,
  ): MaybePromise<void>;
  /** SEEK_DATA 3, SEEK_HOLE 4; ENXIO past the end. */
  lseek(request: RequestContext, ino: Ino, handle: Handle, offset: number, whence: 3 | 4): MaybePromise<number>;
  copyFileRange(
    request: RequestContext,
    from: { ino: Ino; handle: Handle; offset: number },
    to: { ino: Ino; handle: Handle; offset: number },
    length: number,
  ): MaybePromise<number>;
  /** Everything that this client has written is durable. */
  syncfs(request: RequestContext, ino: Ino): MaybePromise<void>;
}

/**
 * Tells the kernel to forget. Each promise resolves when the kernel has taken the notification (for INVAL_ENTRY and
 * INVAL_INODE with data: after it waited for the locks it needs), with whether it had the inode or name. Never awaited
 * inside an operation that the same directory or page may be locked by.
 */
export interface Notifier {
  /** Attributes only (offset -1): takes no lock. */
  invalidateAttributes(ino: Ino): Promise<boolean>;
  /** Attributes and cached pages of a range; length 0: to the end. */
  invalidateData(ino: Ino, offset: number, length: number): Promise<boolean>;
  invalidateEntry(parent: Ino, name: Name): Promise<boolean>;
  /** All names everywhere are asked again at their next use (INC_EPOCH): takes no lock. EOPNOTSUPP unless supported. */
  invalidateAllEntries(): Promise<boolean>;
  /** Whether the kernel knows INC_EPOCH (Linux 6.16). Without it cached names cannot be dropped without waiting. */
  readonly canInvalidateAllEntries: boolean;
}
