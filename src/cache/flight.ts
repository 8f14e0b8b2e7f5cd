/**
 * Dirty data on its way to the server: one flight is one block, or one small set of inline pieces. Here is how open
 * ranges become flights (pure), and what a flight is in.
 *
 * Invariant: a flight's bytes do not change until it has settled; the chunks under them are held for it.
 */
import type { Nanos } from "../base/attributes.ts";
import type { Extent } from "../protocol/types.ts";
import type { WrittenBlock } from "../remote/types.ts";
import type { Chunk } from "./chunk-memory.ts";

/** Dirty bytes in memory: a file range and where it is in its chunk. */
export interface DirtyPiece {
  readonly offset: number;
  readonly length: number;
  readonly chunk: Chunk;
  /** First byte within the chunk. */
  readonly at: number;
}

export interface Flight {
  readonly kind: "block" | "inline";
  /** In order of offset, not overlapping, together at most one block. */
  readonly pieces: readonly DirtyPiece[];
  readonly bytes: number;
  /** File range around all pieces. */
  readonly start: number;
  readonly end: number;
  /** queued: its block is not durable yet. */
  state: "queued" | "ready" | "settled";
  block: WrittenBlock | undefined;
  /** How often its block had to be written again because a group's epoch moved. */
  rewrites: number;
  /** Somebody waits for it. */
  urgent: boolean;
  /** When set, offsets count from the end of the file, and this is told where that was. */
  readonly appended: ((offset: number) => void) | undefined;
  /** The write that made it fails with it: its data is not kept for another try. */
  readonly writeThrough: boolean;
  /** mtime of the file when the flight was formed; undefined after a setattr of mtime. */
  time: Nanos | undefined;
  readonly clearPrivileges: boolean;
  /** Writes of the file up to this one are in it or in earlier flights. */
  readonly writes: number;
  /** Block writes and requests that read its bytes now; its chunks are dropped when there are none and it has settled. */
  users: number;
  error: Error | undefined;
  /** Never rejects: the error that it failed with. Nobody reads its bytes any more. */
  readonly done: Promise<Error | undefined>;
  readonly settle: (error: Error | undefined) => void;
}

export type FlightTerms = Pick<Flight, "appended" | "writeThrough" | "time" | "clearPrivileges" | "writes" | "urgent">;

export function createFlight(kind: Flight["kind"], pieces: readonly DirtyPiece[], terms: FlightTerms): Flight {
  let settle: Flight["settle"] = () => undefined;
  const done = new Promise<Error | undefined>((resolve) => (settle = resolve));
  const last = pieces[pieces.length - 1];
  let bytes = 0;
  for (const piece of pieces) bytes += piece.length;
  return {
    ...terms,
    kind,
    pieces,
    bytes,
    start: pieces[0]?.offset ?? 0,
    end: last === undefined ? 0 : last.offset + last.length,
    state: kind === "inline" ? "ready" : "queued",
    block: undefined,
    rewrites: 0,
    users: 0,
    error: undefined,
    done,
    settle,
  };
}

export interface FlightLimits {
  readonly blockBytesMax: number;
  readonly extentsPerMessageMax: number;
  readonly inlineBytesMax: number;
  readonly inlineBytesPerRequestMax: number;
}

/** Ranges of a large file that still travel inline in one request. */
const scatteredInlineRangesMax = 16;

export interface Packed {
  readonly kind: "block" | "inline";
  readonly pieces: DirtyPiece[];
}

/** The file that pieces are of. */
export interface PackedFile {
  /** Its size with them. */
  readonly bytes: number;
  /** No storage node has space. Then what is no small file does not go to the metadata either: it is to wait, or to fail. */
  readonly isFull: boolean;
}

/** Cuts pieces (in order) into blocks, or one inline flight when all of it is small. */
export function packPieces(pieces: readonly DirtyPiece[], file: PackedFile, limits: FlightLimits): Packed[] {
  if (isSmall(pieces, file, limits)) {
    return [{ kind: "inline", pieces: [...pieces] }];
  }
  const packed: Packed[] = [];
  let current: DirtyPiece[] = [];
  let bytes = 0;
  let runs = 0;
  let end = -1;
  const close = (): void => {
    if (current.length > 0) packed.push({ kind: "block", pieces: current });
    current = [];
    bytes = 0;
    runs = 0;
    end = -1;
  };
  for (const piece of pieces) {
    const full = bytes + piece.length > limits.blockBytesMax;
    if (full || (piece.offset !== end && runs === limits.extentsPerMessageMax)) close();
    if (piece.offset !== end) runs++;
    current.push(piece);
    bytes += piece.length;
    end = piece.offset + piece.length;
  }
  close();
  return packed;
}

function isSmall(pieces: readonly DirtyPiece[], file: PackedFile, limits: FlightLimits): boolean {
  if (file.isFull && file.bytes > limits.inlineBytesMax) return false;
  if (pieces.length > limits.extentsPerMessageMax) return false;
  let total = 0;
  let ranges = 0;
  let range = 0;
  let end = -1;
  for (const { offset, length } of pieces) {
    total += length;
    if (total > limits.inlineBytesPerRequestMax) return false;
    if (offset === end) range += length;
    else {
      ranges++;
      range = length;
    }
    end = offset + length;
    if (range > limits.inlineBytesMax) return false;
  }
  return ranges <= scatteredInlineRangesMax || file.bytes <= limits.inlineBytesMax;
}

function pieceBytes(piece: DirtyPiece): Buffer {
  return piece.chunk.bytes.subarray(piece.at, piece.at + piece.length);
}

/** The payload of a block flight, without copies; neighbours in a chunk are one. */
export function payloadOf(pieces: readonly DirtyPiece[]): Buffer[] {
  const payload: Buffer[] = [];
  let chunk: Chunk | undefined;
  let start = 0;
  let end = 0;
  const close = (): void => {
    if (chunk !== undefined) payload.push(chunk.bytes.subarray(start, end));
  };
  for (const piece of pieces) {
    if (piece.chunk === chunk && piece.at === end) {
      end += piece.length;
      continue;
    }
    close();
    ({ chunk, at: start } = piece);
    end = start + piece.length;
  }
  close();
  return payload;
}

/** The extents of a flight whose block (if it has one) is durable. Inline content: views, or copies by `copy`. */
export function extentsOf(flight: Flight, limits: FlightLimits, mayCopy: (bytes: number) => boolean): Extent[] {
  return flight.block === undefined
    ? inlineExtents(flight.pieces, limits.inlineBytesMax, mayCopy)
    : blockExtents(flight.pieces, flight.block);
}

function blockExtents(pieces: readonly DirtyPiece[], { block }: WrittenBlock): Extent[] {
  const extents: Extent[] = [];
  let blockOffset = 0;
  for (let i = 0; i < pieces.length;) {
    const offset = pieces[i]?.offset ?? 0;
    let length = 0;
    for (let next = pieces[i]; next !== undefined && next.offset === offset + length; next = pieces[i]) {
      length += next.length;
      i++;
    }
    extents.push({ kind: "block", offset, length, block, blockOffset });
    blockOffset += length;
  }
  return extents;
}

/** Neighbours become one extent where a copy is allowed and they fit together. */
function inlineExtents(
  pieces: readonly DirtyPiece[],
  inlineBytesMax: number,
  mayCopy: (bytes: number) => boolean,
): Extent[] {
  const extents: Extent[] = [];
  for (let i = 0; i < pieces.length;) {
    const run: DirtyPiece[] = [];
    let length = 0;
    const offset = pieces[i]?.offset ?? 0;
    for (let next = pieces[i]; next !== undefined; next = pieces[i]) {
      if (next.offset !== offset + length || length + next.length > inlineBytesMax) break;
      run.push(next);
      length += next.length;
      i++;
    }
    const views = payloadOf(run);
    const [only] = views;
    if (views.length === 1 && only !== undefined) extents.push({ kind: "inline", offset, length, content: only });
    else if (mayCopy(length)) extents.push({ kind: "inline", offset, length, content: Buffer.concat(views, length) });
    else {
      for (const piece of run) {
        extents.push({ kind: "inline", offset: piece.offset, length: piece.length, content: pieceBytes(piece) });
      }
    }
  }
  return extents;
}
