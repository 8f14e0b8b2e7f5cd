/**
 * The journal's writing end. Batches get consecutive indices; those that gather while one write is under way become the
 * next record. One direct O_DSYNC write makes a record durable.
 *
 * Invariants: one write at a time, so that any record proves its predecessors durable; a record is never rewritten; after
 * the first error nothing is written or acknowledged any more.
 */
import { assert } from "../base/assert.ts";
import type { Disk } from "../base/disk.ts";
import { FsError } from "../base/errno.ts";
import type { Log } from "../base/log.ts";
import { deferred, type Deferred } from "../base/deferred.ts";
import type { ClosedFile, OpenJournalFile } from "../journal/journal-files.ts";
import { batchBytes, encodeRecord, headerBytes, lastIndex, type RecordHeader } from "../journal/journal-record.ts";
import type { Position } from "../journal/position.ts";
import { JournalWriter } from "./journal-writer.ts";
import type { Change, JournalCopies } from "./types.ts";

export interface JournalOptions {
  readonly disk: Disk;
  readonly log: Log;
  /** Of records; it may be raised later. */
  readonly epoch: number;
  readonly fileBytes: number;
  readonly recordBytesMax: number;
  /** Runs `fn` when the present turn has ended: batches of one turn share a record. */
  readonly afterTurn: (fn: () => void) => void;
}

export class Journal {
  readonly #options: JournalOptions;
  readonly #writer: JournalWriter;
  #epoch: number;
  #copies: JournalCopies | undefined;
  #written: Position;
  #lastIndex: number;
  #pending: { readonly changes: readonly Change[]; readonly bytes: number }[] = [];
  /** Settles when what is pending is durable; and when what is being written is. */
  #gathering: Deferred<Position> | undefined;
  #writing: Deferred<Position> | undefined;
  #isRunning = false;
  #failure: FsError | undefined;
  readonly #failed = deferred<never>();
  /** @param end the newest durable position, the last thing in `current` or before it */
  constructor(options: JournalOptions, current: OpenJournalFile, closed: readonly ClosedFile[], end: Position) {
    this.#options = options;
    this.#epoch = options.epoch;
    this.#writer = new JournalWriter(options, current, closed);
    this.#written = end;
    this.#lastIndex = end.index;
  }

  get lastIndex(): number {
    return this.#lastIndex;
  }
  /** The newest record that is durable. */
  get written(): Position {
    return this.#written;
  }
  get isDurable(): boolean {
    return this.#written.index === this.#lastIndex && this.#failure === undefined;
  }
  get hasFailed(): boolean {
    return this.#failure !== undefined;
  }
  get failed(): Promise<never> {
    return this.#failed.promise;
  }
  get records(): number {
    return this.#writer.records;
  }
  get bytes(): number {
    return this.#writer.bytes;
  }

  /** Takes the changes. */
  append(changes: readonly Change[]): void {
    if (this.#failure !== undefined) throw this.#failure;
    this.#pending.push({ changes, bytes: batchBytes(changes) });
    this.#lastIndex++;
    if (this.#isRunning) return;
    this.#isRunning = true;
    this.#options.afterTurn(() => void this.#run());
  }

  copyTo(copies: JournalCopies): void {
    this.#copies = copies;
  }

  /** For the records to come. */
  raiseEpoch(epoch: number): void {
    assert(epoch >= this.#epoch, "an epoch goes forward");
    this.#epoch = epoch;
  }

  /** As in JournalSource. Nothing is trimmed meanwhile. */
  read(first: number, bytesMax: number): Promise<Buffer[] | undefined> {
    return this.#writer.read(first, () => this.#written.index, bytesMax);
  }

  /** Writes a record that was made elsewhere. Nothing may be pending. */
  async adopt(header: RecordHeader, record: Buffer): Promise<void> {
    assert(!this.#isRunning && this.#pending.length === 0, "a record is adopted before anything is appended");
    const { index, crc } = this.#written;
    assert(header.first === index + 1 && header.predecessor === crc, "an adopted record continues the journal");
    this.#writer.buffer(record.length).set(record);
    try {
      await this.#writer.place(record.length, this.#epoch, this.#written);
    } catch (error) {
      this.#fail(error);
      throw error;
    }
    this.#written = { epoch: header.epoch, index: lastIndex(header), crc: header.crc };
    this.#lastIndex = this.#written.index;
  }

  /** Resolves when all that was appended is durable, with the position of the newest of it at this moment. */
  async sealed(): Promise<Position> {
    const index = this.#lastIndex;
    const written = this.isDurable ? this.#written : await this.#newest();
    return { ...written, index };
  }

  durable(): Promise<unknown> {
    return this.isDurable ? nothing : this.#newest();
  }

  /** The next record begins a new file. */
  endFile(): void {
    this.#writer.endFile();
  }

  /** Frees the files of which all batches are at or below `index`. */
  trim(index: number): Promise<void> {
    return this.#writer.trim(index);
  }

  /** Waits for what is pending; afterwards nothing may be appended. */
  async close(): Promise<void> {
    try {
      await this.durable();
    } finally {
      await this.#writer.settled();
      this.#failure ??= new FsError("EIO", "the metadata store is closed");
      await this.#writer.close();
    }
  }

  #newest(): Promise<Position> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    if (this.#pending.length > 0) return (this.#gathering ??= deferred()).promise;
    return (this.#writing ??= deferred()).promise;
  }

  async #run(): Promise<void> {
    try {
      while (this.#pending.length > 0) {
        const finished = this.#writing;
        this.#writing = this.#takesAll() ? this.#gathering : undefined;
        if (this.#writing !== undefined) this.#gathering = undefined;
        const written = this.#writeNext();
        // The disk is busy again before those who waited for the record before go on.
        finished?.resolve(this.#written);
        this.#written = await written;
      }
      this.#isRunning = false;
      const finished = this.#writing;
      this.#writing = undefined;
      finished?.resolve(this.#written);
    } catch (error) {
      this.#fail(error);
    }
  }

  #takesAll(): boolean {
    return this.#countOfNext() === this.#pending.length;
  }

  #countOfNext(): number {
    let bytes = headerBytes;
    let count = 0;
    for (const batch of this.#pending) {
      bytes += batch.bytes;
      if (count > 0 && bytes > this.#options.recordBytesMax) break;
      count++;
    }
    return count;
  }

  async #writeNext(): Promise<Position> {
    const batches = this.#pending.splice(0, this.#countOfNext());
    const length = batches.reduce((sum, batch) => sum + batch.bytes, headerBytes);
    const buffer = this.#writer.buffer(length);
    const written = this.#written;
    const first = written.index + 1;
    const crc = encodeRecord(buffer, {
      epoch: this.#epoch,
      first,
      durable: written.index,
      predecessor: written.crc,
      batches: batches.map((batch) => batch.changes),
      length,
    });
    const end = { epoch: this.#epoch, index: written.index + batches.length, crc };
    const copied = this.#copies?.append({
      ...{ first, end, predecessor: written.crc },
      bytes: Buffer.from(buffer.subarray(0, length)),
    });
    const placed = this.#writer.place(length, this.#epoch, written);
    if (copied === undefined) await placed;
    else await Promise.all([placed, copied]);
    return end;
  }

  #fail(cause: unknown): void {
    const failure = new FsError("EIO", "the journal cannot be written: this process must end", { cause });
    this.#failure = failure;
    this.#pending = [];
    this.#writing?.reject(failure);
    this.#gathering?.reject(failure);
    this.#failed.reject(failure);
  }
}

const nothing = Promise.resolve();
