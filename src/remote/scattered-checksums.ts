/** The checksums of a block whose bytes lie in several pieces: units may cross from one piece to the next. */
import { blockChecksums } from "../base/checksum.ts";
import type { BlockId } from "../base/ids.ts";
import { limits } from "../base/limits.ts";

const unit = limits.checksumUnitBytes;

/** As `blockChecksums` of the concatenation of `pieces`, copying only units that cross a boundary. Fresh. */
export function scatteredChecksums(block: BlockId, pieces: readonly Uint8Array[]): Buffer {
  const [only] = pieces;
  if (only !== undefined && pieces.length === 1) return blockChecksums(block, only);
  const sums: Buffer[] = [];
  let units = 0;
  const add = (bytes: Uint8Array): void => {
    const part = blockChecksums(block, bytes, units);
    units += part.length / 4;
    sums.push(part);
  };
  const crossing = Buffer.allocUnsafe(unit);
  let filled = 0;
  for (const piece of pieces) {
    let start = 0;
    if (filled > 0) {
      start = Math.min(unit - filled, piece.length);
      crossing.set(piece.subarray(0, start), filled);
      filled += start;
      if (filled < unit) continue;
      add(crossing);
    }
    const end = piece.length - ((piece.length - start) % unit);
    if (end > start) add(piece.subarray(start, end));
    crossing.set(piece.subarray(end));
    filled = piece.length - end;
  }
  if (filled > 0) add(crossing.subarray(0, filled));
  return Buffer.concat(sums);
}
