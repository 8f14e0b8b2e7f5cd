/**
 * Reads the records of a segment one after the other, without the index. Damage is skipped to the next page that begins
 * a valid record: payload is never looked at where heads are whole.
 */
import type { NodeId } from "../base/ids.ts";
import { firstBadUnit } from "../base/checksum.ts";
import { decodeHead, headBytesMax, looksLikeHead, pageBytes, recordBytes, type Head } from "./record.ts";
import type { SegmentFiles } from "./segment-files.ts";

/** Small records share a read; behind a large one the next read begins at the next head. */
const windowBytes = 64 * 1024;

export type Scanned =
  | { readonly kind: "record"; readonly head: Head }
  | { readonly kind: "damage"; readonly offset: number; readonly bytes: number };

export interface ScanRange {
  readonly node: NodeId;
  readonly segment: number;
  readonly from: number;
  /** The file's size. */
  readonly end: number;
}

/** Heads are views that are valid until the next step. */
export async function* scanSegment(files: SegmentFiles, range: ScanRange): AsyncGenerator<Scanned> {
  const { node, segment, end } = range;
  const memory = Buffer.allocUnsafe(windowBytes);
  let window = memory.subarray(0, 0);
  let windowAt = range.from;
  let damagedFrom: number | undefined;
  let offset = range.from;
  while (offset < end) {
    const isInside = offset >= windowAt && offset + Math.min(headBytesMax, end - offset) <= windowAt + window.length;
    if (!isInside) {
      const got = await files.read(segment, memory.subarray(0, Math.min(windowBytes, end - offset)), offset);
      window = memory.subarray(0, got);
      windowAt = offset;
      if (got < Math.min(pageBytes, end - offset)) break;
    }
    const at = window.subarray(offset - windowAt);
    const head = at.length >= pageBytes && looksLikeHead(at, 0) ? decodeHead(at, { node, segment, offset }) : undefined;
    if (head === undefined || offset + recordBytes(head.location.length) > end) {
      damagedFrom ??= offset;
      offset += pageBytes;
      continue;
    }
    if (damagedFrom !== undefined) yield { kind: "damage", offset: damagedFrom, bytes: offset - damagedFrom };
    damagedFrom = undefined;
    yield { kind: "record", head };
    offset += recordBytes(head.location.length);
  }
  const damaged = damagedFrom ?? offset;
  if (damaged < end) yield { kind: "damage", offset: damaged, bytes: end - damaged };
}

/** Whether a record's payload matches its checksums. */
export function isWhole(head: Head, payload: Buffer): boolean {
  return firstBadUnit(head.block, payload, head.checksums) === -1;
}
