/**
 * Reading the journal at start. Walks the chain of records from a known position and tells what is whole, what is a torn
 * tail (a last write that nobody was told of) and what is damage.
 *
 * A bad record is damage if anything shows that it once was durable: a later record or file, or a position that the
 * caller knows durable. Then the walk throws EIO: the server must not start without what it acknowledged.
 */
import type { Disk, DiskFile } from "../base/disk.ts";
import { FsError } from "../base/errno.ts";
import {
  decodeFileHeader,
  journalPath,
  journalSlotBytes,
  listJournal,
  slotAfter,
  type ClosedFile,
  type FileHeader,
} from "./journal-files.ts";
import { decodeHeader, headerBytes, isIntact, type RecordHeader } from "./journal-record.ts";
import { RecordWindow } from "./record-window.ts";
import { positionText, type Position } from "./position.ts";

export interface ScannedRecord {
  readonly header: RecordHeader;
  /** Borrowed in `onRecord`. */
  readonly bytes: Buffer;
}

/** A record of the last file, at this offset. */
export interface TailRecord extends ScannedRecord {
  readonly offset: number;
}

export interface ScannedJournal {
  /** The newest position known to be durable, and the whole records after it: to be written once more. */
  readonly durable: Position;
  readonly tail: readonly TailRecord[];
  readonly lastSequence: number;
  /** Greatest epoch in any file header or record read. */
  readonly epoch: number;
  /** All files; `bytes` of the last one ends before the tail. */
  readonly files: readonly ClosedFile[];
}

/** The journal does not continue from the position asked for: it was trimmed, or took another course. */
export class NotContinued extends Error {
  override readonly name = "NotContinued";
}

interface JournalFile {
  readonly header: FileHeader;
  readonly seed: number;
}

/**
 * @param from where to begin: records after it are reported, in order, as soon as they are known to be durable
 * @param knownDurable an index that something else has seen durable
 * @param mayEnd the end may be anywhere in the last file: several records were written at once there, or others have them
 */
export async function scanJournal(
  disk: Disk,
  from: Position,
  knownDurable: number,
  onRecord: (record: ScannedRecord) => Promise<void> | undefined,
  { mayEnd = false } = {},
): Promise<ScannedJournal> {
  const files = await readHeaders(disk);
  const start = files.findLastIndex((file) => file.header.first <= from.index + 1);
  if (files.length > 0 && start === -1) throw new NotContinued("the journal begins later");
  const walk = new Walk(from, onRecord);
  const used: ClosedFile[] = [];
  for (let i = 0; i < files.length; i++) {
    const { header, seed } = files[i] as JournalFile;
    const path = journalPath(header.sequence);
    const file = await disk.open(path, "open");
    try {
      if (i < start) {
        used.push({ sequence: header.sequence, first: header.first, bytes: await file.size() });
        continue;
      }
      const next = files[i + 1]?.header;
      await walk.enter(header, i === start);
      const bytes = await walk.read(file, seed, next?.first ?? Infinity);
      if (next !== undefined && walk.nextIndex !== next.first) throw damage(path, walk.nextIndex, bytes);
      if (next === undefined) {
        const shown = mayEnd ? 0 : Math.max(knownDurable, await highestShown(file, seed, bytes));
        if (shown >= walk.nextIndex) throw damage(path, walk.nextIndex, bytes);
      }
      used.push({ sequence: header.sequence, first: header.first, bytes: walk.durableBytes ?? bytes });
    } finally {
      await file.close();
    }
  }
  if (knownDurable >= walk.nextIndex)
    throw new FsError(
      "EIO",
      `the journal ends before batch ${String(knownDurable)}, which was durable: ${restoreHint}`,
    );
  return { ...walk.result(), lastSequence: files.at(-1)?.header.sequence ?? 0, files: used };
}

/** The state of a walk along the chain. */
class Walk {
  nextIndex: number;
  epoch = 0;
  /** Where, in the file read last, the first record begins that is not known to be durable. */
  durableBytes: number | undefined;
  readonly #from: Position;
  readonly #onRecord: (record: ScannedRecord) => Promise<void> | undefined;
  #crc: number;
  #durable: Position;
  #undurable: TailRecord[] = [];

  constructor(from: Position, onRecord: (record: ScannedRecord) => Promise<void> | undefined) {
    this.#from = from;
    this.#onRecord = onRecord;
    this.nextIndex = from.index + 1;
    this.#crc = from.crc;
    this.#durable = from;
  }

  async enter(header: FileHeader, isFirst: boolean): Promise<void> {
    this.epoch = Math.max(this.epoch, header.epoch);
    if (isFirst && header.first <= this.#from.index) {
      // The walk begins before the position, which is checked when its record comes along.
      this.nextIndex = header.first;
      this.#crc = header.predecessor;
      return;
    }
    await this.#nowDurable(header.first - 1);
    if (header.first !== this.nextIndex) throw damage(journalPath(header.sequence), this.nextIndex, 0);
    if (header.predecessor === this.#crc) return;
    if (isFirst) throw new NotContinued(`batch ${positionText(this.#from)} is another one in the journal`);
    throw damage(journalPath(header.sequence), this.nextIndex, 0);
  }

  /** Reads records up to the first bad one, or to batch `until`; returns the offset behind the last good one. */
  async read(file: DiskFile, seed: number, until: number): Promise<number> {
    const window = new RecordWindow(file);
    this.durableBytes = undefined;
    let offset = journalSlotBytes;
    while (this.nextIndex < until) {
      const header = decodeHeader(await window.at(offset, headerBytes), seed, offset);
      if (header?.first !== this.nextIndex || header.predecessor !== this.#crc) break;
      const bytes = await window.at(offset, header.length);
      if (!isIntact(header, bytes)) break;
      await this.#take({ header, bytes }, offset);
      offset = slotAfter(offset + header.length);
    }
    this.durableBytes = this.#undurable[0]?.offset;
    return offset;
  }

  result(): { durable: Position; tail: readonly TailRecord[]; epoch: number } {
    return { durable: this.#durable, tail: this.#undurable, epoch: this.epoch };
  }

  async #take(record: ScannedRecord, offset: number): Promise<void> {
    const { header } = record;
    const last = header.first + header.batches - 1;
    const { index, crc, epoch } = this.#from;
    if (header.first <= index && index <= last && (header.crc !== crc || header.epoch !== epoch)) {
      throw new NotContinued(`batch ${positionText(this.#from)} is another one in the journal`);
    }
    await this.#nowDurable(header.durable);
    this.#crc = header.crc;
    this.epoch = Math.max(this.epoch, header.epoch);
    this.nextIndex = last + 1;
    if (last > index) this.#undurable.push({ header, bytes: Buffer.from(record.bytes), offset });
  }

  async #nowDurable(index: number): Promise<void> {
    for (;;) {
      const [record] = this.#undurable;
      if (record === undefined) return;
      const { first, batches, epoch, crc } = record.header;
      if (first + batches - 1 > index) return;
      this.#undurable.shift();
      this.#durable = { epoch, index: first + batches - 1, crc };
      await this.#onRecord(record);
    }
  }
}

async function readHeaders(disk: Disk): Promise<JournalFile[]> {
  const files: JournalFile[] = [];
  for (const sequence of await listJournal(disk)) {
    const path = journalPath(sequence);
    const file = await disk.open(path, "open");
    const bytes = Buffer.alloc(journalSlotBytes);
    try {
      await file.read(bytes, 0);
    } finally {
      await file.close();
    }
    const decoded = decodeFileHeader(bytes);
    if (decoded?.header.sequence !== sequence) throw new FsError("EIO", `${path} has a damaged header: ${restoreHint}`);
    files.push(decoded);
  }
  return files;
}

/** The highest index that any record header in the rest of a file shows to have been durable. */
async function highestShown(file: DiskFile, seed: number, start: number): Promise<number> {
  const window = new RecordWindow(file);
  const size = await file.size();
  let highest = 0;
  for (let offset = start; offset + headerBytes <= size; offset += journalSlotBytes) {
    const header = decodeHeader(await window.at(offset, headerBytes), seed, offset);
    if (header !== undefined) highest = Math.max(highest, header.durable);
  }
  return highest;
}

const restoreHint = "restore the name server's folder from a copy";

function damage(path: string, index: number, offset: number): FsError {
  const where = `${path} at byte ${String(offset)}`;
  return new FsError("EIO", `${where}: batch ${String(index)} was durable and is damaged or missing: ${restoreHint}`);
}
