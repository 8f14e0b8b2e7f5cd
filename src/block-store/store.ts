/**
 * The block store: what `types.ts` promises, put together from appender, index, reader and compactor.
 *
 * A record is durable before the index names it; the index on disk may be behind. A removal is durable in the
 * index, and is applied only while no record of the block is on its way: so the position that is committed with it lies
 * behind every record of the block, and completing the index can never bring it back.
 */
import { assert } from "../base/assert.ts";
import { unitCount } from "../base/checksum.ts";
import { errnoOf, FsError } from "../base/errno.ts";
import { blockName, type BlockId, type GroupId } from "../base/ids.ts";
import { limits } from "../base/limits.ts";
import type { Append, Appended, Appender } from "./appender.ts";
import type { BlockIndex } from "./block-index.ts";
import type { Compactor, Copy } from "./compactor.ts";
import type { DiskSpace } from "./disk-space.ts";
import type { IndexCommitter } from "./index-committer.ts";
import { isSame, type RecordReader } from "./reader.ts";
import { recordBytes, type Location } from "./record.ts";
import type { SegmentFiles } from "./segment-files.ts";
import { deadBytes, growthLimit, replacingBytes } from "./space.ts";
import type { RecordVerifier } from "./verifier.ts";
import type { BlockStore, StoredBlock, Verdict } from "./types.ts";

export interface StoreParts {
  readonly capacityBytes: number;
  readonly index: BlockIndex;
  readonly files: SegmentFiles;
  readonly reader: RecordReader;
  readonly verifier: RecordVerifier;
  readonly appender: Appender;
  readonly compactor: Compactor;
  readonly committer: IndexCommitter;
  readonly diskSpace: DiskSpace;
  readonly failure: Failure;
}

/** The first failure that ends the store. */
export interface Failure {
  readonly failed: Promise<never>;
  readonly error: FsError | undefined;
  report(cause: unknown): void;
}

/** A record on its way into a segment. */
interface Pending {
  readonly done: Promise<void>;
  /** Null: a copy by compaction. */
  readonly checksums: Buffer | null;
}

export class Store implements BlockStore {
  readonly #parts: StoreParts;
  readonly #growthLimit: number;
  readonly #pending = new Map<string, Pending>();
  #isClosed = false;

  constructor(parts: StoreParts) {
    this.#parts = parts;
    this.#growthLimit = growthLimit(parts.capacityBytes);
  }

  async put(block: BlockId, bytes: Buffer, checksums: Buffer, { replaces = false } = {}): Promise<void> {
    assert(bytes.length > 0 && bytes.length <= limits.blockBytesMax, `a block of ${String(bytes.length)} bytes`);
    assert(checksums.length === 4 * unitCount(bytes.length), "one checksum for each unit of a block");
    const { committer } = this.#parts;
    const size = recordBytes(bytes.length);
    for (;;) {
      this.#mustRun();
      const pending = this.#pending.get(blockName(block));
      if (pending !== undefined) {
        if (pending.checksums !== null && !pending.checksums.equals(checksums)) throw otherContent(block);
        await pending.done;
        if (pending.checksums !== null) return;
        continue;
      }
      const location = this.#locate(block);
      if (location !== undefined && (await this.#holds(block, location, bytes.length, checksums))) return;
      const hasMoved = !isSamePlace(location, this.#locate(block)) || this.#pending.has(blockName(block));
      if (hasMoved) continue;
      if (committer.isFarBehind) await committer.now();
      else if (this.#hasRoom(size, replaces)) return this.#append({ block, bytes, checksums });
      else await this.#makeRoom(size, replaces);
    }
  }

  async get(
    block: BlockId,
    offset: number,
    length: number,
    take: (bytes: number) => Buffer = (bytes) => Buffer.allocUnsafe(bytes),
  ): Promise<{ start: number; bytes: Buffer; checksums: Buffer }> {
    return this.#parts.reader.get((wanted) => this.#locate(wanted), block, { offset, length, take });
  }

  verify(block: BlockId): Promise<Verdict> {
    return this.#parts.verifier.verify(() => this.#locate(block), block);
  }

  has(block: BlockId): boolean {
    return this.#locate(block) !== undefined;
  }

  async remove(blocks: readonly BlockId[]): Promise<void> {
    const { index, committer, compactor } = this.#parts;
    for (;;) {
      this.#mustRun();
      const pending = blocks.flatMap((block) => this.#pending.get(blockName(block))?.done ?? []);
      if (pending.length === 0) break;
      await Promise.allSettled(pending);
    }
    let removed = 0;
    for (const block of blocks) {
      if (this.#locate(block) !== undefined && index.remove(block)) removed += 1;
    }
    // Also when nothing was there: an earlier removal that is not durable yet may be asked for again.
    await committer.now();
    if (removed > 0) compactor.kick();
  }

  list(group: GroupId, first: number, limit: number): readonly StoredBlock[] {
    return this.#guarded(() => this.#parts.index.list(group, first, limit));
  }

  greatest(): readonly { group: GroupId; number: number }[] {
    return [...this.#parts.index.greatest].map(([group, number]) => ({ group, number }));
  }

  space(): { capacityBytes: number; usedBytes: number; freeBytes: number; liveBytes: number } {
    const { capacityBytes, index, compactor } = this.#parts;
    let reclaimable = 0;
    for (const row of index.segments.values()) if (compactor.isReclaimable(row)) reclaimable += deadBytes(row);
    const room = this.#leftBytes() + reclaimable;
    return {
      capacityBytes,
      usedBytes: index.usedBytes,
      freeBytes: Math.max(0, Math.floor(room)),
      liveBytes: index.liveBytes,
    };
  }

  get statistics(): { readonly blocks: number; readonly segments: number } {
    return { blocks: this.#parts.index.blocks, segments: this.#parts.index.segments.size };
  }

  get failed(): Promise<never> {
    return this.#parts.failure.failed;
  }

  /** Whether growing will be refused soon. */
  get isShort(): boolean {
    return this.#leftBytes() < Math.max(this.#parts.capacityBytes / 16, 2 * limits.blockBytesMax);
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    const { appender, compactor, committer, index, files, failure } = this.#parts;
    await compactor.close();
    await appender.close();
    committer.stop();
    if (failure.error === undefined) await committer.now();
    await index.close();
    await files.close();
  }

  /** For the compactor: copies what is still there. */
  async copy({ block, bytes, checksums, movedFrom }: Copy): Promise<void> {
    for (;;) {
      this.#mustRun();
      const pending = this.#pending.get(blockName(block));
      if (pending === undefined) break;
      await Promise.allSettled([pending.done]);
    }
    if (!isSamePlace(this.#locate(block), movedFrom)) return;
    const { index, appender, capacityBytes } = this.#parts;
    if (index.usedBytes + appender.pendingBytes + recordBytes(bytes.length) > capacityBytes) {
      throw noSpace(capacityBytes);
    }
    await this.#append({ block, bytes, checksums, movedFrom });
  }

  /** From the appender, in order: these records are durable. */
  onDurable(records: readonly Appended[], segment: number, endBytes: number): void {
    const { index, committer, compactor } = this.#parts;
    let bytes = 0;
    for (const { block, location, movedFrom } of records) {
      const isLive = movedFrom === undefined || isSamePlace(index.get(block), movedFrom);
      index.addRecord(block, location, isLive);
      bytes += recordBytes(location.length);
    }
    index.advance({ segment, offset: endBytes });
    committer.note(bytes);
    if (this.isShort) compactor.kick();
  }

  async #append(record: Append): Promise<void> {
    const name = blockName(record.block);
    this.#parts.diskSpace.take(recordBytes(record.bytes.length));
    const done = this.#parts.appender.append(record);
    this.#pending.set(name, { done, checksums: record.movedFrom === undefined ? record.checksums : null });
    try {
      // No longer pending when it has settled: who waits for it would spin while the disk is asked.
      await done.finally(() => this.#pending.delete(name));
    } catch (error) {
      if (errnoOf(error) === "ENOSPC") await this.#parts.diskSpace.ask();
      throw error;
    }
  }

  /**
   * Whether the stored block is undamaged and the same; false: it is damaged and may be replaced. Throws EEXIST when it
   * is another.
   */
  async #holds(block: BlockId, location: Location, length: number, checksums: Buffer): Promise<boolean> {
    if (location.length !== length) throw otherContent(block);
    try {
      const head = await this.#parts.reader.head(block, location);
      if (!head.checksums.equals(checksums)) throw otherContent(block);
      return (await this.verify(block)) === "whole";
    } catch (error) {
      if (errnoOf(error) === "EIO" || errnoOf(error) === "ENOENT") return false;
      throw error;
    }
  }

  /** Rejects with ENOSPC when there is none to be had. */
  async #makeRoom(bytes: number, replaces: boolean): Promise<void> {
    const { compactor, diskSpace, capacityBytes } = this.#parts;
    const hasFreed = await compactor.reclaim();
    // The space of removed files, of this node and of others, shows there only.
    await diskSpace.ask();
    if (!hasFreed && !this.#hasRoom(bytes, replaces)) throw noSpace(capacityBytes);
  }

  #hasRoom(bytes: number, replaces: boolean): boolean {
    return bytes <= this.#leftBytes() + (replaces ? replacingBytes(this.#parts.capacityBytes) : 0);
  }

  /** What may still be appended before growing is refused. */
  #leftBytes(): number {
    return Math.min(this.#growthLimit - this.#usedBytes(), this.#parts.diskSpace.freeBytes);
  }

  #usedBytes(): number {
    return this.#parts.index.usedBytes + this.#parts.appender.pendingBytes;
  }

  #locate(block: BlockId): Location | undefined {
    return this.#guarded(() => this.#parts.index.get(block));
  }

  /** An index that contradicts itself ends the store: it is built again at the next start. */
  #guarded<T>(read: () => T): T {
    try {
      return read();
    } catch (cause) {
      this.#parts.failure.report(cause);
      throw new FsError("EIO", "the block index is damaged", { cause });
    }
  }

  #mustRun(): void {
    if (this.#isClosed) throw new FsError("EIO", "the block store is closed");
    const { error } = this.#parts.failure;
    if (error !== undefined) throw error;
  }
}

function isSamePlace(a: Location | undefined, b: Location | undefined): boolean {
  return a === undefined || b === undefined ? a === b : isSame(a, b);
}

function otherContent(block: BlockId): FsError {
  return new FsError("EEXIST", `block ${blockName(block)} is here with other content`);
}

function noSpace(capacityBytes: number): FsError {
  return new FsError("ENOSPC", `the node's capacity of ${String(capacityBytes)} bytes, or its disk, is used up`);
}
