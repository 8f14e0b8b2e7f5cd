/**
 * Gives the space of dead records back: copies what is alive out of a segment, makes copies and index durable, removes
 * the file. One segment at a time, in the background, at a bounded rate; without pause while space is short.
 *
 * A segment is removed only after each of its records was looked up in the index, and only when the index counts nothing
 * alive in it; one whose live records cannot all be read is left as it is.
 */
import type { Clock } from "../base/clock.ts";
import { errnoOf } from "../base/errno.ts";
import type { BlockId } from "../base/ids.ts";
import { limits } from "../base/limits.ts";
import type { Log } from "../base/log.ts";
import type { BlockIndex } from "./block-index.ts";
import type { SegmentRow } from "./index-codec.ts";
import { isSame } from "./reader.ts";
import { fileHeaderBytes, headBytes, recordBytes, recordBytesMax, type Location } from "./record.ts";
import { scanSegment } from "./scan.ts";
import { cutShort, type SegmentFiles } from "./segment-files.ts";
import { deadBytes, isMostlyDead, isReclaimable, isWorthSealing } from "./space.ts";
import type { NodeIdentity } from "./identity.ts";

export interface Copy {
  readonly block: BlockId;
  readonly bytes: Buffer;
  readonly checksums: Buffer;
  readonly movedFrom: Location;
}

export interface CompactorOptions {
  readonly index: BlockIndex;
  readonly files: SegmentFiles;
  readonly identity: NodeIdentity;
  readonly clock: Clock;
  readonly log: Log;
  /** Resolves when the copy is durable and the index knows it (or knows better). */
  copy(record: Copy): Promise<void>;
  activeSegment(): number | undefined;
  seal(): Promise<void>;
  /** Whether growing will soon be refused. */
  isShort(): boolean;
  /** The index failed. */
  onFailed(error: unknown): void;
}

/** Copied between two waits for the disk. */
const batchBytes = recordBytesMax;

export class Compactor {
  readonly #options: CompactorOptions;
  /** Segments with live records that cannot be read: not tried again before the next start. */
  readonly #leftAlone = new Set<number>();
  #running: Promise<void> | undefined;
  /** Puts that wait for space; told after each segment, or at the end, whether something came back. */
  #waiting: ((freed: boolean) => void)[] = [];
  #wake: (() => void) | undefined;
  #isClosed = false;

  constructor(options: CompactorOptions) {
    this.#options = options;
  }

  /** Something died, or space became short. */
  kick(): void {
    if (this.#isClosed || this.#running !== undefined || this.#next() === undefined) return;
    this.#running = this.#run();
  }

  /** Frees space now. False: there is none to be had. */
  reclaim(): Promise<boolean> {
    if (this.#isClosed) return Promise.resolve(false);
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
      this.#wake?.();
      this.kick();
      if (this.#running === undefined) this.#tell(false);
    });
  }

  /** Whether dead space of this segment is to be had. */
  isReclaimable(row: SegmentRow): boolean {
    return isReclaimable(row) && !this.#leftAlone.has(row.segment);
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#wake?.();
    await this.#running;
  }

  #isUrgent(): boolean {
    return this.#waiting.length > 0 || this.#options.isShort();
  }

  #tell(freed: boolean): void {
    for (const resolve of this.#waiting.splice(0)) resolve(freed);
  }

  /** The segment with the most to give, if any is worth it now. */
  #next(): SegmentRow | undefined {
    const isUrgent = this.#isUrgent();
    let best: SegmentRow | undefined;
    for (const row of this.#options.index.segments.values()) {
      if (this.#leftAlone.has(row.segment) || !(isUrgent ? isReclaimable(row) : isMostlyDead(row))) continue;
      if (row.segment === this.#options.activeSegment() && !isUrgent && !isWorthSealing(row)) continue;
      if (best === undefined || deadBytes(row) / row.endBytes > deadBytes(best) / best.endBytes) best = row;
    }
    return best;
  }

  /** Never rejects. */
  async #run(): Promise<void> {
    try {
      for (let row = this.#next(); row !== undefined && !this.#isClosed; row = this.#next()) {
        if (await this.#compact(row.segment)) this.#tell(true);
      }
    } catch (error) {
      if (errnoOf(error) !== "ENOSPC") this.#options.onFailed(error);
      else this.#options.log.warn({ err: error }, "no room to compact a segment");
    } finally {
      // In one step: who asks from here on begins another run, and does not wait for this one.
      this.#running = undefined;
      this.#tell(false);
    }
  }

  /** True when the segment is gone. Rejects when index or appender failed, or with ENOSPC. */
  async #compact(segment: number): Promise<boolean> {
    const { index, files, log } = this.#options;
    if (segment === this.#options.activeSegment()) await this.#options.seal();
    if (segment === this.#options.activeSegment()) return false;
    const before = index.segments.get(segment);
    if (before === undefined) return false;
    try {
      await this.#copyLiving(before);
    } catch (error) {
      if (!(error instanceof UnreadableSegment)) throw error;
      log.error({ segment, err: error.cause }, "a segment cannot be read for compaction: it is left as it is");
      this.#leftAlone.add(segment);
      return false;
    }
    if (this.#isClosed) return false;
    const row = index.segments.get(segment);
    if (row === undefined) return false;
    if (row.liveBlocks > 0) {
      log.error({ segment, blocks: row.liveBlocks }, "a segment has blocks with damaged heads: it is left as it is");
      this.#leftAlone.add(segment);
      return false;
    }
    index.dropSegment(segment);
    await index.commit();
    await files.remove(segment);
    log.debug({ segment, bytes: row.endBytes, copied: before.liveBytes }, "compacted a segment");
    return true;
  }

  async #copyLiving({ segment, endBytes, liveBlocks }: SegmentRow): Promise<void> {
    const { index, files, identity } = this.#options;
    const memory = Buffer.allocUnsafe(liveBlocks === 0 ? 0 : batchBytes);
    let used = 0;
    let copies: Copy[] = [];
    const scan = scanSegment(files, { node: identity.node, segment, from: fileHeaderBytes, end: endBytes });
    for await (const found of readable(scan)) {
      if (this.#isClosed) return;
      if (found.kind === "damage") continue;
      const { block, location } = found.head;
      const now = index.get(block);
      if (now === undefined || !isSame(now, location)) continue;
      if (used + location.length > batchBytes) {
        await this.#copyAll(copies);
        copies = [];
        used = 0;
      }
      const bytes = memory.subarray(used, used + location.length);
      used += location.length;
      await readPayload(files, location, bytes);
      copies.push({ block, bytes, checksums: Buffer.from(found.head.checksums), movedFrom: location });
    }
    await this.#copyAll(copies);
  }

  async #copyAll(copies: readonly Copy[]): Promise<void> {
    const results = await Promise.allSettled(copies.map((copy) => this.#options.copy(copy)));
    for (const result of results) if (result.status === "rejected") throw result.reason as Error;
    let bytes = 0;
    for (const copy of copies) bytes += recordBytes(copy.bytes.length);
    if (!this.#isUrgent()) await this.#pause((bytes / limits.compactionBytesPerSecond) * 1000);
  }

  /** Ends early when space becomes short. */
  #pause(millis: number): Promise<void> {
    if (millis < 1 || this.#isClosed) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = this.#options.clock.after(millis, () => {
        this.#wake?.();
      });
      this.#wake = () => {
        this.#wake = undefined;
        timer.cancel();
        resolve();
      };
    });
  }
}

class UnreadableSegment extends Error {}

/** Tells errors of reading this segment from everything that ends the compaction. */
async function* readable<T>(items: AsyncIterable<T>): AsyncGenerator<T> {
  const iterator = items[Symbol.asyncIterator]();
  for (;;) {
    let next: IteratorResult<T, unknown>;
    try {
      next = await iterator.next();
    } catch (cause) {
      throw new UnreadableSegment("a head cannot be read", { cause });
    }
    if (next.done === true) return;
    yield next.value;
  }
}

async function readPayload(files: SegmentFiles, location: Location, into: Buffer): Promise<void> {
  try {
    const got = await files.read(location.segment, into, location.offset + headBytes(location.length));
    if (got < into.length) throw cutShort(location.segment, location.offset);
  } catch (cause) {
    throw new UnreadableSegment("a payload cannot be read", { cause });
  }
}
