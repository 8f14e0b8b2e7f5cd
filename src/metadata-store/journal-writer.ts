/**
 * The files that the journal is written to: places records one behind the other, has the next file ready, reads back and
 * trims. A direct O_DSYNC write makes a record durable. One `place` at a time.
 */
import { alignedBuffer } from "../base/aligned-buffer.ts";
import type { Disk } from "../base/disk.ts";
import type { Log } from "../base/log.ts";
import {
  adoptSpare,
  journalSlotBytes,
  prepareSpare,
  retireFile,
  slotAfter,
  type ClosedFile,
  type OpenJournalFile,
} from "../journal/journal-files.ts";
import { JournalReader } from "../journal/journal-reader.ts";
import { placeRecord } from "../journal/journal-record.ts";
import type { Position } from "../journal/position.ts";

export interface JournalWriterOptions {
  readonly disk: Disk;
  readonly log: Log;
  readonly fileBytes: number;
}

export class JournalWriter {
  records = 0;
  readonly #options: JournalWriterOptions;
  readonly #reader: JournalReader;
  #current: OpenJournalFile;
  #closed: ClosedFile[];
  /** Nothing more goes into the current file. */
  #isEnded = false;
  /** Sequence of the file during which a spare was prepared. */
  #preparedAt = -1;
  /** Changes of the folder happen one after the other: all of them are about the spare. */
  #folderTurn: Promise<unknown> = Promise.resolve();
  #buffer = alignedBuffer(64 * 1024);

  constructor(options: JournalWriterOptions, current: OpenJournalFile, closed: readonly ClosedFile[]) {
    this.#options = options;
    this.#reader = new JournalReader(options.disk);
    this.#current = current;
    this.#closed = [...closed];
  }

  get bytes(): number {
    return this.#closed.reduce((sum, file) => sum + file.bytes, this.#current.end);
  }

  /** Where the next record of this length is put together; it is the writer's again with `place`. */
  buffer(length: number): Buffer {
    if (slotAfter(length) > this.#buffer.length)
      this.#buffer = alignedBuffer(2 ** Math.ceil(Math.log2(slotAfter(length))));
    return this.#buffer;
  }

  /** Writes the record at the beginning of the buffer. Everything up to `written` is durable, and this follows it. */
  async place(length: number, epoch: number, written: Position): Promise<void> {
    const isFull = this.#current.end + slotAfter(length) > this.#current.capacity;
    if (this.#isEnded || (isFull && this.#current.end > journalSlotBytes)) await this.#rotate(epoch, written);
    const current = this.#current;
    const slots = slotAfter(length);
    this.#buffer.fill(0, length, slots);
    placeRecord(this.#buffer, current.seed, current.end);
    await current.file.write([this.#buffer.subarray(0, slots)], current.end);
    current.end += slots;
    this.records++;
    if (current.end * 2 > current.capacity) this.#prepare();
  }

  endFile(): void {
    this.#isEnded = true;
  }

  /** As in JournalSource, up to batch `until`. Nothing is trimmed meanwhile. */
  read(first: number, until: () => number, bytesMax: number): Promise<Buffer[] | undefined> {
    return this.#inFolder(() => {
      const files = [...this.#closed, { sequence: this.#current.header.sequence, first: this.#current.header.first }];
      return this.#reader.read(files, { first, until: until(), bytesMax });
    });
  }

  /** Frees the files of which all batches are at or below `index`. */
  async trim(index: number): Promise<void> {
    for (;;) {
      const [oldest] = this.#closed;
      const next = this.#closed[1]?.first ?? this.#current.header.first;
      if (oldest === undefined || next > index + 1) return;
      this.#closed.shift();
      await this.#inFolder(() => retireFile(this.#options.disk, oldest.sequence, this.#options.fileBytes));
    }
  }

  /** When what was begun is done. */
  settled(): Promise<unknown> {
    return this.#folderTurn;
  }

  close(): Promise<void> {
    return this.#current.file.close();
  }

  async #rotate(epoch: number, written: Position): Promise<void> {
    const { disk, fileBytes } = this.#options;
    const { file, header, end } = this.#current;
    const next = { sequence: header.sequence + 1, epoch, first: written.index + 1, predecessor: written.crc };
    this.#current = await this.#inFolder(async () => {
      await prepareSpare(disk, fileBytes);
      return adoptSpare(disk, next, () => []);
    });
    this.#closed.push({ sequence: header.sequence, first: header.first, bytes: end });
    this.#isEnded = false;
    await file.close();
  }

  /** Has the next file ready before it is needed: zeroing one takes a tenth of a second. Tried once per file. */
  #prepare(): void {
    if (this.#preparedAt === this.#current.header.sequence) return;
    this.#preparedAt = this.#current.header.sequence;
    const { disk, fileBytes, log } = this.#options;
    this.#inFolder(() => prepareSpare(disk, fileBytes)).catch((error: unknown) => {
      log.warn({ error }, "the next journal file could not be preallocated; it is tried again when it is needed");
    });
  }

  #inFolder<T>(change: () => Promise<T>): Promise<T> {
    const result = this.#folderTurn.then(change);
    this.#folderTurn = result.catch(() => undefined);
    return result;
  }
}
