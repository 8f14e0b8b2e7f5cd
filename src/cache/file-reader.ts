/**
 * Reading one file: unwritten data over inline content, cached blocks and fetched ones; holes are zeros.
 *
 * A read is planned in one turn of the event loop, from the dirty ranges and the extents as they are then; what the
 * plan lacks is fetched, and a block that is gone (the layout was old) makes it plan again with new extents.
 */
import { abortable } from "./abortable.ts";
import { errnoOf, FsError } from "../base/errno.ts";
import type { Ino } from "../base/ids.ts";
import { extentEnd } from "../protocol/extents.ts";
import type { Extent } from "../protocol/types.ts";
import { regionBytes, type BlockPart } from "./block-cache.ts";
import type { ContentContext } from "./content-context.ts";
import type { DirtyRanges } from "./dirty-ranges.ts";
import type { Chunk } from "./chunk-memory.ts";
import type { Layout } from "./layout.ts";
import type { LentBytes } from "./lent-bytes.ts";
import { ReadStreams, type ReadStream } from "./read-streams.ts";
import type { ReadPieces } from "./types.ts";

/** Where a plan learns the extents: see Layout. */
export interface ExtentSource {
  lookup(start: number, end: number): readonly Extent[] | undefined;
  ensure(start: number, end: number): Promise<void>;
  forget(): void;
}

interface Plan {
  /** In order; undefined where a part is still missing. */
  readonly pieces: (Uint8Array[] | undefined)[];
  readonly missing: { readonly at: number; readonly part: BlockPart }[];
  /** Chunks of dirty data in it, held. */
  readonly chunks: Chunk[];
  /** Cached content in it, held. */
  readonly held: LentBytes[];
  /** Nobody wants it any more: what still comes for it is let go at once. */
  isGivenUp: boolean;
}

const zeros = Buffer.alloc(256 * 1024);
/** How often a read starts again with new extents before it fails. */
const attemptsMax = 4;

export class FileReader {
  readonly #context: ContentContext;
  readonly #ino: Ino;
  readonly #dirty: DirtyRanges;
  readonly #size: () => number;
  readonly #streams = new ReadStreams();
  /** Made when something is fetched that closing has to stop: most files are opened and closed without. */
  #closing: AbortController | undefined;
  #isPrefetching = false;

  constructor(context: ContentContext, file: { ino: Ino; dirty: DirtyRanges; size: () => number }) {
    this.#context = context;
    this.#ino = file.ino;
    this.#dirty = file.dirty;
    this.#size = file.size;
  }

  /** Bytes [start, end), which is within the file, by a layout that stays right: at once if all is at hand. */
  read(layout: Layout, start: number, end: number, signal?: AbortSignal): ReadPieces | Promise<ReadPieces> {
    if (end <= start) return { pieces: [] };
    const stream = this.#streams.note(start, end - start);
    const plan = this.#plan(layout, start, end);
    if (plan?.missing.length === 0) {
      this.#readAhead(layout, stream);
      return this.#answer(plan);
    }
    const answer = this.#readLater(layout, { start, end, plan, stream }, signal);
    if (plan !== undefined) this.#readAhead(layout, stream);
    else if (stream.windowBytes === 0) this.#prefetchLayout(layout);
    return answer;
  }

  /** As `read` with the extents of this moment, not reading ahead. */
  async readOnce(extents: ExtentSource, start: number, end: number, signal?: AbortSignal): Promise<ReadPieces> {
    if (end <= start) return { pieces: [] };
    const stream = this.#streams.note(start, end - start);
    return this.#readLater(extents, { start, end, plan: undefined, stream }, signal);
  }

  close(): void {
    this.#closing?.abort();
  }

  /** Fetches what a sequential reader will want next. */
  #readAhead(layout: Layout, stream: ReadStream): void {
    const { next, windowBytes } = stream;
    if (windowBytes === 0 || stream.aheadTo - next > windowBytes / 2) return;
    const target = Math.min(next + windowBytes, this.#size());
    let position = Math.max(next, stream.aheadTo);
    while (position < target) {
      const to = Math.min(target, position + regionBytes);
      const extents = layout.lookup(position, to);
      if (extents === undefined) {
        layout.ensure(position, to).catch(() => undefined); // the read that needs it will say why
        break;
      }
      if (!this.#prefetch(extents, position, to)) break;
      position = to;
    }
    stream.aheadTo = Math.max(stream.aheadTo, position);
  }

  /** A random reader will want all of it. */
  #prefetchLayout(layout: Layout): void {
    if (this.#isPrefetching) return;
    this.#isPrefetching = true;
    layout
      .prefetch(this.#size(), (this.#closing ??= new AbortController()).signal)
      .catch((error: unknown) => {
        this.#context.log.debug({ ino: this.#ino, error }, "the layout could not be fetched ahead");
      })
      .finally(() => {
        this.#isPrefetching = false;
      });
  }

  #prefetch(extents: readonly Extent[], start: number, end: number): boolean {
    for (const extent of extents) {
      if (extent.kind !== "block") continue;
      for (const part of partsOf(extent, Math.max(start, extent.offset), Math.min(end, extentEnd(extent)))) {
        if (!this.#context.blocks.prefetch(part)) return false;
      }
    }
    return true;
  }

  async #readLater(
    layout: ExtentSource,
    wish: { start: number; end: number; plan: Plan | undefined; stream: ReadStream },
    signal: AbortSignal | undefined,
  ): Promise<ReadPieces> {
    const { start, end, stream } = wish;
    let { plan } = wish;
    for (let attempt = 1; ; attempt++) {
      if (plan === undefined) {
        await abortable(layout.ensure(start, end), signal);
        plan = this.#plan(layout, start, end);
      }
      try {
        if (plan !== undefined) {
          await abortable(this.#fill(plan, stream.windowBytes > 0), signal);
          return this.#answer(plan);
        }
        if (attempt >= attemptsMax * 4)
          throw new FsError("EIO", `inode ${String(this.#ino)}: layout changes too often`);
      } catch (cause) {
        if (plan !== undefined) this.#letGo(plan);
        if (errnoOf(cause) !== "ENOENT") throw cause;
        if (attempt >= attemptsMax) {
          throw new FsError("EIO", `inode ${String(this.#ino)}: a block of it is on no storage node`, { cause });
        }
        layout.forget();
      }
      plan = undefined;
    }
  }

  /** Undefined: the layout is not known. */
  #plan(layout: ExtentSource, start: number, end: number): Plan | undefined {
    const plan: Plan = { pieces: [], missing: [], chunks: [], held: [], isGivenUp: false };
    const dirty = this.#dirty.overlapping(start, end);
    let position = start;
    for (const range of dirty) {
      if (range.offset > position && !this.#planClean(plan, layout, position, range.offset)) {
        this.#letGo(plan);
        return undefined;
      }
      const from = Math.max(position, range.offset);
      const to = Math.min(range.offset + range.length, end);
      const { chunk } = range;
      this.#context.memory.hold(chunk);
      chunk.readers++;
      plan.chunks.push(chunk);
      plan.pieces.push([chunk.bytes.subarray(range.at + from - range.offset, range.at + to - range.offset)]);
      position = to;
    }
    if (position < end && !this.#planClean(plan, layout, position, end)) {
      this.#letGo(plan);
      return undefined;
    }
    return plan;
  }

  #planClean(plan: Plan, layout: ExtentSource, start: number, end: number): boolean {
    const extents = layout.lookup(start, end);
    if (extents === undefined) return false;
    let position = start;
    for (const extent of extents) {
      planZeros(plan, position, extent.offset);
      const from = Math.max(position, extent.offset);
      position = Math.min(extentEnd(extent), end);
      if (extent.kind === "inline") {
        plan.pieces.push([extent.content.subarray(from - extent.offset, position - extent.offset)]);
        continue;
      }
      for (const part of partsOf(extent, from, position)) {
        const found = this.#context.blocks.find(part);
        if (found !== undefined) {
          plan.pieces.push(found.pieces);
          plan.held.push(...found.held);
        } else {
          plan.missing.push({ at: plan.pieces.length, part });
          plan.pieces.push(undefined);
        }
      }
    }
    planZeros(plan, position, end);
    return true;
  }

  async #fill(plan: Plan, whole: boolean): Promise<void> {
    await Promise.all(
      plan.missing.map(async ({ at, part }) => {
        const found = await this.#context.blocks.fetch(part, whole);
        plan.pieces[at] = found.pieces;
        if (plan.isGivenUp) for (const lent of found.held) lent.letGo();
        else plan.held.push(...found.held);
      }),
    );
  }

  #answer(plan: Plan): ReadPieces {
    const pieces = plan.pieces.flatMap((piece) => piece ?? []);
    if (plan.chunks.length === 0 && plan.held.length === 0) return { pieces };
    return {
      pieces,
      release: () => {
        this.#letGo(plan);
      },
    };
  }

  #letGo(plan: Plan): void {
    for (const chunk of plan.chunks.splice(0)) {
      chunk.readers--;
      this.#context.memory.drop(chunk);
    }
    for (const lent of plan.held.splice(0)) lent.letGo();
    plan.isGivenUp = true;
  }
}

function planZeros(plan: Plan, start: number, end: number): void {
  for (let position = start; position < end; position += zeros.length) {
    plan.pieces.push([zeros.subarray(0, Math.min(zeros.length, end - position))]);
  }
}

/** The parts of [from, to) (of the file, within the extent), one per region of its block. */
function partsOf(extent: Extract<Extent, { kind: "block" }>, from: number, to: number): BlockPart[] {
  const { block, blockOffset, offset } = extent;
  const parts: BlockPart[] = [];
  const end = blockOffset + to - offset;
  for (let position = blockOffset + from - offset; position < end;) {
    const next = Math.min(end, (Math.floor(position / regionBytes) + 1) * regionBytes);
    parts.push({ block, from: position, to: next, first: blockOffset, last: blockOffset + extent.length });
    position = next;
  }
  return parts;
}
