/** One stretch of a file's dirty data: see DirtyRanges. */
import type { Chunk } from "./chunk-memory.ts";
import type { Flight } from "./flight.ts";

export interface DirtyRange {
  offset: number;
  length: number;
  chunk: Chunk;
  at: number;
  flight: Flight | undefined;
}

export interface Stretch {
  readonly ranges: DirtyRange[];
  openBytes: number;
  /** With so many ranges it is sealed, however little is in it. */
  sealAt: number;
}

/** How many ranges a stretch may get before it is sealed: inserting moves half of them. */
export const rangesPerStretchMax = 4096;

export function emptyStretch(): Stretch {
  return { ranges: [], openBytes: 0, sealAt: rangesPerStretchMax };
}

export function isChangeable(range: DirtyRange): boolean {
  return range.flight === undefined && range.chunk.readers === 0;
}
