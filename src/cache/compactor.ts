/**
 * Rewrites stretches of files that have fallen into too many extents as one block, in the background: one at a time,
 * while little else happens, given up as soon as anybody changes the stretch.
 */
import type { Clock, Timer } from "../base/clock.ts";
import { errnoOf } from "../base/errno.ts";
import type { BlockId } from "../base/ids.ts";
import { extentEnd } from "../protocol/extents.ts";
import type { Extent } from "../protocol/types.ts";
import type { ContentContext } from "./content-context.ts";
import type { CachedFile } from "./file-content.ts";

interface Candidate {
  readonly file: CachedFile;
  readonly stretch: number;
}

const pauseMillis = 500;
const candidatesMax = 1_024;
const countsMax = 16_384;
/** Extents that may replace others in one request: see compactExtents. */
const runsMax = 16;
/** A stretch with so many times the extents allowed is rewritten even while the file is being written. */
const urgentFactor = 8;

export class Compactor {
  readonly #context: ContentContext;
  readonly #clock: Clock;
  readonly #candidates = new Map<string, Candidate>();
  /** Extents committed to stretches whose layout is not known. */
  readonly #counts = new Map<string, number>();
  /** Extents from which on another try is worth it, where compaction did not help. */
  readonly #thresholds = new Map<string, number>();
  readonly #closing = new AbortController();
  #timer: Timer | undefined;
  #running: Promise<void> | undefined;

  constructor(context: ContentContext) {
    this.#context = context;
    this.#clock = context.clock;
  }

  /** Own extents were committed: notes stretches that have too many by now. */
  committed(file: CachedFile, extents: readonly Extent[]): void {
    const { blockBytesMax, extentsPerBlockMax } = this.#context.limits;
    for (const extent of extents) {
      if (extent.length === blockBytesMax) continue;
      const stretch = Math.floor(extent.offset / blockBytesMax);
      const known = file.layout.extentsOf(stretch);
      if (known > 0 && known <= extentsPerBlockMax) continue;
      const key = keyOf(file, stretch);
      const count = known > 0 ? known : this.#countUnknown(key);
      if (count <= (this.#thresholds.get(key) ?? extentsPerBlockMax)) continue;
      if (this.#candidates.size < candidatesMax) this.#candidates.set(key, { file, stretch });
      this.#arm();
    }
  }

  forget(file: CachedFile): void {
    for (const [key, candidate] of this.#candidates) if (candidate.file === file) this.#candidates.delete(key);
    const prefix = `${String(file.ino)}/`;
    for (const counts of [this.#counts, this.#thresholds]) {
      for (const key of counts.keys()) if (key.startsWith(prefix)) counts.delete(key);
    }
  }

  async close(): Promise<void> {
    this.#closing.abort(new Error("shutting down"));
    this.#timer?.cancel();
    this.#candidates.clear();
    await this.#running;
  }

  #arm(): void {
    if (this.#timer !== undefined || this.#running !== undefined || this.#closing.signal.aborted) return;
    if (this.#candidates.size === 0) return;
    const next = (): void => {
      this.#timer = undefined;
      const candidate = this.#pick();
      if (candidate === undefined) {
        this.#arm();
        return;
      }
      this.#running = this.#compact(candidate).finally(() => {
        this.#running = undefined;
        this.#arm();
      });
    };
    this.#timer = this.#clock.after(pauseMillis, next, { unref: true });
  }

  #countUnknown(key: string): number {
    const count = (this.#counts.get(key) ?? 0) + 1;
    remember(this.#counts, key, count);
    return count;
  }

  #pick(): Candidate | undefined {
    const { slots, memory, limits } = this.#context;
    if (slots.inUse > 0 || memory.isWaitedFor) return undefined;
    for (const [key, candidate] of this.#candidates) {
      const { file, stretch } = candidate;
      const isUrgent = file.layout.extentsOf(stretch) > urgentFactor * limits.extentsPerBlockMax;
      if (file.isHeld || (file.isDirty && !isUrgent)) continue;
      this.#candidates.delete(key);
      return candidate;
    }
    return undefined;
  }

  async #compact({ file, stretch }: Candidate): Promise<void> {
    const key = keyOf(file, stretch);
    let written: BlockId | undefined;
    try {
      const before = await this.#extentsOf(file, stretch);
      const runs = contiguousRuns(before);
      if (before.length <= this.#context.limits.extentsPerBlockMax || runs.length > runsMax) {
        // Sparse, or fewer than it seemed.
        this.#counts.set(key, before.length);
        remember(this.#thresholds, key, 2 * Math.max(before.length, this.#context.limits.extentsPerBlockMax));
        return;
      }
      this.#counts.delete(key);
      const pieces: Uint8Array[] = [];
      for (const extent of before) pieces.push(...(await this.#contentOf(extent)));
      const options = { signal: this.#closing.signal, replicas: file.replicas };
      const { block, epoch } = await this.#context.writer.write(pieces, options);
      written = block;
      let blockOffset = 0;
      const after = runs.map(({ offset, length }): Extent => {
        const extent = { kind: "block" as const, offset, length, block, blockOffset };
        blockOffset += length;
        return extent;
      });
      await file.buffer.queue.exclusive(async () => {
        if (file.isHeld || this.#closing.signal.aborted) return;
        const { nameServer } = this.#context;
        const epochs = [{ group: block.group, epoch }];
        await nameServer.change("compactExtents", { ino: file.ino, before, after, epochs });
        written = undefined;
        file.layout.committed(after);
      });
    } catch (error) {
      const { log } = this.#context;
      const fields = { ino: file.ino, stretch, errno: errnoOf(error), error };
      if (!this.#closing.signal.aborted) log.debug(fields, "a stretch was not compacted");
    } finally {
      if (written !== undefined) this.#context.writer.discard(written);
    }
  }

  /** The extents that lie within the stretch, as the server gives them; empty if they are too many for one request. */
  async #extentsOf(file: CachedFile, stretch: number): Promise<Extent[]> {
    const { nameServer, limits } = this.#context;
    const start = stretch * limits.blockBytesMax;
    const end = start + limits.blockBytesMax;
    const found: Extent[] = [];
    for (let position: number | null = start; position !== null && position < end;) {
      const request = { ino: file.ino, offset: position, length: end - position };
      const reply: Awaited<ReturnType<typeof nameServer.ask<"readExtents">>> = await nameServer.ask(
        "readExtents",
        request,
        { signal: this.#closing.signal },
      );
      for (const extent of reply.extents) {
        if (extent.offset >= start && extentEnd(extent) <= end && extent.offset >= position) found.push(extent);
      }
      position = reply.next;
    }
    return withinMessage(found, limits.extentsPerMessageMax, limits.messageBytesMax / 2);
  }

  async #contentOf(extent: Extent): Promise<readonly Uint8Array[]> {
    if (extent.kind === "inline") return [extent.content];
    const { block, blockOffset, length } = extent;
    return [await this.#context.reader.read(block, blockOffset, length, this.#closing.signal)];
  }
}

function keyOf(file: CachedFile, stretch: number): string {
  return `${String(file.ino)}/${String(stretch)}`;
}

/** Sets a count; a table that has grown too large starts anew (it only decides when to look). */
function remember(counts: Map<string, number>, key: string, count: number): void {
  if (counts.size >= countsMax) counts.clear();
  counts.set(key, count);
}

/** As many of the first extents as one request may carry. */
function withinMessage(extents: readonly Extent[], countMax: number, bytesMax: number): Extent[] {
  let bytes = 0;
  const fitting = extents.findIndex((extent, i) => {
    bytes += 96 + (extent.kind === "inline" ? extent.length : 0);
    return i >= countMax || bytes > bytesMax;
  });
  return extents.slice(0, fitting < 0 ? undefined : fitting);
}

function contiguousRuns(extents: readonly Extent[]): { offset: number; length: number }[] {
  const runs: { offset: number; length: number }[] = [];
  for (const { offset, length } of extents) {
    const last = runs.at(-1);
    if (last !== undefined && last.offset + last.length === offset) last.length += length;
    else runs.push({ offset, length });
  }
  return runs;
}
