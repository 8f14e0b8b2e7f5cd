/**
 * The files and folders of the faulty disk. Of a file: what can be read, what would survive a loss of power, and which
 * sectors of 512 bytes lie between.
 * A sector that was written since is there after a crash or not, each on its own; a sync that failed forgets its
 * sectors: they can still be read, and are never durable.
 */
import type { Random } from "../../src/base/random.ts";

const sectorBytes = 512;

export class FaultyFile {
  size = 0;
  #content = Buffer.alloc(0);
  #durable = Buffer.alloc(0);
  #durableSize = 0;
  /** Sectors that are not durable, with the number of their last write. */
  #dirty = new Map<number, number>();
  #writes = 0;

  get bytes(): Buffer {
    return this.#content.subarray(0, this.size);
  }

  read(into: Uint8Array, position: number): number {
    const end = Math.min(this.size, position + into.length);
    if (end <= position) return 0;
    into.set(this.#content.subarray(position, end));
    return end - position;
  }

  write(bytes: Uint8Array, position: number): void {
    if (bytes.length === 0) return;
    this.#grow(position + bytes.length);
    this.#content.set(bytes, position);
    this.size = Math.max(this.size, position + bytes.length);
    this.#touch(position, position + bytes.length);
  }

  truncate(bytes: number): void {
    this.#grow(bytes);
    const from = Math.min(bytes, this.size);
    const to = Math.max(bytes, this.size);
    this.#content.fill(0, from, to);
    this.size = bytes;
    this.#touch(from, to);
  }

  /** Begins a sync, which covers what has been written by now; the answer ends it. */
  beginSync(): (hasSucceeded: boolean) => void {
    const covered = [...this.#dirty];
    const { size } = this;
    return (hasSucceeded) => {
      for (const [sector, write] of covered) {
        if (hasSucceeded) this.#keep(sector);
        if (this.#dirty.get(sector) === write) this.#dirty.delete(sector);
      }
      if (hasSucceeded) this.#durableSize = size;
    };
  }

  sync(): void {
    this.beginSync()(true);
  }

  /** Inverts bits, on the disk itself. */
  flip(offset: number, mask: number): void {
    for (const bytes of [this.#content, this.#durable]) {
      if (offset < bytes.length) bytes[offset] = (bytes[offset] ?? 0) ^ mask;
    }
  }

  /** As the next process finds it after kill -9; shares memory with this one, which must not be written any more. */
  afterKill(): FaultyFile {
    const file = new FaultyFile();
    file.size = this.size;
    file.#content = this.#content;
    file.#durable = this.#durable;
    file.#durableSize = this.#durableSize;
    file.#dirty = new Map(this.#dirty);
    file.#writes = this.#writes;
    return file;
  }

  /** As the next process finds it after the power went. */
  afterPowerLoss(random: Random): FaultyFile {
    // A write is lost, or there, or half of its sectors are.
    const fates = new Map<number, number>();
    for (const [sector, write] of this.#dirty) {
      const fate = fates.get(write) ?? random.below(3);
      fates.set(write, fate);
      if (fate === 2 || (fate === 1 && random.below(2) === 0)) this.#keep(sector);
    }
    const file = new FaultyFile();
    file.size = file.#durableSize = random.below(2) === 0 ? this.#durableSize : this.size;
    file.#content = Buffer.alloc(file.size);
    this.#durable.copy(file.#content, 0, 0, file.size);
    file.#durable = Buffer.from(file.#content);
    return file;
  }

  #touch(from: number, to: number): void {
    this.#writes += 1;
    const end = Math.ceil(to / sectorBytes);
    for (let sector = Math.floor(from / sectorBytes); sector < end; sector++) this.#dirty.set(sector, this.#writes);
  }

  #grow(bytes: number): void {
    if (bytes <= this.#content.length) return;
    const content = Buffer.alloc(Math.max(bytes, this.#content.length * 2, 4096));
    this.#content.copy(content);
    this.#content = content;
  }

  #keep(sector: number): void {
    const start = sector * sectorBytes;
    const end = Math.min(start + sectorBytes, this.#content.length);
    if (this.#durable.length < end) {
      const durable = Buffer.alloc(Math.max(end, this.#content.length));
      this.#durable.copy(durable);
      this.#durable = durable;
    }
    this.#content.copy(this.#durable, start, start, end);
  }
}

export interface Folder {
  entries: Map<string, FaultyFile>;
  durable: Map<string, FaultyFile>;
  /** States of the folder after each change since it was synced. */
  changes: Map<string, FaultyFile>[];
}

export function emptyFolder(): Folder {
  return { entries: new Map(), durable: new Map(), changes: [] };
}

export function change(folder: Folder, apply: (entries: Map<string, FaultyFile>) => unknown): void {
  apply(folder.entries);
  folder.changes.push(new Map(folder.entries));
}
