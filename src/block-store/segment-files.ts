/**
 * The files of the folder `segments`: one for each segment, named by its number. Keeps a bounded number of them open for
 * reading; one that is in use stays open, also when its name is removed, until its last reader is done.
 */
import type { Disk, DiskFile } from "../base/disk.ts";
import { errnoOf, FsError } from "../base/errno.ts";
import { limits } from "../base/limits.ts";
import { alignedBuffer } from "../base/aligned-buffer.ts";
import { encodeFileHeader, fileHeaderBytes, type Owner } from "./record.ts";

const folder = "segments";
const suffix = ".segment";

interface Opened {
  readonly file: Promise<DiskFile>;
  users: number;
  isKept: boolean;
}

export class SegmentFiles {
  readonly #disk: Disk;
  /** In the order of use. */
  readonly #open = new Map<number, Opened>();

  constructor(disk: Disk) {
    this.#disk = disk;
  }

  /** Makes the folder if need be; the numbers of all segments, ascending. */
  async list(): Promise<number[]> {
    if (!(await this.#disk.exists(folder))) {
      await this.#disk.makeFolder(folder);
      await this.#disk.syncFolder("");
    }
    const numbers: number[] = [];
    for (const name of await this.#disk.list(folder)) {
      if (/^[0-9a-f]{8}\.segment$/.test(name)) numbers.push(parseInt(name, 16));
    }
    return numbers.sort((a, b) => a - b);
  }

  /** A new segment with its header, whose name will survive a crash. The caller owns the file (for appending). */
  async create(segment: number, owner: Owner): Promise<DiskFile> {
    const header = alignedBuffer(fileHeaderBytes);
    encodeFileHeader(header, owner, segment);
    const file = await this.#disk.open(pathOf(segment), "create", { direct: true });
    try {
      await file.write([header], 0);
      await file.sync();
      await this.#disk.syncFolder(folder);
    } catch (error) {
      await file.close();
      if (errnoOf(error) === "ENOSPC") await this.#disk.remove(pathOf(segment));
      throw error;
    }
    return file;
  }

  /** The caller owns the file. */
  append(segment: number): Promise<DiskFile> {
    return this.#disk.open(pathOf(segment), "open", { direct: true });
  }

  /** For repairs at start: the caller owns the file. */
  modify(segment: number): Promise<DiskFile> {
    return this.#disk.open(pathOf(segment), "open");
  }

  /** Fills `into` from `position`; returns how many bytes there were. ENOENT: no such segment (any more). */
  async read(segment: number, into: Uint8Array, position: number): Promise<number> {
    const opened = this.#use(segment);
    try {
      return await (await opened.file).read(into, position);
    } finally {
      this.#release(opened);
    }
  }

  async size(segment: number): Promise<number> {
    const opened = this.#use(segment);
    try {
      return await (await opened.file).size();
    } finally {
      this.#release(opened);
    }
  }

  /** Durable when it resolves. */
  async remove(segment: number): Promise<void> {
    this.#drop(segment);
    await this.#disk.remove(pathOf(segment));
    await this.#disk.syncFolder(folder);
  }

  /** Makes what `list` shows durable: a process that was killed may have left it undone. */
  syncNames(): Promise<void> {
    return this.#disk.syncFolder(folder);
  }

  async close(): Promise<void> {
    const files = [...this.#open.values()].map((opened) => opened.file);
    for (const segment of [...this.#open.keys()]) this.#drop(segment);
    await Promise.allSettled(files);
  }

  #use(segment: number): Opened {
    let opened = this.#open.get(segment);
    if (opened === undefined) {
      opened = { file: this.#disk.open(pathOf(segment), "open"), users: 0, isKept: true };
      opened.file.catch(() => {
        this.#drop(segment);
      });
      const oldest = this.#open.size >= limits.openSegmentsMax ? this.#open.keys().next() : undefined;
      if (oldest?.done === false) this.#drop(oldest.value);
    } else this.#open.delete(segment);
    this.#open.set(segment, opened);
    opened.users += 1;
    return opened;
  }

  #release(opened: Opened): void {
    opened.users -= 1;
    if (opened.users === 0 && !opened.isKept) closeQuietly(opened);
  }

  #drop(segment: number): void {
    const opened = this.#open.get(segment);
    if (opened === undefined) return;
    this.#open.delete(segment);
    opened.isKept = false;
    if (opened.users === 0) closeQuietly(opened);
  }
}

/** Only read through: closing it can lose nothing, and whoever opened it has heard of a failure to open. */
function closeQuietly({ file }: Opened): void {
  file.then(
    (opened) => opened.close().catch(() => undefined),
    () => undefined,
  );
}

function pathOf(segment: number): string {
  return `${folder}/${segment.toString(16).padStart(8, "0")}${suffix}`;
}

export function segmentName(segment: number): string {
  return pathOf(segment);
}

/** EIO for a read that ended early. */
export function cutShort(segment: number, offset: number): FsError {
  return new FsError("EIO", `${pathOf(segment)} ends before its record at ${String(offset)} does`);
}
