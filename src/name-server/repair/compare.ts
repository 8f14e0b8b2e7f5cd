/**
 * What a storage node holds of a group, compared with the block records: what it lacks, and what nobody names. Pure; for
 * nodes that return, and for the periodic look for blocks that nobody names.
 *
 * Nothing is said about a block that may yet be named: whoever takes numbers of a group keeps a range record until every
 * number of it is named or given up. An answer of the node is older than the moment in which it is compared, so a page of
 * records is taken before the node is asked, and looked at again afterwards.
 */
import type { GroupId } from "../../base/ids.ts";
import { blockOfKey, keys } from "../../metadata-store/keys.ts";
import {
  decodeBlock,
  decodeGroup,
  decodeRange,
  decodeReclaim,
  detachedFirst,
  isNamed,
} from "../../metadata-store/records.ts";
import type { MetadataReader } from "../../metadata-store/types.ts";

export interface Numbered {
  readonly number: number;
  /** Bytes: of a record the greatest end that was named, of a stored block all of it. */
  readonly length: number;
}

/** The records of a group's blocks from number `first` on. Fewer than `limit`: there are no more. */
export function blockRecords(reader: MetadataReader, group: GroupId, first: number, limit: number): Numbered[] {
  const bounds = { gte: keys.block({ group, number: first }), lt: endOf(group), limit };
  return Array.from(reader.range(bounds), ([key, value]) => ({
    number: blockOfKey(key).number,
    length: decodeBlock(value).length,
  }));
}

export interface Comparison {
  /** Up to here (inclusive) the two are compared; Infinity: to the end of the group. */
  readonly to: number;
  /** Named, and not there or too short. */
  readonly lacking: readonly Numbered[];
  /** There, and named by nobody now or ever again, and not in the reclaim queue: may be deleted. */
  readonly unnamed: readonly number[];
  /** There, and not named yet: of a range that a session has. */
  readonly open: readonly number[];
}

/**
 * `records`: of `blockRecords` with `limit`, taken before the node was asked for `held`, which are its blocks from the
 * same `first` on, at most `limit` too. `queued`: the group's blocks in the reclaim queue.
 */
export function compareBlocks(
  reader: MetadataReader,
  group: GroupId,
  page: {
    readonly limit: number;
    readonly records: readonly Numbered[];
    readonly held: readonly Numbered[];
    readonly queued: () => ReadonlySet<number>;
  },
): Comparison {
  const { limit, records, held } = page;
  const to = Math.min(endOfPage(records, limit), endOfPage(held, limit));
  const lengths = new Map(held.map(({ number, length }) => [number, length]));
  const isStillNamed = (number: number): boolean => reader.get(keys.block({ group, number })) !== undefined;
  const lacking = records.filter(
    ({ number, length }) => number <= to && (lengths.get(number) ?? 0) < length && isStillNamed(number),
  );
  const unnamed: number[] = [];
  const open: number[] = [];
  const next = nextNumber(reader, group);
  for (const { number } of held) {
    if (number > to || isStillNamed(number)) continue;
    if (number >= next || isOpen(reader, group, number)) open.push(number);
    else if (!page.queued().has(number)) unnamed.push(number);
  }
  return { to, lacking, unnamed, open };
}

/** The numbers of a group's blocks that wait in the reclaim queue: reads the whole queue. */
export function queuedNumbers(reader: MetadataReader, group: GroupId): Set<number> {
  const found = new Set<number>();
  for (const [, value] of reader.range({ gte: keys.reclaim(0), lt: keys.reclaim(detachedFirst) })) {
    const record = decodeReclaim(value);
    if (record.kind !== "blocks") continue;
    for (const block of record.blocks) if (block.group === group) found.add(block.number);
  }
  return found;
}

function nextNumber(reader: MetadataReader, group: GroupId): number {
  const value = reader.get(keys.group(group));
  return value === undefined ? 0 : decodeGroup(value).nextNumber;
}

/** Whether a range has the number, and it was not named yet. */
function isOpen(reader: MetadataReader, group: GroupId, number: number): boolean {
  const bounds = { gte: keys.range(group, 0), lt: keys.range(group, number) + "\0", reverse: true, limit: 1 };
  for (const [key, value] of reader.range(bounds)) {
    const range = decodeRange(value);
    const index = number - blockOfKey(key).number;
    return index < range.count && !isNamed(range, index);
  }
  return false;
}

function endOfPage(page: readonly Numbered[], limit: number): number {
  return page.length < limit ? Infinity : (page.at(-1)?.number ?? Infinity);
}

function endOf(group: GroupId): string {
  return keys.block({ group, number: 2 ** 48 - 1 }) + "\0";
}
