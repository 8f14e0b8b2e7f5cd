/**
 * A copy of the name server's journal: a base and the records behind it, byte for byte, in files of the same form as the
 * name server's own. `register.json` says which base and which files are the copy.
 *
 * Invariants: an appended record is on disk before that is answered, and continues the one before it; the base and the
 * tail overlap or touch; what is damaged is never served: then there is no copy, until the name server begins it anew.
 * One operation at a time. After the first error of a write nothing is answered any more: the process has to end. A full
 * disk is none: the copy is read, and goes on as soon as there is room.
 */
import { assert } from "../base/assert.ts";
import { alignedBuffer } from "../base/aligned-buffer.ts";
import type { Disk } from "../base/disk.ts";
import { errnoOf, FsError } from "../base/errno.ts";
import { limits } from "../base/limits.ts";
import type { Log } from "../base/log.ts";
import { beginFile, dropWhatMoved, endOfTail, settleTail } from "../journal/journal-begin.ts";
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
import { NotContinued, scanJournal, type ScannedJournal } from "../journal/journal-scan.ts";
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
  /** What was found at the start, until a file of this incarnation stands behind it. */
  #found: ScannedJournal | undefined;
  #current: OpenJournalFile | undefined;
  #closed: ClosedFile[];
  #end: Position;
  #buffer = alignedBuffer(64 * 1024);

  private constructor(
    parts: { disk: Disk; fileBytes: number; description: CopyDescription },
    from: { readonly current: OpenJournalFile; readonly end: Position } | { readonly found: ScannedJournal },
  ) {
    this.#disk = parts.disk;
    this.#fileBytes = parts.fileBytes;
    this.#reader = new JournalReader(parts.disk);
    this.#description = parts.description;
    if ("found" in from) {
      this.#found = from.found;
      this.#closed = [...from.found.files];
      this.#end = endOfTail(from.found);
    } else {
      this.#current = from.current;
      this.#closed = [];
      this.#end = from.end;
    }
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
    let found: ScannedJournal;
    try {
      if (!(await isBaseWhole(disk, description.base))) throw new FsError("EIO", "the base is damaged");
      found = await scanJournal(disk, description.base.position, 0, () => undefined, { mayEnd: !isMember });
    } catch (error) {
      if (!(error instanceof NotContinued) && errnoOf(error) !== "EIO") throw error;
      log.error({ err: error }, "this node's copy of the journal is damaged: the name server will make a new one");
      return undefined;
    }
    const copy = new JournalCopy({ disk, fileBytes, description }, { found });
    try {
      await copy.#begun(epoch);
    } catch (error) {
      if (errnoOf(error) !== "ENOSPC") throw error;
      await settleTail(disk, found);
      log.warn({ err: error }, "no room to go on with this node's copy of the journal: it is kept as it is");
    }
    return copy;
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
    return new JournalCopy({ disk, fileBytes, description }, { current, end });
  }

  /** The same tail on a newer base, which is whole; drops the records below. `description` is durable already. */
  async rebase(description: CopyDescription): Promise<void> {
    this.#description = description;
    await this.#spare;
    await removeOtherBases(this.#disk, description.base);
    for (;;) {
      const [oldest] = this.#closed;
      const next = this.#closed[1]?.first ?? this.#current?.header.first ?? Infinity;
      if (oldest === undefined || next > description.base.position.index + 1) return;
      await retireFile(this.#disk, oldest.sequence, this.#fileBytes);
      this.#closed.shift();
    }
  }

  /**
   * EINVAL unless they continue the copy; ENOSPC: none of them counts as appended, or only the first of them (`end`);
   * anything else: the process has to end.
   */
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
    let current = await this.#begun(epoch);
    let gathered = 0;
    let reached = end;
    const flush = async (): Promise<void> => {
      if (gathered === 0) return;
      await current.file.write([this.#buffer.subarray(0, gathered)], current.end);
      current.end += gathered;
      gathered = 0;
      this.#end = reached;
    };
    for (const { header, bytes: record } of records) {
      const slots = slotAfter(record.length);
      const used = current.end + gathered;
      if (used + slots > current.capacity && used > journalSlotBytes) {
        await flush();
        current = await this.#rotate(current, epoch);
      }
      this.#reserve(gathered, gathered + slots);
      const placed = this.#buffer.subarray(gathered, gathered + slots);
      placed.fill(0, record.length);
      placed.set(record);
      placeRecord(placed, current.seed, current.end + gathered);
      gathered += slots;
      reached = { epoch: header.epoch, index: lastIndex(header), crc: header.crc };
    }
    await flush();
    if (current.end * 2 > current.capacity) this.#prepare();
    return this.#end;
  }

  /** Undefined: below the copy. */
  read(first: number, bytesMax: number): Promise<Buffer[] | undefined> {
    const files = [...this.#closed, ...(this.#current === undefined ? [] : [this.#current.header])];
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
    return this.#current === undefined ? this.#beginsAt : this.#current.header.sequence + 1;
  }

  async close(): Promise<void> {
    await this.#spare;
    await this.#current?.file.close();
  }

  /** The sequence of this incarnation's first file. */
  get #beginsAt(): number {
    return Math.max(this.#found?.lastSequence ?? 0, this.#description.firstSequence - 1) + 1;
  }

  /** The file to append to: of this incarnation. ENOSPC: there is no room for one. */
  async #begun(epoch: number): Promise<OpenJournalFile> {
    const found = this.#found;
    if (this.#current === undefined && found !== undefined) {
      const lastSequence = this.#beginsAt - 1;
      const { current } = await beginFile(this.#disk, { ...found, lastSequence }, epoch, journalSlotBytes);
      this.#current = current;
      this.#closed = await dropWhatMoved(this.#disk, this.#closed, current.header.first);
      this.#found = undefined;
    }
    assert(this.#current !== undefined, "a copy is found or begun");
    return this.#current;
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
  async #rotate({ header, file, end }: OpenJournalFile, epoch: number): Promise<OpenJournalFile> {
    await this.#spare;
    this.#spare = undefined;
    await prepareSpare(this.#disk, this.#fileBytes);
    const next = { sequence: header.sequence + 1, epoch, first: this.#end.index + 1, predecessor: this.#end.crc };
    const current = await adoptSpare(this.#disk, next, () => []);
    this.#current = current;
    this.#closed.push({ sequence: header.sequence, first: header.first, bytes: end });
    await file.close();
    return current;
  }
}

async function dropOldFiles(disk: Disk, firstSequence: number): Promise<void> {
  for (const sequence of await listJournal(disk))
    if (sequence < firstSequence) await disk.remove(journalPath(sequence));
}
