/** Cuts a range to drop around the pages that unanswered WRITEs may keep locked: the first and the last one of each. */
import type { ByteRange } from "./inode.ts";

const pageBytes = 4096;

/** `length` 0: to the end of the file. In order; together they are the whole range, on page borders where it is cut. */
export function aroundPages(
  range: ByteRange,
  writes: Iterable<ByteRange>,
): { readonly free: readonly ByteRange[]; readonly locked: readonly ByteRange[] } {
  const end = range.length === 0 ? Infinity : range.offset + range.length;
  const pages = new Set<number>();
  for (const { offset, length } of writes) {
    pages.add(Math.floor(offset / pageBytes));
    pages.add(Math.floor((offset + length - 1) / pageBytes));
  }
  const free: ByteRange[] = [];
  const locked: ByteRange[] = [];
  let position = range.offset;
  for (const page of [...pages].sort((a, b) => a - b)) {
    const start = Math.max(page * pageBytes, position);
    const after = Math.min((page + 1) * pageBytes, end);
    if (after <= position || start >= end) continue;
    if (start > position) free.push({ offset: position, length: start - position });
    locked.push({ offset: start, length: after - start });
    position = after;
  }
  if (position < end) free.push({ offset: position, length: end === Infinity ? 0 : end - position });
  return { free, locked };
}
