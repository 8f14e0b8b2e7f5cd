/**
 * A disk in memory that fails as real ones do, from a seed. `crash()` is a loss of power: of what was not synced, each
 * sector of 512 bytes is there or not, a file's size is the old or the new one, and of each folder's changes only the
 * first few happened. `kill()` is the end of the process alone: the page cache survives. Either way the old disk is dead:
 * every further operation on it rejects. It fills up as disks do: the write that does not fit happens in part.
 */
import type { Disk, DiskFile, OpenOptions } from "../../src/base/disk.ts";
import { FsError, type ErrnoName } from "../../src/base/errno.ts";
import { seededRandom, type Random } from "../../src/base/random.ts";
import { change, emptyFolder, FaultyFile, type Folder } from "./faulty-file.ts";

export type DiskOperation = "open" | "read" | "write" | "sync" | "rename" | "remove" | "syncFolder";

const sectorBytes = 512;

interface Fault extends Pick<FsError, "errno"> {
  readonly operation: DiskOperation;
  readonly path: string | undefined;
  left: number;
}

export class FaultyDisk implements Disk {
  readonly root: string;
  /** How many operations were begun: where `crashAfter` may cut. */
  operations = 0;
  /** The same for each kind. */
  readonly counts = { open: 0, read: 0, write: 0, sync: 0, rename: 0, remove: 0, syncFolder: 0 };
  /** Says which operations fail, as long as it is set. */
  fault: (operation: DiskOperation, path: string) => ErrnoName | undefined = () => undefined;
  /** How many turns of the event loop an operation takes; 0: it ends in the same turn. */
  turns: () => number = () => 0;
  readonly #random: Random;
  readonly #folders = new Map<string, Folder>();
  readonly #faults: Fault[] = [];
  #capacity = Infinity;
  #crashAt = Infinity;
  #isDead = false;

  /** @param root a real folder, for what is not injected (LMDB) */
  constructor(random: Random = seededRandom(1), root = "/proc/nowhere") {
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

  get usedBytes(): number {
    const files = new Set([...this.#folders.values()].flatMap((folder) => [...folder.entries.values()]));
    return [...files].reduce((sum, file) => sum + file.size, 0);
  }

  get isDead(): boolean {
    return this.#isDead;
  }

  crash(): FaultyDisk {
    return this.#successor(
      (file) => file.afterPowerLoss(this.#random),
      (folder) => {
        const states = [folder.durable, ...folder.changes];
        return states[this.#random.below(states.length)] ?? folder.durable;
      },
    );
  }

  kill(): FaultyDisk {
    return this.#successor(
      (file) => file.afterKill(),
      (folder) => folder.entries,
      true,
    );
  }

  /** Inverts bits of one byte, as a rotten sector would show them. */
  flip(path: string, offset: number, mask = 1): void {
    this.#file(path).flip(offset, mask);
  }

  /** Removes a file as if it had never been. */
  lose(path: string): void {
    const { folder, name } = this.#split(path);
    for (const entries of [folder.entries, folder.durable, ...folder.changes]) entries.delete(name);
  }

  /** A view of what can be read. */
  bytesOf(path: string): Buffer {
    return this.#file(path).bytes;
  }

  /** The paths of a folder's files; none if there is no such folder. */
  files(folder: string): string[] {
    return [...(this.#folders.get(folder)?.entries.keys() ?? [])].map((name) => `${folder}/${name}`);
  }

  has(path: string): boolean {
    const { folder, name } = this.#split(path);
    return folder.entries.has(name);
  }

  /** Whether the name would survive a crash. */
  isDurable(path: string): boolean {
    const { folder, name } = this.#split(path);
    return folder.durable.has(name);
  }

  async open(path: string, mode: "open" | "create", options?: OpenOptions): Promise<DiskFile> {
    await this.#begin("open", path);
    const { folder, name } = this.#split(path);
    const found = folder.entries.get(name);
    if (mode === "create" && found !== undefined) throw new FsError("EEXIST", path);
    if (mode === "open" && found === undefined) throw new FsError("ENOENT", path);
    const file = found ?? new FaultyFile();
    if (found === undefined) change(folder, (entries) => entries.set(name, file));
    return this.#opened(path, file, options?.synchronous === true);
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
    const file = source.folder.entries.get(source.name);
    if (file === undefined) throw new FsError("ENOENT", from);
    if (source.folder === target.folder) {
      change(source.folder, (entries) => {
        entries.delete(source.name);
        entries.set(target.name, file);
      });
    } else {
      change(target.folder, (entries) => entries.set(target.name, file));
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
    if (this.#folders.has(path)) return true;
    const at = path.lastIndexOf("/");
    const folder = this.#folders.get(at === -1 ? "" : path.slice(0, at));
    return folder?.entries.has(path.slice(at + 1)) === true;
  }

  async space(): Promise<{ freeBytes: number; totalBytes: number }> {
    await this.#begin("open", "");
    return { freeBytes: Math.max(0, this.#capacity - this.usedBytes), totalBytes: this.#capacity };
  }

  #opened(path: string, file: FaultyFile, isSynchronous: boolean): DiskFile {
    return {
      read: async (into, position) => {
        await this.#begin("read", path);
        return file.read(into, position);
      },
      write: async (pieces, position) => {
        const bytes = Buffer.concat(pieces);
        const isCut = await this.#begin("write", path);
        const room = this.#capacity - this.usedBytes + Math.max(0, file.size - position);
        if (bytes.length > room) {
          file.write(bytes.subarray(0, Math.max(0, Math.floor(room / sectorBytes) * sectorBytes)), position);
          throw new FsError("ENOSPC", path);
        }
        file.write(bytes, position);
        this.#cut(isCut, path);
        if (isSynchronous) file.sync();
      },
      sync: async () => {
        const endSync = file.beginSync();
        let isCut: boolean;
        try {
          isCut = await this.#begin("sync", path);
        } catch (error) {
          if (!this.#isDead) endSync(false);
          throw error;
        }
        this.#cut(isCut, path);
        endSync(true);
      },
      truncate: async (bytes) => {
        await this.#begin("write", path);
        file.truncate(bytes);
      },
      size: async () => {
        await this.#begin("read", path);
        return file.size;
      },
      close: () => Promise.resolve(),
    };
  }

  /** Resolves later, as real operations do: true if the power goes in the middle of this one. */
  async #begin(operation: DiskOperation, path: string): Promise<boolean> {
    await Promise.resolve();
    for (let turn = this.turns(); turn > 0; turn--) await new Promise<void>((resolve) => setImmediate(resolve));
    if (this.#isDead) throw new FsError("EIO", `${path}: the disk is dead`);
    const errno = this.fault(operation, path);
    if (errno !== undefined) throw new FsError(errno, `${path}: injected`);
    const index = this.#faults.findIndex((f) => f.operation === operation && (f.path ?? path) === path);
    const fault = this.#faults[index];
    if (fault !== undefined && fault.left-- === 0) {
      this.#faults.splice(index, 1);
      throw new FsError(fault.errno, `${path}: injected`);
    }
    this.counts[operation] += 1;
    return ++this.operations > this.#crashAt;
  }

  #cut(isCut: boolean, path: string): void {
    if (!isCut) return;
    this.#isDead = true;
    throw new FsError("EIO", `${path}: the power is gone`);
  }

  #file(path: string): FaultyFile {
    const { folder, name } = this.#split(path);
    const file = folder.entries.get(name);
    if (file === undefined) throw new FsError("ENOENT", path);
    return file;
  }

  #split(path: string): { folder: Folder; name: string } {
    const at = path.lastIndexOf("/");
    const folder = this.#folders.get(at === -1 ? "" : path.slice(0, at));
    if (folder === undefined) throw new FsError("ENOENT", path);
    return { folder, name: path.slice(at + 1) };
  }

  #successor(
    keep: (file: FaultyFile) => FaultyFile,
    entriesOf: (folder: Folder) => Map<string, FaultyFile>,
    isKill = false,
  ): FaultyDisk {
    this.#isDead = true;
    const disk = new FaultyDisk(this.#random, this.root);
    disk.#capacity = this.#capacity;
    const copies = new Map<FaultyFile, FaultyFile>();
    const copyOf = (entries: Map<string, FaultyFile>): Map<string, FaultyFile> =>
      new Map(
        [...entries].map(([name, file]) => {
          const copy = copies.get(file) ?? keep(file);
          copies.set(file, copy);
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
