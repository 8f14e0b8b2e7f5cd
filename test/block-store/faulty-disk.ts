/**
 * A disk in memory that behaves as badly as real ones may: a crash loses any part of what was not synced, in sectors of
 * 512 bytes and in any order; calls fail on request; it fills up. A sync that failed forgets its writes: they can still
 * be read, and are never durable.
 */
import type { Disk, DiskFile } from "../../src/base/disk.ts";
import { FsError, type ErrnoName } from "../../src/base/errno.ts";
import type { Random } from "../../src/base/random.ts";

type Call = "open" | "create" | "read" | "write" | "sync" | "truncate" | "remove" | "rename" | "syncFolder";

interface Unsynced {
  readonly kind: "write" | "truncate";
  readonly position: number;
  readonly bytes: Buffer;
}

class Content {
  bytes = Buffer.alloc(0);

  write(position: number, bytes: Uint8Array): void {
    this.resize(Math.max(this.bytes.length, position + bytes.length));
    this.bytes.set(bytes, position);
  }

  resize(bytes: number): void {
    if (bytes === this.bytes.length) return;
    const memory = this.bytes.buffer;
    const at = this.bytes.byteOffset;
    if (bytes > this.bytes.length && at + bytes <= memory.byteLength && this.#owns) {
      const grown = Buffer.from(memory, at, bytes);
      grown.fill(0, this.bytes.length);
      this.bytes = grown;
      return;
    }
    const next = Buffer.alloc(Math.max(bytes * 2, 64 * 1024)).subarray(0, bytes);
    this.bytes.copy(next);
    this.bytes = next;
    this.#owns = true;
  }
  #owns = false;
}

class Inode {
  readonly visible = new Content();
  readonly durable = new Content();
  unsynced: Unsynced[] = [];

  apply(change: Unsynced): void {
    applyTo(this.visible, change);
    this.unsynced.push(change);
  }

  sync(): void {
    for (const change of this.unsynced) applyTo(this.durable, change);
    this.unsynced = [];
  }

  afterCrash(random: Random): Inode {
    const left = new Inode();
    left.durable.write(0, this.durable.bytes);
    for (const change of this.unsynced) {
      if (change.kind === "truncate") {
        if (random.below(2) === 0) applyTo(left.durable, change);
        continue;
      }
      const keep = random.below(3);
      for (let at = 0; at < change.bytes.length; at += 512) {
        if (keep === 0 || (keep === 1 && random.below(2) === 0)) continue;
        left.durable.write(change.position + at, change.bytes.subarray(at, at + 512));
      }
    }
    left.visible.write(0, left.durable.bytes);
    return left;
  }
}

function applyTo(content: Content, { kind, position, bytes }: Unsynced): void {
  if (kind === "truncate") content.resize(position);
  else content.write(position, bytes);
}

export class FaultyDisk implements Disk {
  readonly root = "/proc/nowhere";
  readonly folders = new Set<string>([""]);
  files = new Map<string, Inode>();
  durableFiles = new Map<string, Inode>();
  /** Says which calls fail. */
  fault: (call: Call, path: string) => ErrnoName | undefined = () => undefined;
  /** How many turns of the event loop a call takes. */
  turns: () => number = () => 1;
  totalBytes = Infinity;
  readonly counts: Record<Call, number> = {
    open: 0,
    create: 0,
    read: 0,
    write: 0,
    sync: 0,
    truncate: 0,
    remove: 0,
    rename: 0,
    syncFolder: 0,
  };

  /** The disk as the next process finds it after the power went: the old one must not be used any more. */
  crash(random: Random): FaultyDisk {
    const next = new FaultyDisk();
    for (const folder of this.folders) next.folders.add(folder);
    const names = new Map(this.durableFiles);
    for (const [path, inode] of this.files) {
      if (this.durableFiles.get(path) !== inode && random.below(2) === 0) names.set(path, inode);
    }
    for (const path of this.durableFiles.keys()) {
      if (!this.files.has(path) && random.below(2) === 0) names.delete(path);
    }
    for (const [path, inode] of names) {
      const left = inode.afterCrash(random);
      next.files.set(path, left);
      next.durableFiles.set(path, left);
    }
    this.#die();
    return next;
  }

  /** The disk as the next process finds it after kill -9: everything that can be read is still there. */
  kill(): FaultyDisk {
    const next = new FaultyDisk();
    for (const folder of this.folders) next.folders.add(folder);
    next.files = new Map(this.files);
    next.durableFiles = new Map(this.durableFiles);
    this.#die();
    return next;
  }

  /** Changes a byte of a file, durably. */
  flip(path: string, position: number): void {
    const inode = this.#file(path);
    for (const { bytes } of [inode.visible, inode.durable]) bytes[position] = (bytes[position] as number) ^ 0x10;
  }

  get usedBytes(): number {
    let bytes = 0;
    for (const inode of this.files.values()) bytes += inode.visible.bytes.length;
    return bytes;
  }

  async open(path: string, mode: "open" | "create"): Promise<DiskFile> {
    await this.#begin(mode, path);
    let inode = this.files.get(path);
    if (mode === "create") {
      if (inode !== undefined) throw new FsError("EEXIST", path);
      inode = new Inode();
      this.files.set(path, inode);
    }
    if (inode === undefined) throw new FsError("ENOENT", path);
    return this.#handle(path, inode);
  }

  async list(path: string): Promise<string[]> {
    await this.#begin("open", path);
    if (!this.folders.has(path)) throw new FsError("ENOENT", path);
    const prefix = path === "" ? "" : `${path}/`;
    return [...this.files.keys()].filter((name) => name.startsWith(prefix)).map((name) => name.slice(prefix.length));
  }

  async makeFolder(path: string): Promise<void> {
    await this.#begin("create", path);
    this.folders.add(path);
  }

  async rename(from: string, to: string): Promise<void> {
    await this.#begin("rename", from);
    this.files.set(to, this.#file(from));
    this.files.delete(from);
  }

  async remove(path: string): Promise<void> {
    await this.#begin("remove", path);
    this.#file(path);
    this.files.delete(path);
  }

  async syncFolder(path: string): Promise<void> {
    await this.#begin("syncFolder", path);
    const isInside = (name: string): boolean => (path === "" ? !name.includes("/") : name.startsWith(`${path}/`));
    for (const name of this.durableFiles.keys()) if (isInside(name)) this.durableFiles.delete(name);
    for (const [name, inode] of this.files) if (isInside(name)) this.durableFiles.set(name, inode);
  }

  exists(path: string): Promise<boolean> {
    return Promise.resolve(this.files.has(path) || this.folders.has(path));
  }

  space(): Promise<{ freeBytes: number; totalBytes: number }> {
    return Promise.resolve({ freeBytes: this.totalBytes - this.usedBytes, totalBytes: this.totalBytes });
  }

  #handle(path: string, inode: Inode): DiskFile {
    return {
      read: async (into, position) => {
        await this.#begin("read", path);
        const from = inode.visible.bytes.subarray(position, position + into.length);
        into.set(from);
        return from.length;
      },
      write: async (pieces, position) => {
        await this.#begin("write", path);
        const bytes = Buffer.concat(pieces);
        const room = this.totalBytes - this.usedBytes + inode.visible.bytes.length - position;
        if (bytes.length > room) {
          const fits = Math.max(0, Math.floor(room / 512) * 512);
          inode.apply({ kind: "write", position, bytes: bytes.subarray(0, fits) });
          throw new FsError("ENOSPC", path);
        }
        inode.apply({ kind: "write", position, bytes });
      },
      sync: async () => {
        // What is written while the sync runs is not covered by it.
        const covered = [...inode.unsynced];
        try {
          await this.#begin("sync", path);
        } catch (error) {
          inode.unsynced = inode.unsynced.slice(covered.length);
          throw error;
        }
        const rest = inode.unsynced.slice(covered.length);
        inode.unsynced = covered;
        inode.sync();
        inode.unsynced = rest;
      },
      truncate: async (bytes) => {
        await this.#begin("truncate", path);
        inode.apply({ kind: "truncate", position: bytes, bytes: Buffer.alloc(0) });
      },
      size: () => Promise.resolve(inode.visible.bytes.length),
      close: () => Promise.resolve(),
    };
  }

  /** Calls of a dead disk never return. */
  #isDead = false;
  #die(): void {
    this.#isDead = true;
  }

  async #begin(call: Call, path: string): Promise<void> {
    for (let turn = this.turns(); turn > 0; turn--) await new Promise<void>((resolve) => setImmediate(resolve));
    if (this.#isDead) await new Promise<never>(() => undefined);
    this.counts[call] += 1;
    const errno = this.fault(call, path);
    if (errno !== undefined) throw new FsError(errno, `${call} ${path}`);
  }

  #file(path: string): Inode {
    const inode = this.files.get(path);
    if (inode === undefined) throw new FsError("ENOENT", path);
    return inode;
  }
}
