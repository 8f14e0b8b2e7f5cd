/**
 * What was written to one file and is not committed yet: ranges of the file, each with its bytes in a chunk, the newest
 * bytes for every place. A range is open (it may still change) or belongs to a flight (its bytes stand still).
 *
 * Ranges are kept per stretch of the file (one block's size, aligned), in order, without overlaps, and never cross a
 * stretch's border: so a stretch that has been written completely is one block, and inserting moves few entries.
 * Invariants: every range counts one reference of its chunk; `openBytes` and `bytes` are the sums over all ranges.
 */
import { assert } from "../base/assert.ts";
import type { Chunk, ChunkMemory } from "./chunk-memory.ts";
import { emptyStretch, isChangeable, rangesPerStretchMax, type DirtyRange, type Stretch } from "./dirty-stretch.ts";
import type { DirtyPiece, Flight } from "./flight.ts";
import { firstEndingAfter } from "./interval-search.ts";

/** What a range and its place in flights cost beside its bytes. */
const rangeCharge = 160;
export class DirtyRanges {
  openBytes = 0;
  bytes = 0;
  /** End of the last range; 0 without any. */
  end = 0;
  readonly #memory: ChunkMemory;
  readonly #stretchBytes: number;
  readonly #stretches = new Map<number, Stretch>();
  /** The chunk that new ranges are put into. */
  #chunk: Chunk | undefined;

  constructor(memory: ChunkMemory, stretchBytes: number) {
    this.#memory = memory;
    this.#stretchBytes = stretchBytes;
  }

  get isEmpty(): boolean {
    return this.bytes === 0;
  }

  /**
   * Takes a copy of `content`. The caller has made sure that the memory fits. Calls `full` with the number of each
   * stretch that is now completely open data (or in too many ranges): it should leave.
   */
  put(offset: number, content: Buffer, full: (stretch: number) => void): void {
    for (let done = 0; done < content.length;) {
      const position = offset + done;
      const index = Math.floor(position / this.#stretchBytes);
      const length = Math.min(content.length - done, (index + 1) * this.#stretchBytes - position);
      let stretch = this.#stretches.get(index);
      if (stretch === undefined) this.#stretches.set(index, (stretch = emptyStretch()));
      this.#putInto(stretch, position, length === content.length ? content : content.subarray(done, done + length));
      if (stretch.openBytes === this.#stretchBytes || stretch.ranges.length > stretch.sealAt) {
        stretch.sealAt = stretch.ranges.length + rangesPerStretchMax;
        full(index);
      }
      done += length;
    }
    this.end = Math.max(this.end, offset + content.length);
  }

  /** A copy of `content` in chunks, as pieces from offset 0 on, which hold them; nothing becomes dirty. */
  copy(content: Buffer): DirtyPiece[] {
    return this.#place(0, content, undefined);
  }

  /** Ranges that overlap [start, end), whole, in order. */
  overlapping(start: number, end: number): DirtyPiece[] {
    const found: DirtyPiece[] = [];
    if (this.bytes === 0 || start >= this.end) return found;
    const last = Math.floor((Math.min(end, this.end) - 1) / this.#stretchBytes);
    for (let index = Math.floor(start / this.#stretchBytes); index <= last; index++) {
      const ranges = this.#stretches.get(index)?.ranges;
      if (ranges === undefined) continue;
      for (let i = firstEndingAfter(ranges, start); i < ranges.length; i++) {
        const range = ranges[i];
        if (range === undefined || range.offset >= end) break;
        found.push(range);
      }
    }
    return found;
  }

  /** The first dirty byte at or after `position`. */
  nextStart(position: number): number | undefined {
    let next: number | undefined;
    for (const index of this.#stretches.keys()) {
      if ((index + 1) * this.#stretchBytes <= position) continue;
      const ranges = this.#stretches.get(index)?.ranges ?? [];
      const range = ranges[firstEndingAfter(ranges, position)];
      if (range !== undefined) next = Math.min(next ?? Infinity, Math.max(position, range.offset));
    }
    return next;
  }

  /** The open ranges, of one stretch or of all, in order, that start below an offset. */
  open({ stretch, below = Infinity }: { stretch?: number; below?: number } = {}): DirtyPiece[] {
    const indices = stretch === undefined ? [...this.#stretches.keys()].sort((a, b) => a - b) : [stretch];
    const open: DirtyPiece[] = [];
    for (const index of indices) {
      const found = this.#stretches.get(index);
      if (found === undefined || found.openBytes === 0) continue;
      for (const range of found.ranges) if (range.flight === undefined && range.offset < below) open.push(range);
    }
    return open;
  }

  /** Makes `pieces` (from `open`) part of a flight; returns them as they now stay, each holding its chunk. */
  seal(pieces: readonly DirtyPiece[], flightOf: (sealed: DirtyPiece[]) => Flight): Flight {
    const sealed = pieces.map(({ offset, length, chunk, at }) => {
      this.#memory.hold(chunk);
      return { offset, length, chunk, at };
    });
    const flight = flightOf(sealed);
    for (const piece of pieces) {
      const range = piece as DirtyRange;
      assert(range.flight === undefined, "a range was sealed twice");
      range.flight = flight;
      this.#count(this.#stretchOf(range.offset), 0, -range.length);
    }
    return flight;
  }

  /** A flight ended: what is left of its ranges goes, or is open again. Returns whether anything was left. */
  unseal(flight: Flight, outcome: "gone" | "open"): boolean {
    let wasLeft = false;
    for (let index = -1, i = 0; i < flight.pieces.length; i++) {
      const next = Math.floor((flight.pieces[i]?.offset ?? 0) / this.#stretchBytes);
      if (next === index) continue;
      index = next;
      const stretch = this.#stretches.get(index);
      if (stretch === undefined) continue;
      for (const range of stretch.ranges) {
        if (range.flight !== flight) continue;
        wasLeft = true;
        if (outcome === "gone") continue;
        range.flight = undefined;
        this.#count(stretch, 0, range.length);
      }
      if (outcome === "gone") this.#remove(index, stretch, (range) => range.flight === flight);
    }
    this.#findEnd();
    return wasLeft;
  }

  /** Forgets open data at or after `from`. */
  cutOpen(from: number): void {
    for (const [index, stretch] of [...this.#stretches]) {
      if ((index + 1) * this.#stretchBytes <= from) continue;
      for (const range of stretch.ranges) {
        if (range.flight !== undefined || range.offset >= from || range.offset + range.length <= from) continue;
        const cut = range.offset + range.length - from;
        range.length -= cut;
        this.#count(stretch, -cut, -cut);
      }
      this.#remove(index, stretch, (range) => range.flight === undefined && range.offset >= from);
    }
    this.#findEnd();
  }

  /** Forgets everything; flights keep what they hold. */
  clear(): void {
    for (const [index, stretch] of [...this.#stretches]) this.#remove(index, stretch, () => true);
    this.end = 0;
  }

  #putInto(stretch: Stretch, offset: number, content: Buffer): void {
    const { ranges } = stretch;
    const end = offset + content.length;
    const first = firstEndingAfter(ranges, offset);
    const over = ranges[first];
    if (over !== undefined && over.offset <= offset && over.offset + over.length >= end && isChangeable(over)) {
      content.copy(over.chunk.bytes, over.at + offset - over.offset);
      return;
    }
    const fresh = this.#place(offset, content, ranges[first - 1]);
    const before = ranges.length;
    let covered = 0;
    let coveredOpen = 0;
    let after = first;
    for (let range = ranges[after]; range !== undefined && range.offset < end; range = ranges[++after]) {
      const overlap = Math.min(range.offset + range.length, end) - Math.max(range.offset, offset);
      covered += overlap;
      if (range.flight === undefined) coveredOpen += overlap;
    }
    if (after === first) {
      if (fresh.length > 0) ranges.splice(first, 0, ...fresh);
    } else this.#replace(ranges, { first, after, start: offset, end }, fresh);
    this.#count(stretch, content.length - covered, content.length - coveredOpen);
    this.#memory.charge((ranges.length - before) * rangeCharge);
  }

  /** Copies into chunks. What goes on behind `left` in the same chunk makes it longer; the rest is returned as ranges. */
  #place(offset: number, content: Buffer, left: DirtyRange | undefined): DirtyRange[] {
    const fresh: DirtyRange[] = [];
    for (let done = 0; done < content.length;) {
      const chunk = this.#chunkFor(content.length - done);
      const length = Math.min(content.length - done, chunk.bytes.length - chunk.used);
      const at = chunk.used;
      content.copy(chunk.bytes, at, done, done + length);
      chunk.used += length;
      const goesOn =
        done === 0 &&
        left?.flight === undefined &&
        left?.chunk === chunk &&
        left.at + left.length === at &&
        left.offset + left.length === offset;
      if (goesOn) left.length += length;
      else {
        this.#memory.hold(chunk);
        fresh.push({ offset: offset + done, length, chunk, at, flight: undefined });
      }
      done += length;
    }
    return fresh;
  }

  #chunkFor(bytes: number): Chunk {
    const current = this.#chunk;
    if (current !== undefined && current.references > 0 && current.used < current.bytes.length) return current;
    const size = Math.min(bytes, this.#memory.chunkBytesMax);
    return (this.#chunk = this.#memory.take(size, Math.min(this.openBytes, this.#memory.chunkBytesMax)));
  }

  /** Puts `fresh` in the place of ranges [first, after), whose parts outside of [start, end) stay. */
  #replace(
    ranges: DirtyRange[],
    { first, after, start, end }: { first: number; after: number; start: number; end: number },
    fresh: DirtyRange[],
  ): void {
    const removed = ranges.slice(first, after);
    const replacement: DirtyRange[] = [];
    const head = removed[0];
    const tail = removed[removed.length - 1];
    if (head === undefined || tail === undefined) return;
    const tailEnd = tail.offset + tail.length;
    const keepsHead = head.offset < start;
    if (keepsHead) replacement.push({ ...head, length: start - head.offset });
    replacement.push(...fresh);
    if (tailEnd > end) {
      replacement.push({ ...tail, offset: end, length: tailEnd - end, at: tail.at + end - tail.offset });
    }
    for (const range of replacement) if (!fresh.includes(range)) this.#memory.hold(range.chunk);
    ranges.splice(first, after - first, ...replacement);
    for (const range of removed) this.#memory.drop(range.chunk);
  }

  #remove(index: number, stretch: Stretch, gone: (range: DirtyRange) => boolean): void {
    const { ranges } = stretch;
    let kept = 0;
    for (const range of ranges) {
      if (!gone(range)) {
        ranges[kept++] = range;
        continue;
      }
      this.#count(stretch, -range.length, range.flight === undefined ? -range.length : 0);
      this.#memory.drop(range.chunk);
    }
    const removed = ranges.length - kept;
    ranges.length = kept;
    stretch.sealAt = kept + rangesPerStretchMax;
    if (kept === 0) this.#stretches.delete(index);
    if (removed > 0) this.#memory.charge(-removed * rangeCharge);
  }

  #count(stretch: Stretch, bytes: number, openBytes: number): void {
    this.bytes += bytes;
    this.openBytes += openBytes;
    stretch.openBytes += openBytes;
    this.#memory.openBytes += openBytes;
  }

  #stretchOf(offset: number): Stretch {
    const stretch = this.#stretches.get(Math.floor(offset / this.#stretchBytes));
    assert(stretch !== undefined, "a range without a stretch");
    return stretch;
  }

  #findEnd(): void {
    let last = -1;
    for (const index of this.#stretches.keys()) last = Math.max(last, index);
    const range = this.#stretches.get(last)?.ranges.at(-1);
    this.end = range === undefined ? 0 : range.offset + range.length;
  }
}
