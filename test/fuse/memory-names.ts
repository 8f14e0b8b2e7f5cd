/** The tree of the in-memory filesystem: inodes, names, attributes. Its content and files: `memory-filesystem.ts`. */
import { type Attributes, fileType, isDirectory, modeBits, type Nanos } from "../../src/base/attributes.ts";
import { systemClock } from "../../src/base/clock.ts";
import { FsError } from "../../src/base/errno.ts";
import { type Ino, rootIno, toIno } from "../../src/base/ids.ts";
import type { Name } from "../../src/base/name.ts";
import {
  type AbsentEntry,
  type Caller,
  type Creation,
  type Entry,
  type MaybePromise,
  renameFlags,
  type RequestContext,
} from "../../src/fuse/operations.ts";
import { MemoryContent } from "./memory-content.ts";
import { MemoryLocks } from "./memory-locks.ts";

export interface MemoryInode {
  readonly ino: Ino;
  mode: number;
  nlink: number;
  uid: number;
  gid: number;
  rdev: number;
  atime: Nanos;
  mtime: Nanos;
  ctime: Nanos;
  readonly btime: Nanos;
  /** Directories. The cookie of an entry is its place in order of creation: stable. */
  readonly children: Map<Name, { inode: MemoryInode; cookie: number }> | undefined;
  parent: MemoryInode | undefined;
  readonly content: MemoryContent;
  target: Buffer | undefined;
  readonly xattrs: Map<Name, Buffer>;
  readonly locks: MemoryLocks;
  /** References of the kernel. */
  lookups: number;
  opens: number;
}

export class MemoryNames {
  readonly inodes = new Map<number, MemoryInode>();
  validMillis = 3_600_000;
  private nextIno: number = rootIno;
  private nextCookie = 3;

  constructor() {
    const root = this.newInode(fileType.directory | 0o755, { uid: 0, gid: 0, pid: 0 }, undefined);
    root.nlink = 2;
    root.parent = root;
  }

  now(): Nanos {
    return systemClock.wallNanos();
  }

  inode(ino: number): MemoryInode {
    const inode = this.inodes.get(ino);
    if (inode === undefined) throw new FsError("ESTALE", `no inode ${String(ino)}`);
    return inode;
  }

  newInode(mode: number, caller: Caller, parent: MemoryInode | undefined): MemoryInode {
    const now = this.now();
    const inherits = parent !== undefined && (parent.mode & modeBits.setgid) !== 0;
    const inode: MemoryInode = {
      ino: toIno(this.nextIno++),
      mode: inherits && isDirectory(mode) ? mode | modeBits.setgid : mode,
      nlink: isDirectory(mode) ? 2 : 1,
      uid: caller.uid,
      gid: inherits ? parent.gid : caller.gid,
      rdev: 0,
      atime: now,
      mtime: now,
      ctime: now,
      btime: now,
      children: isDirectory(mode) ? new Map<Name, { inode: MemoryInode; cookie: number }>() : undefined,
      parent: isDirectory(mode) ? parent : undefined,
      content: new MemoryContent(),
      target: undefined,
      xattrs: new Map<Name, Buffer>(),
      locks: new MemoryLocks(),
      lookups: 0,
      opens: 0,
    };
    this.inodes.set(inode.ino, inode);
    return inode;
  }

  attributes(i: MemoryInode): Attributes {
    const size = i.target?.length ?? i.content.size;
    const blocks = i.children === undefined ? Math.ceil(Math.min(size, i.content.allocatedBytes) / 512) : 0;
    const { ino, mode, nlink, uid, gid, rdev, atime, mtime, ctime, btime } = i;
    return { ino, mode, nlink, uid, gid, rdev, size, blocks, atime, mtime, ctime, btime, hasXattrs: i.xattrs.size > 0 };
  }

  entry(inode: MemoryInode): Entry {
    inode.lookups++;
    return {
      attributes: this.attributes(inode),
      attributesValidMillis: this.validMillis,
      entryValidMillis: this.validMillis,
    };
  }

  lookup(_request: RequestContext, parent: Ino, name: Name | "." | ".."): MaybePromise<Entry | AbsentEntry> {
    const directory = this.inode(parent);
    if (name === ".") return this.entry(directory);
    if (name === "..") return this.entry(directory.parent ?? directory);
    const found = this.children(directory).get(name);
    return found === undefined ? { absent: true, entryValidMillis: this.validMillis } : this.entry(found.inode);
  }

  forget(ino: Ino, count: number): void {
    const inode = this.inodes.get(ino);
    if (inode === undefined) return;
    inode.lookups -= count;
    this.dropIfUnused(inode);
  }

  mknod(request: RequestContext, parent: Ino, name: Name, creation: Creation, rdev: number): Entry {
    const inode = this.create_(request, parent, name, creation);
    inode.rdev = rdev;
    return this.entry(inode);
  }

  mkdir(request: RequestContext, parent: Ino, name: Name, creation: Creation): Entry {
    const inode = this.create_(request, parent, name, creation);
    this.inode(parent).nlink++;
    return this.entry(inode);
  }

  symlink(request: RequestContext, parent: Ino, name: Name, target: Buffer): Entry {
    const inode = this.create_(request, parent, name, { mode: fileType.symlink | 0o777, umask: 0 });
    inode.target = target;
    return this.entry(inode);
  }

  readlink(_request: RequestContext, ino: Ino): Buffer {
    const { target } = this.inode(ino);
    if (target === undefined) throw new FsError("EINVAL", "not a symlink");
    return target;
  }

  link(_request: RequestContext, ino: Ino, newParent: Ino, newName: Name): Entry {
    const inode = this.inode(ino);
    this.add(this.inode(newParent), newName, inode);
    inode.nlink++;
    inode.ctime = this.now();
    return this.entry(inode);
  }

  unlink(_request: RequestContext, parent: Ino, name: Name): MaybePromise<void> {
    const directory = this.inode(parent);
    const { inode } = this.child(directory, name);
    if (inode.children !== undefined) throw new FsError("EISDIR", name);
    this.remove(directory, name);
  }

  rmdir(_request: RequestContext, parent: Ino, name: Name): void {
    const directory = this.inode(parent);
    const { inode } = this.child(directory, name);
    if (inode.children === undefined) throw new FsError("ENOTDIR", name);
    if (inode.children.size > 0) throw new FsError("ENOTEMPTY", name);
    this.remove(directory, name);
  }

  rename(request: RequestContext, parent: Ino, name: Name, newParent: Ino, newName: Name, flags: number): void {
    const from = this.inode(parent);
    const to = this.inode(newParent);
    const { inode } = this.child(from, name);
    const target = this.children(to).get(newName)?.inode;
    if ((flags & renameFlags.exchange) !== 0) {
      if (target === undefined) throw new FsError("ENOENT", newName);
      this.move(inode, from, name, to, newName);
      this.add(from, name, target);
      if (target.children !== undefined && from !== to) this.reparent(target, to, from);
      return;
    }
    if (target === inode) return;
    if (target !== undefined) {
      if ((flags & renameFlags.noReplace) !== 0) throw new FsError("EEXIST", newName);
      if (target.children !== undefined) this.rmdir(request, newParent, newName);
      else this.remove(to, newName);
    }
    this.move(inode, from, name, to, newName);
    if ((flags & renameFlags.whiteout) !== 0)
      this.create_(request, parent, name, { mode: fileType.character, umask: 0 });
  }

  /** Makes an inode under a name; counts no lookup. */
  protected create_(caller: Caller, parent: Ino, name: Name, creation: Creation): MemoryInode {
    const directory = this.inode(parent);
    if (this.children(directory).has(name)) throw new FsError("EEXIST", name);
    const inode = this.newInode(creation.mode & ~creation.umask, caller, directory);
    this.add(directory, name, inode);
    return inode;
  }

  protected children(inode: MemoryInode): NonNullable<MemoryInode["children"]> {
    if (inode.children === undefined) throw new FsError("ENOTDIR", `inode ${String(inode.ino)}`);
    return inode.children;
  }

  protected dropIfUnused(inode: MemoryInode): void {
    if (inode.nlink <= 0 && inode.lookups <= 0 && inode.opens <= 0) this.inodes.delete(inode.ino);
  }

  private child(directory: MemoryInode, name: Name): { inode: MemoryInode } {
    const found = this.children(directory).get(name);
    if (found === undefined) throw new FsError("ENOENT", name);
    return found;
  }

  private add(directory: MemoryInode, name: Name, inode: MemoryInode): void {
    this.children(directory).set(name, { inode, cookie: this.nextCookie++ });
    directory.mtime = directory.ctime = this.now();
  }

  private move(inode: MemoryInode, from: MemoryInode, name: Name, to: MemoryInode, newName: Name): void {
    this.children(from).delete(name);
    from.mtime = from.ctime = this.now();
    this.children(to).delete(newName);
    this.add(to, newName, inode);
    inode.ctime = this.now();
    if (inode.children !== undefined && from !== to) this.reparent(inode, from, to);
  }

  private reparent(inode: MemoryInode, from: MemoryInode, to: MemoryInode): void {
    inode.parent = to;
    from.nlink--;
    to.nlink++;
  }

  private remove(directory: MemoryInode, name: Name): void {
    const { inode } = this.child(directory, name);
    this.children(directory).delete(name);
    directory.mtime = directory.ctime = inode.ctime = this.now();
    inode.nlink -= inode.children === undefined ? 1 : 2;
    if (inode.children !== undefined) directory.nlink--;
    this.dropIfUnused(inode);
  }
}
