/**
 * A disk in memory that fails as real ones do, from a seed. `crash()` is a loss of power: of what was not synced, each
 * sector of 512 bytes is there or not, a file's size is the old or the new one, and of each folder's changes only the
 * first few happened. `kill()` is the end of the process alone: the page cache survives. Either way the old disk is dead:
 * every further operation on it rejects.
 */
import type { Disk, DiskFile, OpenOptions } from "../../src/base/disk.ts";
import { FsError, type ErrnoName } from "../../src/base/errno.ts";
import type { Random } from "../../src/base/random.ts";

export type DiskOperation = "open" | "read" | "write" | "sync" | "rename" | "remove" | "syncFolder";

const sectorBytes = 512;

interface Inode {
  content: Buffer;
  size: number;
  durable: Buffer;
  durableSize: number;
  readonly dirty: Set<number>;
}

interface Folder {
  entries: Map<string, Inode>;
  durable: Map<string, Inode>;
  /** States of the folder after each change since it was synced. */
  changes: Map<string, Inode>[];
}

interface Fault {
  readonly operation: DiskOperation;
  readonly errno: ErrnoName;
  readonly path: string | undefined;
  left: number;
}

export class FaultyDisk implements Disk {
  readonly root: string;
  /** How many operations were begun: where `crashAfter` may cut. */
  operations = 0;
  readonly #random: Random;
  readonly #folders = new Map<string, Folder>();
  readonly #faults: Fault[] = [];
  #capacity = Infinity;
  #crashAt = Infinity;
  #isDead = false;

  /** @param root a real folder, for what is not injected (LMDB) */
  constructor(random: Random, root = "/proc/nowhere") {
    this.#random = random;
    this.root = root;
    this.#folders.set("", emptyFolder());
  }

  /** From that many operations on the disk is dead; the one that is cut may have happened in part. */
  crashAfter(operations: number): void {
    this.#crashAt = this.operations + operations;
  }

  /** The next operation (on that path), after `skip` others, fails. */
  fail(operation: DiskOperation, errno: ErrnoName, options: { path?: string; skip?: number } = {}): void {
    this.#faults.push({ operation, errno, path: options.path, left: options.skip ?? 0 });
  }

  /** Bytes of all files together, beyond which writes fail with ENOSPC. */
  set capacity(bytes: number) {
    this.#capacity = bytes;
  }

  get isDead(): boolean {
    return this.#isDead;
  }

  crash(): FaultyDisk {
    return this.#successor(
      (inode) => afterPowerLoss(inode, this.#random),
      (folder) => {
        const states = [folder.durable, ...folder.changes];
        return states[this.#random.below(states.length)] ?? folder.durable;
      },
    );
  }

  kill(): FaultyDisk {
    return this.#successor(
      (inode) => ({ ...inode, dirty: new Set(inode.dirty) }),
      (folder) => folder.entries,
      true,
    );
  }

  /** Inverts bits of one byte, as a rotten sector would show them. */
  flip(path: string, offset: number, mask = 1): void {
    const inode = this.#inode(path);
    for (const bytes of [inode.content, inode.durable]) {
      if (offset < bytes.length) bytes[offset] = (bytes[offset] ?? 0) ^ mask;
    }
  }

  /** Removes a file as if it had never been. */
  lose(path: string): void {
    const { folder, name } = this.#split(path);
    for (const entries of [folder.entries, folder.durable, ...folder.changes]) entries.delete(name);
  }

  bytesOf(path: string): Buffer {
    const { content, size } = this.#inode(path);
    return content.subarray(0, size);
  }

  async open(path: string, mode: "open" | "create", options?: OpenOptions): Promise<DiskFile> {
    await this.#begin("open", path);
    const { folder, name } = this.#split(path);
    const found = folder.entries.get(name);
    if (mode === "create" && found !== undefined) throw new FsError("EEXIST", path);
    if (mode === "open" && found === undefined) throw new FsError("ENOENT", path);
    const inode = found ?? emptyInode();
    if (found === undefined) change(folder, (entries) => entries.set(name, inode));
    return this.#file(path, inode, options?.synchronous === true);
  }

  async list(path: string): Promise<string[]> {
    await this.#begin("open", path);
    const folder = this.#folders.get(path);
    if (folder === undefined) throw new FsError("ENOENT", path);
    return [...folder.entries.keys()];
  }

  /** Folders are few and made once: they are durable at once. */
  async makeFolder(path: string): Promise<void> {
    await this.#begin("open", path);
    if (!this.#folders.has(path)) this.#folders.set(path, emptyFolder());
  }

  async rename(from: string, to: string): Promise<void> {
    const isCut = await this.#begin("rename", to);
    const source = this.#split(from);
    const target = this.#split(to);
    const inode = source.folder.entries.get(source.name);
    if (inode === undefined) throw new FsError("ENOENT", from);
    if (source.folder === target.folder) {
      change(source.folder, (entries) => {
        entries.delete(source.name);
        entries.set(target.name, inode);
      });
    } else {
      change(target.folder, (entries) => entries.set(target.name, inode));
      change(source.folder, (entries) => entries.delete(source.name));
    }
    this.#cut(isCut, to);
  }

  async remove(path: string): Promise<void> {
    const isCut = await this.#begin("remove", path);
    const { folder, name } = this.#split(path);
    if (!folder.entries.has(name)) throw new FsError("ENOENT", path);
    change(folder, (entries) => entries.delete(name));
    this.#cut(isCut, path);
  }

  async syncFolder(path: string): Promise<void> {
    const isCut = await this.#begin("syncFolder", path);
    this.#cut(isCut, path);
    const folder = this.#folders.get(path);
    if (folder === undefined) throw new FsError("ENOENT", path);
    folder.durable = new Map(folder.entries);
    folder.changes = [];
  }

  async exists(path: string): Promise<boolean> {
    await this.#begin("open", path);
    const { folder, name } = this.#split(path);
    return folder.entries.has(name) || this.#folders.has(path);
  }

  async space(): Promise<{ freeBytes: number; totalBytes: number }> {
    await this.#begin("open", "");
    return { freeBytes: Math.max(0, this.#capacity - this.#used()), totalBytes: this.#capacity };
  }

  #file(path: string, inode: Inode, isSynchronous: boolean): DiskFile {
    return {
      read: async (into, position) => {
        await this.#begin("read", path);
        const end = Math.min(inode.size, position + into.length);
        if (end <= position) return 0;
        into.set(inode.content.subarray(position, end));
        return end - position;
      },
      write: async (pieces, position) => {
        const bytes = Buffer.concat(pieces);
        const isCut = await this.#begin("write", path);
        if (this.#used() + Math.max(0, position + bytes.length - inode.size) > this.#capacity) {
          throw new FsError("ENOSPC", path);
        }
        writeTo(inode, bytes, position);
        this.#cut(isCut, path);
        if (isSynchronous) syncInode(inode);
      },
      sync: async () => {
        const isCut = await this.#begin("sync", path);
        this.#cut(isCut, path);
        syncInode(inode);
      },
      truncate: async (bytes) => {
        await this.#begin("write", path);
        grow(inode, bytes);
        inode.content.fill(0, Math.min(bytes, inode.size), Math.max(bytes, inode.size));
        inode.size = bytes;
      },
      size: async () => {
        await this.#begin("read", path);
        return inode.size;
      },
      close: () => Promise.resolve(),
    };
  }

  /** Resolves in a later microtask, as real operations do: true if the power goes in the middle of this one. */
  async #begin(operation: DiskOperation, path: string): Promise<boolean> {
    await Promise.resolve();
    if (this.#isDead) throw new FsError("EIO", `${path}: the disk is dead`);
    const index = this.#faults.findIndex((f) => f.operation === operation && (f.path ?? path) === path);
    const fault = this.#faults[index];
    if (fault !== undefined && fault.left-- === 0) {
      this.#faults.splice(index, 1);
      throw new FsError(fault.errno, `${path}: injected`);
    }
    return ++this.operations > this.#crashAt;
  }

  #cut(isCut: boolean, path: string): void {
    if (!isCut) return;
    this.#isDead = true;
    throw new FsError("EIO", `${path}: the power is gone`);
  }

  #used(): number {
    const inodes = new Set([...this.#folders.values()].flatMap((folder) => [...folder.entries.values()]));
    return [...inodes].reduce((sum, inode) => sum + inode.size, 0);
  }

  #inode(path: string): Inode {
    const { folder, name } = this.#split(path);
    const inode = folder.entries.get(name);
    if (inode === undefined) throw new FsError("ENOENT", path);
    return inode;
  }

  #split(path: string): { folder: Folder; name: string } {
    const at = path.lastIndexOf("/");
    const folder = this.#folders.get(at === -1 ? "" : path.slice(0, at));
    if (folder === undefined) throw new FsError("ENOENT", path);
    return { folder, name: path.slice(at + 1) };
  }

  #successor(
    keep: (inode: Inode) => Inode,
    entriesOf: (folder: Folder) => Map<string, Inode>,
    isKill = false,
  ): FaultyDisk {
    this.#isDead = true;
    const disk = new FaultyDisk(this.#random, this.root);
    disk.#capacity = this.#capacity;
    const copies = new Map<Inode, Inode>();
    const copyOf = (entries: Map<string, Inode>): Map<string, Inode> =>
      new Map(
        [...entries].map(([name, inode]) => {
          const copy = copies.get(inode) ?? keep(inode);
          copies.set(inode, copy);
          return [name, copy];
        }),
      );
    for (const [path, folder] of this.#folders) {
      const entries = copyOf(entriesOf(folder));
      const durable = isKill ? copyOf(folder.durable) : new Map(entries);
      disk.#folders.set(path, { entries, durable, changes: isKill ? folder.changes.map(copyOf) : [] });
    }
    return disk;
  }
}

function emptyInode(): Inode {
  return { content: Buffer.alloc(0), size: 0, durable: Buffer.alloc(0), durableSize: 0, dirty: new Set() };
}

function emptyFolder(): Folder {
  return { entries: new Map(), durable: new Map(), changes: [] };
}

function change(folder: Folder, apply: (entries: Map<string, Inode>) => unknown): void {
  apply(folder.entries);
  folder.changes.push(new Map(folder.entries));
}

function grow(inode: Inode, bytes: number): void {
  if (bytes <= inode.content.length) return;
  const content = Buffer.alloc(Math.max(bytes, inode.content.length * 2, 4096));
  inode.content.copy(content);
  inode.content = content;
}

function writeTo(inode: Inode, bytes: Buffer, position: number): void {
  grow(inode, position + bytes.length);
  bytes.copy(inode.content, position);
  inode.size = Math.max(inode.size, position + bytes.length);
  const last = Math.floor((position + bytes.length - 1) / sectorBytes);
  for (let sector = Math.floor(position / sectorBytes); sector <= last; sector++) inode.dirty.add(sector);
}

function syncInode(inode: Inode): void {
  for (const sector of inode.dirty) keepSector(inode, sector);
  inode.dirty.clear();
  inode.durableSize = inode.size;
}

function keepSector(inode: Inode, sector: number): void {
  const start = sector * sectorBytes;
  const end = Math.min(start + sectorBytes, inode.content.length);
  if (inode.durable.length < end) {
    const durable = Buffer.alloc(Math.max(end, inode.content.length));
    inode.durable.copy(durable);
    inode.durable = durable;
  }
  inode.content.copy(inode.durable, start, start, end);
}

function afterPowerLoss(inode: Inode, random: Random): Inode {
  for (const sector of inode.dirty) if (random.below(2) === 0) keepSector(inode, sector);
  const size = random.below(2) === 0 ? inode.durableSize : inode.size;
  const content = Buffer.alloc(size);
  inode.durable.copy(content, 0, 0, size);
  return { content, size, durable: Buffer.from(content), durableSize: size, dirty: new Set() };
}
