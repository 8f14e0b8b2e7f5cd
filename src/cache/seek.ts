/** SEEK_DATA and SEEK_HOLE over a file's extents and its unwritten data. */
import { FsError } from "../base/errno.ts";
import { extentEnd } from "../protocol/extents.ts";
import type { DirtyRanges } from "./dirty-ranges.ts";
import type { ExtentSource } from "./file-reader.ts";

export interface SeekOptions {
  readonly extents: ExtentSource;
  readonly dirty: DirtyRanges;
  /** Asked anew after each wait. */
  readonly size: () => number;
  readonly stretchBytes: number;
}

const data = 3;

/** The first data (whence 3) or hole (4) at or after `offset`; the end of the file is a hole. ENXIO past the end. */
export async function seekContent(offset: number, whence: 3 | 4, options: SeekOptions): Promise<number> {
  const { extents, dirty, size, stretchBytes } = options;
  for (let position = offset; ;) {
    if (offset >= size()) throw new FsError("ENXIO", `offset ${String(offset)} is past the end of the file`);
    if (position >= size()) {
      if (whence === data) throw new FsError("ENXIO", `no data after offset ${String(offset)}`);
      return size();
    }
    const end = Math.min((Math.floor(position / stretchBytes) + 1) * stretchBytes, size());
    const known = extents.lookup(position, end);
    if (known === undefined) {
      await extents.ensure(position, end);
      continue;
    }
    const covered = [...known.map((extent) => ({ start: extent.offset, end: extentEnd(extent) }))];
    for (const range of dirty.overlapping(position, end)) {
      covered.push({ start: range.offset, end: range.offset + range.length });
    }
    covered.sort((a, b) => a.start - b.start);
    if (whence === data) {
      const [first] = covered;
      if (first !== undefined) return Math.max(position, first.start);
      position = end;
      continue;
    }
    let dataEnd = position;
    for (const { start, end: rangeEnd } of covered) if (start <= dataEnd) dataEnd = Math.max(dataEnd, rangeEnd);
    if (dataEnd < end) return dataEnd;
    position = end;
  }
}
