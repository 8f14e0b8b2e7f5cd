/** What the parts of rewriting share. */
import type { Ino } from "../../base/ids.ts";
import type { ExtentRecord } from "../../metadata-store/records.ts";

/** An extent where it was found: offset in the content, and what it says. */
export interface Place {
  readonly content: Ino;
  readonly offset: number;
  readonly record: ExtentRecord;
}

/** A place whose bytes are at `at` of a new block. */
export interface Placed extends Place {
  readonly at: number;
  /** Of an inline place: the bytes that were copied. */
  readonly inline: Buffer | undefined;
}

export interface Rewriter {
  /**
   * Copies what these extents name into new blocks, each at all members of a group with `copies` copies, and puts the new
   * blocks in the place of the old ones: extents that say something else by then are left as they are. Content does not
   * change by it, so nobody is told; who still reads by old extents finds the old blocks until their grace time is over.
   * Returns the bytes that have a new place.
   * Rejects: EAGAIN, ENOSPC no healthy group with so many copies has space, ECANCELED, or what a storage node said. What was
   * moved before that stays moved.
   */
  rewrite(
    places: readonly Place[],
    options: {
      readonly copies: number;
      /** Several places may name the same bytes: those stay one. */
      readonly isShared?: boolean;
      /**
       * The places are all that names some blocks of one group, and take less than these: the new block may use a part of
       * the reserve of their nodes.
       */
      readonly replaces?: boolean;
      readonly signal: AbortSignal;
    },
  ): Promise<number>;
  /**
   * Rewrites all extents of a content whose blocks are of groups with another number of copies (inline ones
   * stay), in steps. Returns the bytes that have a new place; what was changed meanwhile may be left: to be called until
   * it returns 0. Rejects as `rewrite`.
   */
  convert(content: Ino, options: { readonly copies: number; readonly signal: AbortSignal }): Promise<number>;
}
