/**
 * A copy of the name server's journal: a base and the records behind it, byte for byte, in files of the same form as the
 * name server's own. `register.json` says which base and which files are the copy.
 *
 * Invariants: an appended record is on disk before that is answered, and continues the one before it; the base and the
 * tail overlap or touch; what is damaged is never served: then there is no copy, until the name server begins it anew.
 * One operation at a time. After the first error of a write nothing is answered any more: the process has to end.
 */
import { alignedBuffer } from "../base/aligned-buffer.ts";
import type { Disk } from "../base/disk.ts";
import { errnoOf, FsError } from "../base/errno.ts";
import { limits } from "../base/limits.ts";
import type { Log } from "../base/log.ts";
import { beginFile, dropWhatMoved } from "../journal/journal-begin.ts";
import {
  adoptSpare,
  journalPath,
  journalSlotBytes,
  listJournal,
  prepareSpare,
  retireFile,
  slotAfter,
  type ClosedFile,
  type OpenJournalFile,
} from "../journal/journal-files.ts";
import { JournalReader } from "../journal/journal-reader.ts";
import { lastIndex, placeRecord, splitRecords } from "../journal/journal-record.ts";
import { NotContinued, scanJournal } from "../journal/journal-scan.ts";
import type { Position } from "../journal/position.ts";
import { isBaseWhole, removeOtherBases } from "./journal-base.ts";
import type { CopyBase, CopyDescription } from "./journal-state.ts";

export class JournalCopy {
  #description: CopyDescription;
  /** The next file is being made ready. */
  #spare: Promise<void> | undefined;
  readonly #disk: Disk;
  readonly #fileBytes: number;
  readonly #reader: JournalReader;
  #current: OpenJournalFile;
  #closed: ClosedFile[];
  #end: Position;
  #buffer = alignedBuffer(64 * 1024);

  private constructor(
    parts: { disk: Disk; fileBytes: number; description: CopyDescription },
    files: { current: OpenJournalFile; closed: readonly ClosedFile[]; end: Position },
  ) {
    this.#disk = parts.disk;
    this.#fileBytes = parts.fileBytes;
    this.#reader = new JournalReader(parts.disk);
    this.#description = parts.description;
    this.#current = files.current;
    this.#closed = [...files.closed];
    this.#end = files.end;
  }

  get end(): Position {
    return this.#end;
  }

  /**
   * As it was left. Undefined, and logged, if it is damaged: a member's may not end before a later record that is there.
   * A copy that is on its way to be a member's takes several records at once, and goes on from where it is whole. Files of
   * other copies are removed.
   */
  static async open(
    parts: { disk: Disk; log: Log; epoch: number; isMember: boolean; fileBytes?: number },
    description: CopyDescription,
  ): Promise<JournalCopy | undefined> {
    const { disk, log, epoch, isMember, fileBytes = limits.journalCopyFileBytes } = parts;
    await dropOldFiles(disk, description.firstSequence);
    await removeOtherBases(disk, description.base);
    try {
      if (!(await isBaseWhole(disk, description.base))) throw new FsError("EIO", "the base is damaged");
      const scanned = await scanJournal(disk, description.base.position, 0, () => undefined, {
        mayEnd: !isMember,
      });
      const lastSequence = Math.max(scanned.lastSequence, description.firstSequence - 1);
      const { current, end } = await beginFile(disk, { ...scanned, lastSequence }, epoch, journalSlotBytes);
      const closed = await dropWhatMoved(disk, scanned.files, current.header.first);
      return new JournalCopy({ disk, fileBytes, description }, { current, closed, end });
    } catch (error) {
      if (!(error instanceof NotContinued) && errnoOf(error) !== "EIO") throw error;
      log.error({ err: error }, "this node's copy of the journal is damaged: the name server will make a new one");
      return undefined;
    }
  }

  /** A new one, whose base is whole: `description` is durable already. */
  static async begin(
    parts: { disk: Disk; epoch: number; fileBytes?: number },
    description: CopyDescription,
    start: { readonly first: number; readonly predecessor: number },
  ): Promise<JournalCopy> {
    const { disk, epoch, fileBytes = limits.journalCopyFileBytes } = parts;
    await dropOldFiles(disk, description.firstSequence);
    await prepareSpare(disk, journalSlotBytes);
    const current = await adoptSpare(disk, { sequence: description.firstSequence, epoch, ...start }, () => []);
    await removeOtherBases(disk, description.base);
    const end = { epoch: description.base.position.epoch, index: start.first - 1, crc: start.predecessor };
    return new JournalCopy({ disk, fileBytes, description }, { current, closed: [], end });
  }

  /** The same tail on a newer base, which is whole; drops the records below. `description` is durable already. */
  async rebase(description: CopyDescription): Promise<void> {
    this.#description = description;
    await this.#spare;
    await removeOtherBases(this.#disk, description.base);
    for (;;) {
      const [oldest] = this.#closed;
      const next = this.#closed[1]?.first ?? this.#current.header.first;
      if (oldest === undefined || next > description.base.position.index + 1) return;
      await retireFile(this.#disk, oldest.sequence, this.#fileBytes);
      this.#closed.shift();
    }
  }

  /** EINVAL unless they continue the copy; ENOSPC: nothing was appended; anything else: the process has to end. */
  async append(after: Position, bytes: Buffer, epoch: number): Promise<Position> {
    const records = splitRecords(bytes);
    const [first] = records ?? [];
    if (records === undefined || first === undefined) throw new FsError("EBADMSG", "no whole records");
    const end = this.#end;
    const isNext =
      after.index === end.index &&
      after.crc === end.crc &&
      first.header.first === end.index + 1 &&
      first.header.predecessor === end.crc;
    if (!isNext)
      throw new FsError(
        "EINVAL",
        `batch ${String(first.header.first)} does not continue this copy, which ends at ${String(end.index)}`,
      );
    let gathered = 0;
    const flush = async (): Promise<void> => {
      if (gathered === 0) return;
      await this.#current.file.write([this.#buffer.subarray(0, gathered)], this.#current.end);
      this.#current.end += gathered;
      gathered = 0;
    };
    for (const { header, bytes: record } of records) {
      const slots = slotAfter(record.length);
      const used = this.#current.end + gathered;
      if (used + slots > this.#current.capacity && used > journalSlotBytes) {
        await flush();
        await this.#rotate(epoch);
      }
      this.#reserve(gathered, gathered + slots);
      const placed = this.#buffer.subarray(gathered, gathered + slots);
      placed.fill(0, record.length);
      placed.set(record);
      placeRecord(placed, this.#current.seed, this.#current.end + gathered);
      gathered += slots;
      this.#end = { epoch: header.epoch, index: lastIndex(header), crc: header.crc };
    }
    await flush();
    if (this.#current.end * 2 > this.#current.capacity) this.#prepare();
    return this.#end;
  }

  /** Undefined: below the copy. */
  read(first: number, bytesMax: number): Promise<Buffer[] | undefined> {
    const files = [...this.#closed, { sequence: this.#current.header.sequence, first: this.#current.header.first }];
    const oldest = files[0]?.first ?? 0;
    return this.#reader.read(files, { first: Math.max(first, oldest), until: this.#end.index, bytesMax });
  }

  get description(): CopyDescription {
    return this.#description;
  }
  get base(): CopyBase {
    return this.#description.base;
  }

  /** The sequence that the next copy begins with. */
  get nextSequence(): number {
    return this.#current.header.sequence + 1;
  }

  async close(): Promise<void> {
    await this.#spare;
    await this.#current.file.close();
  }

  /** What fails here is tried again, and told, when the file is needed. */
  #prepare(): void {
    this.#spare ??= prepareSpare(this.#disk, this.#fileBytes).catch(() => undefined);
  }

  #reserve(kept: number, bytes: number): void {
    if (bytes <= this.#buffer.length) return;
    const larger = alignedBuffer(2 ** Math.ceil(Math.log2(bytes)));
    larger.set(this.#buffer.subarray(0, kept));
    this.#buffer = larger;
  }

  /** What was appended is durable: the next file begins behind it. */
  async #rotate(epoch: number): Promise<void> {
    const { header, file, end } = this.#current;
    await this.#spare;
    this.#spare = undefined;
    await prepareSpare(this.#disk, this.#fileBytes);
    const next = { sequence: header.sequence + 1, epoch, first: this.#end.index + 1, predecessor: this.#end.crc };
    this.#current = await adoptSpare(this.#disk, next, () => []);
    this.#closed.push({ sequence: header.sequence, first: header.first, bytes: end });
    await file.close();
  }
}

async function dropOldFiles(disk: Disk, firstSequence: number): Promise<void> {
  for (const sequence of await listJournal(disk))
    if (sequence < firstSequence) await disk.remove(journalPath(sequence));
}
