/**
 * A whole filesystem in memory, to test the driver with: every operation, nothing shared, nothing kept.
 * Tests change its behaviour by overriding single operations.
 */
import { fileType, isDirectory, isRegular, modeBits } from "../../src/base/attributes.ts";
import { FsError } from "../../src/base/errno.ts";
import { type Handle, type Ino, toHandle } from "../../src/base/ids.ts";
import type { Name } from "../../src/base/name.ts";
import {
  type AttributeChanges,
  type AttributesReply,
  type Creation,
  type DirectorySink,
  type Entry,
  fallocateModes,
  type FilesystemStatistics,
  type LockRange,
  type MaybePromise,
  type Notifier,
  type Opened,
  type Operations,
  type ReadResult,
  type RequestContext,
} from "../../src/fuse/operations.ts";
import { type MemoryInode, MemoryNames } from "./memory-names.ts";

const appendFlag = 0o2000;
const truncateFlag = 0o1000;

export class MemoryFilesystem extends MemoryNames implements Operations {
  notifier: Notifier | undefined;
  stopped = false;
  /** Descriptors are closed without FLUSH: faster, but fcntl locks are then kept. */
  noFlush = false;
  private nextHandle = 1;
  /** What each open directory listed when it was last read from its start. */
  private readonly listings = new Map<Handle, readonly (readonly [Name, { inode: MemoryInode; cookie: number }])[]>();

  start(notifier: Notifier): void {
    this.notifier = notifier;
  }

  stop(): Promise<void> {
    this.stopped = true;
    return Promise.resolve();
  }

  getattr(_request: RequestContext, ino: Ino): MaybePromise<AttributesReply> {
    return { attributes: this.attributes(this.inode(ino)), attributesValidMillis: this.validMillis };
  }

  setattr(
    request: RequestContext,
    ino: Ino,
    _handle: Handle | undefined,
    changes: AttributeChanges,
  ): MaybePromise<AttributesReply> {
    const inode = this.inode(ino);
    const now = this.now();
    if (changes.killPrivileges === true) dropPrivileges(inode);
    if (changes.mode !== undefined) inode.mode = (inode.mode & fileType.mask) | (changes.mode & modeBits.permissions);
    if (changes.uid !== undefined) inode.uid = changes.uid;
    if (changes.gid !== undefined) inode.gid = changes.gid;
    if (changes.size !== undefined) {
      inode.content.truncate(changes.size);
      inode.mtime = now;
    }
    if (changes.atime !== undefined) inode.atime = changes.atime === "now" ? now : changes.atime;
    if (changes.mtime !== undefined) inode.mtime = changes.mtime === "now" ? now : changes.mtime;
    inode.ctime = now;
    return this.getattr(request, ino);
  }

  open(_request: RequestContext, ino: Ino, flags: number, killPrivileges: boolean): MaybePromise<Opened> {
    const inode = this.inode(ino);
    if ((flags & truncateFlag) !== 0) {
      if (killPrivileges) dropPrivileges(inode);
      inode.content.truncate(0);
      inode.mtime = inode.ctime = this.now();
    }
    return this.opened(inode, flags);
  }

  create(
    request: RequestContext,
    parent: Ino,
    name: Name,
    creation: Creation,
    flags: number,
  ): MaybePromise<{ entry: Entry; opened: Opened }> {
    const inode = this.create_(request, parent, name, creation);
    return { entry: this.entry(inode), opened: this.opened(inode, flags) };
  }

  tmpfile(request: RequestContext, parent: Ino, creation: Creation, flags: number): { entry: Entry; opened: Opened } {
    const inode = this.newInode(creation.mode & ~creation.umask, request, this.inode(parent));
    inode.nlink = 0;
    return { entry: this.entry(inode), opened: this.opened(inode, flags) };
  }

  read(_request: RequestContext, ino: Ino, _handle: Handle, offset: number, length: number): MaybePromise<ReadResult> {
    return { pieces: this.inode(ino).content.read(offset, length) };
  }

  write(
    _request: RequestContext,
    ino: Ino,
    _handle: Handle,
    offset: number,
    content: Buffer,
    options: { flags: number; fromPageCache: boolean; killPrivileges: boolean },
  ): MaybePromise<number> {
    const inode = this.inode(ino);
    const appends = !options.fromPageCache && (options.flags & appendFlag) !== 0;
    if (options.killPrivileges) dropPrivileges(inode);
    inode.content.write(appends ? inode.content.size : offset, content);
    inode.mtime = inode.ctime = this.now();
    return content.length;
  }

  flush(_request: RequestContext, ino: Ino, _handle: Handle, lockOwner: bigint): MaybePromise<void> {
    this.inode(ino).locks.releaseOwner("posix", lockOwner);
  }

  release(_request: RequestContext, ino: Ino, handle: Handle, flockOwner: bigint | undefined): MaybePromise<void> {
    const inode = this.inode(ino);
    if (flockOwner !== undefined) inode.locks.releaseOwner("flock", flockOwner);
    inode.locks.releaseHandle(handle);
    inode.opens--;
    this.dropIfUnused(inode);
  }

  fsync(_request: RequestContext, ino: Ino): MaybePromise<void> {
    this.inode(ino);
  }

  opendir(_request: RequestContext, ino: Ino, flags: number): MaybePromise<Opened> {
    return { ...this.opened(this.inode(ino), flags), cacheDirectory: true };
  }

  readdir(
    _request: RequestContext,
    ino: Ino,
    handle: Handle,
    cookie: number,
    plus: boolean,
    sink: DirectorySink,
  ): MaybePromise<void> {
    const directory = this.inode(ino);
    const parent = directory.parent ?? directory;
    const type = fileType.directory;
    if (cookie < 1 && !sink({ name: ".", ino, type, cookie: 1 })) return;
    if (cookie < 2 && !sink({ name: "..", ino: parent.ino, type, cookie: 2 })) return;
    const known = cookie === 0 ? undefined : this.listings.get(handle);
    const listing = known ?? [...this.children(directory)];
    if (known === undefined) this.listings.set(handle, listing);
    for (let i = firstAfter(listing, cookie); i < listing.length; i++) {
      const [name, child] = listing[i] ?? unreachableIndex();
      const { inode } = child;
      const entry = plus ? { entry: this.entry(inode) } : {};
      if (sink({ name, ino: inode.ino, type: inode.mode & fileType.mask, cookie: child.cookie, ...entry })) continue;
      if (plus) inode.lookups--;
      return;
    }
  }

  releasedir(_request: RequestContext, ino: Ino, handle: Handle): MaybePromise<void> {
    const inode = this.inode(ino);
    this.listings.delete(handle);
    inode.opens--;
    this.dropIfUnused(inode);
  }

  fsyncdir(): void {
    return;
  }

  statfs(): FilesystemStatistics {
    const blocks = { blocks: 1e8, blocksFree: 9e7, blocksAvailable: 8e7, blockBytes: 4096 };
    return { ...blocks, files: 1e6, filesFree: 1e6 - this.inodes.size, nameBytesMax: 255 };
  }

  setxattr(_request: RequestContext, ino: Ino, name: Name, value: Buffer, flags: number, clearSetgid: boolean): void {
    const inode = this.inode(ino);
    if (flags === 1 && inode.xattrs.has(name)) throw new FsError("EEXIST", name);
    if (flags === 2 && !inode.xattrs.has(name)) throw new FsError("ENODATA", name);
    if (clearSetgid) inode.mode &= ~modeBits.setgid;
    inode.xattrs.set(name, value);
    inode.ctime = this.now();
  }

  getxattr(_request: RequestContext, ino: Ino, name: Name): MaybePromise<Buffer | undefined> {
    return this.inode(ino).xattrs.get(name);
  }

  listxattr(_request: RequestContext, ino: Ino): readonly Name[] {
    return [...this.inode(ino).xattrs.keys()];
  }

  removexattr(_request: RequestContext, ino: Ino, name: Name): void {
    const inode = this.inode(ino);
    if (!inode.xattrs.delete(name)) throw new FsError("ENODATA", name);
    inode.ctime = this.now();
  }

  access(): void {
    return;
  }

  getlk(_request: RequestContext, ino: Ino, _handle: Handle, lock: LockRange): LockRange | undefined {
    return this.inode(ino).locks.conflict(lock);
  }

  setlk(request: RequestContext, ino: Ino, handle: Handle, lock: LockRange, wait: boolean): MaybePromise<void> {
    return this.inode(ino).locks.set(lock, handle, wait, request.signal);
  }

  fallocate(_request: RequestContext, ino: Ino, _handle: Handle, offset: number, length: number, mode: number): void {
    const inode = this.inode(ino);
    const { content } = inode;
    const keepSize = (mode & fallocateModes.keepSize) !== 0;
    const { punchHole, zeroRange } = fallocateModes;
    if ((mode & ~(fallocateModes.keepSize | punchHole | zeroRange)) !== 0)
      throw new FsError("EOPNOTSUPP", "fallocate mode");
    if ((mode & (punchHole | zeroRange)) !== 0) content.zero(offset, length);
    if ((mode & punchHole) === 0) {
      content.allocate(offset, length);
      if (!keepSize) content.size = Math.max(content.size, offset + length);
    }
    inode.mtime = inode.ctime = this.now();
  }

  lseek(_request: RequestContext, ino: Ino, _handle: Handle, offset: number, whence: 3 | 4): number {
    const { content } = this.inode(ino);
    if (offset >= content.size) throw new FsError("ENXIO", "past the end");
    const found = content.seek(offset, whence === 3 ? "data" : "hole");
    if (whence === 3 && found >= content.size) throw new FsError("ENXIO", "no data behind");
    return found;
  }

  copyFileRange(
    _request: RequestContext,
    from: { ino: Ino; offset: number },
    to: { ino: Ino; offset: number },
    length: number,
  ): MaybePromise<number> {
    const bytes = Buffer.concat(this.inode(from.ino).content.read(from.offset, Math.min(length, 64 * 1024 * 1024)));
    const target = this.inode(to.ino);
    target.content.write(to.offset, bytes);
    target.mtime = target.ctime = this.now();
    return bytes.length;
  }

  syncfs(): void {
    return;
  }

  private opened(inode: MemoryInode, flags: number): Opened {
    const handle = toHandle(this.nextHandle++);
    inode.opens++;
    return {
      handle,
      keepCache: true,
      noFlush: this.noFlush,
      directIo: isRegular(inode.mode) && (flags & appendFlag) !== 0,
    };
  }
}

/** As the kernel does for a local filesystem: setgid only where the group may execute. */
function dropPrivileges(inode: MemoryInode): void {
  if (isDirectory(inode.mode)) return;
  inode.mode &= ~modeBits.setuid;
  if ((inode.mode & 0o010) !== 0) inode.mode &= ~modeBits.setgid;
}

/** Cookies rise along a listing. */
function firstAfter(listing: readonly (readonly [Name, { cookie: number }])[], cookie: number): number {
  let low = 0;
  let high = listing.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((listing[middle]?.[1].cookie ?? Infinity) <= cookie) low = middle + 1;
    else high = middle;
  }
  return low;
}

function unreachableIndex(): never {
  throw new Error("an index past the end of a listing");
}
