/**
 * What a client remembers of a file's extents: per stretch of the file (a block's size, aligned) the extents within it,
 * cut at its borders, for the stretches that are known. Fetched in pages as large as the server gives, kept right by
 * applying this client's own commits.
 *
 * Invariants: a known stretch is as the server has it, or older only by commits that have not been acknowledged yet
 * (whose data is still dirty). A reply that crossed a `forget` is not believed; commits acknowledged while a reply was
 * on its way are applied to it again, in order.
 */
import { FsError } from "../base/errno.ts";
import { clipExtent, cutExtents, extentEnd, joinExtents } from "../protocol/extents.ts";
import type { Extent } from "../protocol/types.ts";
import { KnownStretches } from "./known-stretches.ts";
import type { LayoutBudget, Weighed } from "./layout-budget.ts";
import { firstEndingAfter } from "./interval-search.ts";

export interface ExtentPage {
  readonly extents: readonly Extent[];
  /** The page says everything from where it was asked up to here. */
  readonly end: number;
}

export interface LayoutOptions {
  readonly stretchBytes: number;
  /** Everything that the server can say from `offset` on. */
  readonly ask: (offset: number, signal?: AbortSignal) => Promise<ExtentPage>;
  readonly budget: LayoutBudget;
}

/** What an extent costs in memory beside inline content. */
const extentWeight = 160;
/** How often a page is asked for again because the layout was forgotten meanwhile. */
const attemptsMax = 16;

export class Layout implements Weighed {
  weight = 0;
  readonly #options: LayoutOptions;
  readonly #buckets = new Map<number, Extent[]>();
  readonly #known = new KnownStretches();
  #version = 0;
  #fetching: Promise<void> | undefined;
  /** Own commits acknowledged since the fetch in progress began. */
  #meanwhile: Extent[] = [];

  constructor(options: LayoutOptions) {
    this.#options = options;
  }

  /** Extents that overlap [start, end), in order, each cut at its stretch; undefined: not known. */
  lookup(start: number, end: number): Extent[] | undefined {
    const { stretchBytes } = this.#options;
    const first = Math.floor(start / stretchBytes);
    const last = Math.floor((end - 1) / stretchBytes);
    if (!this.#known.has(first, last + 1)) return undefined;
    const found: Extent[] = [];
    for (let index = first; index <= last; index++) {
      const bucket = this.#buckets.get(index);
      if (bucket === undefined) continue;
      for (let i = firstEndingAfter(bucket, start); i < bucket.length; i++) {
        const extent = bucket[i];
        if (extent === undefined || extent.offset >= end) break;
        found.push(extent);
      }
    }
    this.#options.budget.use(this);
    return found;
  }

  /** Resolves when [start, end) was known at that moment. */
  async ensure(start: number, end: number, signal?: AbortSignal): Promise<void> {
    const { stretchBytes } = this.#options;
    const last = Math.ceil(end / stretchBytes);
    for (let attempt = 0; ;) {
      const missing = this.#known.firstMissing(Math.floor(start / stretchBytes));
      if (missing >= last) return;
      if (this.#fetching !== undefined) {
        await this.#fetching;
        continue;
      }
      if (attempt++ === attemptsMax) throw new FsError("EIO", "the layout of a file changes too often to be read");
      await this.#fetch(missing, signal);
    }
  }

  /** Fetches what is not known yet up to `end` while it fits well into the budget. Never rejects on a change meanwhile. */
  async prefetch(end: number, signal: AbortSignal): Promise<void> {
    const { stretchBytes, budget } = this.#options;
    const version = this.#version;
    while (version === this.#version && this.weight < budget.bytesMax / 2 && !signal.aborted) {
      const missing = this.#known.firstMissing(0) * stretchBytes;
      if (missing >= end) return;
      await this.ensure(missing, missing + 1, signal);
    }
  }

  /** The file is new and empty: nothing needs to be asked. */
  knowEmpty(): void {
    this.#known.add(0, Infinity);
  }

  /** Nothing is known, and nothing asked for. */
  get isUnknown(): boolean {
    return this.#fetching === undefined && this.#known.firstMissing(0) === 0;
  }

  /** All extents of a file that is no longer than a stretch. Inline content is borrowed. */
  know(extents: readonly Extent[]): void {
    this.#store(0, 1, extents.map(kept));
    this.#options.budget.use(this);
  }

  /** Own extents were committed. Inline content is borrowed: copied if it is kept. */
  committed(extents: readonly Extent[]): void {
    for (const extent of extents) {
      const own = kept(extent);
      if (this.#fetching !== undefined) this.#meanwhile.push(own);
      this.#apply(own);
    }
    if (this.weight > this.#options.budget.bytesMax / 2) this.forget();
    else this.#options.budget.use(this);
  }

  /** How many extents a stretch is known to have; 0 if it is not known. */
  extentsOf(stretch: number): number {
    return this.#buckets.get(stretch)?.length ?? 0;
  }

  forget(): void {
    this.#version++;
    this.#buckets.clear();
    this.#known.clear();
    this.#meanwhile = [];
    this.weight = 0;
    this.#options.budget.use(this);
  }

  async #fetch(stretch: number, signal: AbortSignal | undefined): Promise<void> {
    const fetching = this.#fetchStretch(stretch, signal);
    this.#fetching = fetching.then(
      () => undefined,
      () => undefined, // whoever waited for this page asks by itself
    );
    try {
      await fetching;
    } finally {
      this.#fetching = undefined;
      this.#meanwhile = [];
    }
  }

  /** Asks from the start of a stretch on until at least that stretch is complete. */
  async #fetchStretch(stretch: number, signal: AbortSignal | undefined): Promise<void> {
    const { stretchBytes, ask } = this.#options;
    const version = this.#version;
    const start = stretch * stretchBytes;
    const extents: Extent[] = [];
    let end = start;
    while (end < start + stretchBytes) {
      const page = await ask(end, signal);
      if (version !== this.#version) return;
      for (const extent of page.extents) {
        if (extentEnd(extent) <= end) continue;
        extents.push(kept(extent.offset < end ? clipExtent(extent, end, extentEnd(extent)) : extent));
      }
      if (page.end <= end) throw new FsError("EIO", `the layout stands still at offset ${String(end)}`);
      end = page.end;
    }
    this.#store(stretch, Math.floor(end / stretchBytes), extents);
    for (const extent of this.#meanwhile) this.#apply(extent);
    this.#options.budget.use(this);
  }

  #store(first: number, afterLast: number, extents: readonly Extent[]): void {
    const { budget, stretchBytes } = this.#options;
    if (this.weight > budget.bytesMax / 2) {
      this.#buckets.clear();
      this.#known.clear();
      this.weight = 0;
    }
    for (const index of [...this.#buckets.keys()]) {
      if (index >= first && index < afterLast) this.#replaceBucket(index, []);
    }
    this.#known.add(first, afterLast);
    const end = afterLast * stretchBytes;
    for (const extent of extents) {
      if (extent.offset < end) this.#apply(extentEnd(extent) > end ? clipExtent(extent, extent.offset, end) : extent);
    }
  }

  #apply(extent: Extent): void {
    const { stretchBytes } = this.#options;
    const end = extentEnd(extent);
    for (let index = Math.floor(extent.offset / stretchBytes); index * stretchBytes < end; index++) {
      const start = index * stretchBytes;
      const part = clipExtent(extent, Math.max(start, extent.offset), Math.min(start + stretchBytes, end));
      if (part.length === stretchBytes) this.#known.add(index, index + 1);
      else if (!this.#known.has(index, index + 1)) continue;
      this.#put(index, part);
    }
  }

  #put(index: number, part: Extent): void {
    const bucket = this.#buckets.get(index) ?? [];
    const end = extentEnd(part);
    const first = firstEndingAfter(bucket, part.offset);
    let after = first;
    while ((bucket[after]?.offset ?? Infinity) < end) after++;
    const rest = cutExtents(bucket.slice(first, after), part.offset, end);
    const left = rest[0] !== undefined && rest[0].offset < part.offset ? rest.shift() : undefined;
    const [right] = rest;
    const joined = left === undefined ? undefined : joinExtents(left, part);
    const fresh = joined === undefined ? [...(left === undefined ? [] : [left]), part] : [joined];
    let from = first;
    const before = bucket[first - 1];
    const [leftmost] = fresh;
    const merged = before === undefined || leftmost === undefined ? undefined : joinExtents(before, leftmost);
    if (merged !== undefined) {
      fresh[0] = merged;
      from--;
    }
    if (right !== undefined) fresh.push(right);
    let weight = 0;
    for (let i = from; i < after; i++) weight -= weightOf(bucket[i]);
    for (const extent of fresh) weight += weightOf(extent);
    bucket.splice(from, after - from, ...fresh);
    this.weight += weight;
    this.#buckets.set(index, bucket);
  }

  #replaceBucket(index: number, extents: Extent[]): void {
    for (const extent of this.#buckets.get(index) ?? []) this.weight -= weightOf(extent);
    for (const extent of extents) this.weight += weightOf(extent);
    if (extents.length === 0) this.#buckets.delete(index);
    else this.#buckets.set(index, extents);
  }
}

/** Content that does not pin the message it came in. */
function kept(extent: Extent): Extent {
  return extent.kind === "inline" ? { ...extent, content: Buffer.from(extent.content) } : extent;
}

function weightOf(extent: Extent | undefined): number {
  if (extent === undefined) return 0;
  return extentWeight + (extent.kind === "inline" ? extent.length : 0);
}
