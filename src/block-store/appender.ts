/**
 * Writes records behind each other into the newest segment. One write is under way at a time, holding every record that
 * waited and fits the staging memory; one sync is under way at a time, serving every record written before it began.
 * Both go on side by side.
 *
 * Invariants: what is durable of a segment is a prefix of it, so one position tells it; a segment is completely durable
 * before the next one is begun. A write that fails with ENOSPC is cut off again and fails its records only; any
 * other failure ends the appender.
 */
import { assert } from "../base/assert.ts";
import { alignedBuffer } from "../base/aligned-buffer.ts";
import type { DiskFile } from "../base/disk.ts";
import { errnoOf, FsError } from "../base/errno.ts";
import { blockName, type BlockId } from "../base/ids.ts";
import { encodeRecord, fileHeaderBytes, recordBytes, recordBytesMax, type Location, type Owner } from "./record.ts";

export interface Append {
  readonly block: BlockId;
  /** Borrowed until the append has settled. */
  readonly bytes: Buffer;
  readonly checksums: Buffer;
  /** A copy by compaction: counts only if the block is still there when the copy is durable. */
  readonly movedFrom?: Location;
}

export interface Appended extends Append {
  readonly location: Location;
}

export interface AppenderOptions {
  readonly owner: () => Owner;
  readonly segmentBytes: number;
  /** Makes the segment and tells the index. */
  createSegment(segment: number): Promise<DiskFile>;
  /** The segment to go on in, and where; absent: a new one is begun. */
  readonly resume?: { readonly segment: number; readonly file: DiskFile; readonly endBytes: number } | undefined;
  readonly nextSegment: number;
  /** Records are durable, in order; `endBytes` of the segment are. Called before their appends resolve. */
  onDurable(records: readonly Appended[], segment: number, endBytes: number): void;
  onFailed(error: FsError): void;
}

interface Waiting extends Append {
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
  location: Location | undefined;
}

interface Active {
  readonly segment: number;
  readonly file: DiskFile;
  /** Where the next record goes. */
  endBytes: number;
}

/** Two whole blocks' worth: small records share a write, large ones need no longer memory. */
const stagingBytes = recordBytesMax + 256 * 1024;

export class Appender {
  readonly #options: AppenderOptions;
  readonly #staging = alignedBuffer(stagingBytes);
  #active: Active | undefined;
  #nextSegment: number;
  #queue: Waiting[] = [];
  /** Being written now. */
  #batch: Waiting[] = [];
  /** Written, not durable. */
  #written: Waiting[] = [];
  #writing: Promise<void> | undefined;
  #syncing: Promise<void> | undefined;
  #pendingBytes = 0;
  #failure: FsError | undefined;

  constructor(options: AppenderOptions) {
    this.#options = options;
    this.#active = options.resume;
    this.#nextSegment = options.nextSegment;
  }

  /** Record bytes that are queued or written, but not durable. */
  get pendingBytes(): number {
    return this.#pendingBytes;
  }

  /** The segment that grows, if one does. */
  get activeSegment(): number | undefined {
    return this.#active?.segment;
  }

  /** Resolves when the record is durable. Rejects with ENOSPC, or EIO once the appender has failed. */
  append(record: Append): Promise<void> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    return new Promise((resolve, reject) => {
      this.#pendingBytes += recordBytes(record.bytes.length);
      this.#queue.push({ ...record, resolve, reject, location: undefined });
      this.#writing ??= this.#write();
    });
  }

  /** Waits until nothing is pending; then the active segment grows no longer, and the next append begins another. */
  async seal(): Promise<void> {
    await this.#idle();
    const active = this.#active;
    this.#active = undefined;
    await active?.file.close();
  }

  /** Waits for everything pending, however it ends. */
  async close(): Promise<void> {
    await this.#idle();
    this.#failure ??= new FsError("EIO", "the block store is closed");
    const active = this.#active;
    this.#active = undefined;
    await active?.file.close();
  }

  async #idle(): Promise<void> {
    while (this.#writing !== undefined || this.#syncing !== undefined) await (this.#writing ?? this.#syncing);
  }

  /** Runs while something is queued; never rejects. */
  async #write(): Promise<void> {
    try {
      while (this.#queue.length > 0) await this.#writeBatch();
    } catch (error) {
      this.#reject(this.#batch.splice(0), this.#fail(error));
    } finally {
      this.#writing = undefined;
    }
  }

  async #writeBatch(): Promise<void> {
    const first = this.#queue[0] as Waiting;
    const active = await this.#segmentFor(first);
    this.#mustRun();
    if (active === undefined) return;
    const batch: Waiting[] = [];
    let bytes = 0;
    for (const record of this.#queue) {
      const length = record.bytes.length;
      const offset = active.endBytes + bytes;
      const size = recordBytes(length);
      if (bytes + size > stagingBytes || offset + size > this.#options.segmentBytes) break;
      record.location = { segment: active.segment, offset, length };
      bytes += encodeRecord(this.#staging.subarray(bytes), {
        node: this.#options.owner().node,
        block: record.block,
        location: record.location,
        bytes: record.bytes,
        checksums: record.checksums,
      });
      batch.push(record);
    }
    assert(batch.length > 0, `no room for ${blockName(first.block)} in a new segment`);
    this.#queue.splice(0, batch.length);
    this.#batch = batch;
    try {
      await active.file.write([this.#staging.subarray(0, bytes)], active.endBytes);
    } catch (cause) {
      if (errnoOf(cause) !== "ENOSPC") throw cause;
      await active.file.truncate(active.endBytes);
      // Else half a record may be there after a crash, in a segment that is not the newest one by then.
      await active.file.sync();
      this.#batch = [];
      this.#reject(batch, new FsError("ENOSPC", "the disk is full", { cause }));
      return;
    }
    // The sync of what was written before may have failed meanwhile.
    this.#mustRun();
    this.#batch = [];
    active.endBytes += bytes;
    this.#written.push(...batch);
    this.#syncing ??= this.#sync(active);
  }

  /** The active segment, or the next one if `record` does not fit. Undefined: there is no space for one; it was refused. */
  async #segmentFor(record: Waiting): Promise<Active | undefined> {
    const { segmentBytes } = this.#options;
    let active = this.#active;
    if (active !== undefined && active.endBytes + recordBytes(record.bytes.length) > segmentBytes) {
      while (this.#syncing !== undefined) await this.#syncing;
      this.#mustRun();
      this.#active = undefined;
      await active.file.close();
      active = undefined;
    }
    if (active !== undefined) return active;
    const segment = this.#nextSegment++;
    try {
      const file = await this.#options.createSegment(segment);
      this.#active = { segment, file, endBytes: fileHeaderBytes };
      return this.#active;
    } catch (error) {
      if (errnoOf(error) !== "ENOSPC") throw error;
      this.#queue.shift();
      this.#reject([record], new FsError("ENOSPC", "no space for a new segment", { cause: error }));
      return undefined;
    }
  }

  /** Runs while something is written but not durable; never rejects. */
  async #sync(active: Active): Promise<void> {
    try {
      while (this.#written.length > 0 && this.#failure === undefined) {
        const records = this.#written;
        const endBytes = active.endBytes;
        this.#written = [];
        try {
          await active.file.sync();
        } catch (error) {
          this.#written = [...records, ...this.#written];
          throw error;
        }
        for (const { bytes } of records) this.#pendingBytes -= recordBytes(bytes.length);
        this.#options.onDurable(records as (Waiting & { location: Location })[], active.segment, endBytes);
        for (const { resolve } of records) resolve();
      }
    } catch (error) {
      this.#fail(error);
    } finally {
      this.#syncing = undefined;
    }
  }

  #mustRun(): void {
    if (this.#failure !== undefined) throw this.#failure;
  }

  #reject(records: readonly Waiting[], error: Error): void {
    for (const { bytes, reject } of records) {
      this.#pendingBytes -= recordBytes(bytes.length);
      reject(error);
    }
  }

  /** What is being written at this moment is refused when its write returns. */
  #fail(cause: unknown): FsError {
    if (this.#failure === undefined) {
      this.#failure = new FsError("EIO", "appending to a segment failed: the storage node has to stop", { cause });
      this.#options.onFailed(this.#failure);
    }
    this.#reject([...this.#written.splice(0), ...this.#queue.splice(0)], this.#failure);
    return this.#failure;
  }
}
