/**
 * The extents of one range as the server has them now: for a reader who may not remember any (other clients write).
 * Own commits that are acknowledged while it asks are applied, so that it never shows less than was written here.
 */
import { cutExtents, extentEnd } from "../protocol/extents.ts";
import type { Extent } from "../protocol/types.ts";
import type { ExtentSource } from "./file-reader.ts";
import type { ExtentPage } from "./layout.ts";

export class FreshExtents implements ExtentSource {
  readonly #ask: (offset: number, length: number) => Promise<ExtentPage>;
  #extents: Extent[] | undefined;
  #meanwhile: Extent[] = [];

  constructor(ask: (offset: number, length: number) => Promise<ExtentPage>) {
    this.#ask = ask;
  }

  async ensure(start: number, end: number): Promise<void> {
    if (this.#extents !== undefined) return;
    const extents: Extent[] = [];
    for (let position = start; position < end;) {
      const page = await this.#ask(position, end - position);
      extents.push(...page.extents.filter((extent) => extentEnd(extent) > position || position === start));
      position = Math.max(page.end, position + 1);
    }
    this.#extents = extents;
    for (const extent of this.#meanwhile) this.#apply(extent);
  }

  lookup(start: number, end: number): readonly Extent[] | undefined {
    return this.#extents?.filter((extent) => extent.offset < end && extentEnd(extent) > start);
  }

  /** Own extents were committed; inline content is borrowed. */
  committed(extents: readonly Extent[]): void {
    for (const extent of extents) {
      const own = extent.kind === "inline" ? { ...extent, content: Buffer.from(extent.content) } : extent;
      if (this.#extents === undefined) this.#meanwhile.push(own);
      else this.#apply(own);
    }
  }

  forget(): void {
    this.#extents = undefined;
    this.#meanwhile = [];
  }

  #apply(extent: Extent): void {
    const end = extentEnd(extent);
    const all = this.#extents ?? [];
    const overlapping = all.filter((other) => other.offset < end && extentEnd(other) > extent.offset);
    const others = all.filter((other) => !overlapping.includes(other));
    this.#extents = [...others, ...cutExtents(overlapping, extent.offset, end), extent].sort(
      (a, b) => a.offset - b.offset,
    );
  }
}
