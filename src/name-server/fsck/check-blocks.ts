/**
 * Blocks: each record counts exactly the extents that name it; nothing that is named is queued for deletion, or may be
 * named a second time; the numbers of a group that are in use lie below the next one to be handed out. A pack record is of
 * a block that several contents name.
 *
 * Extents come in the order of files, so they are read once for each stretch of block records that fits the memory.
 */
import { blockName, type BlockId, type GroupId } from "../../base/ids.ts";
import { blockOfKey, groupOfKey, keys } from "../../metadata-store/keys.ts";
import {
  decodeBlock,
  decodeExtent,
  decodeGroup,
  decodeRange,
  decodeReclaim,
  isNamed,
} from "../../metadata-store/records.ts";
import type { Key } from "../../metadata-store/types.ts";
import { decoded } from "./records.ts";
import { fixBlock, isPack, isPacked, markNamed, releaseDeparted, removePack, unqueue } from "./repair-blocks.ts";
import type { Check } from "./types.ts";
import { each } from "./walk.ts";

export async function checkAccounts(check: Check): Promise<void> {
  for (let from: Key | undefined = "b"; from !== undefined;) {
    const stretch = await readStretch(check, from);
    await countExtents(check, stretch);
    report(check, stretch);
    from = stretch.next;
  }
}

interface Stretch {
  readonly first: Key;
  /** Where the next stretch begins; undefined: this is the last one. */
  next: Key | undefined;
  /** In order. */
  readonly keys: Key[];
  readonly sums: Map<Key, Sum>;
}

interface Sum {
  references: number;
  liveBytes: number;
  end: number;
}

async function readStretch(check: Check, first: Key): Promise<Stretch> {
  const stretch: Stretch = { first, next: undefined, keys: [], sums: new Map() };
  await each(check, "b", (key) => {
    if (key < first || stretch.next !== undefined) return;
    if (stretch.keys.length === check.stretch) stretch.next = key;
    else stretch.keys.push(key);
  });
  return stretch;
}

async function countExtents(check: Check, { first, next, sums }: Stretch): Promise<void> {
  let named = 0;
  await each(check, "e", (key, value) => {
    const extent = decoded({ report: () => undefined }, key, () => decodeExtent(value));
    if (extent?.kind !== "block") return;
    const block = keys.block(extent.block);
    if (block < first || (next !== undefined && block >= next)) return;
    const end = extent.blockOffset + extent.length;
    const sum = sums.get(block);
    if (sum !== undefined) {
      sum.references++;
      sum.liveBytes += extent.length;
      sum.end = Math.max(sum.end, end);
      return;
    }
    // A lost table of records must not fill the memory.
    if (named++ > check.stretch * 2) return;
    sums.set(block, { references: 1, liveBytes: extent.length, end });
  });
}

function report(check: Check, { keys: records, sums }: Stretch): void {
  const { state } = check;
  for (const key of records) {
    check.counts.blocks++;
    const value = state.get(key);
    const record = value === undefined ? undefined : decoded(check, key, () => decodeBlock(value));
    const sum = sums.get(key);
    sums.delete(key);
    if (value === undefined || record === undefined) continue;
    const right = sum ?? { references: 0, liveBytes: 0, end: 0 };
    const isRight =
      right.references === record.references && right.liveBytes === record.liveBytes && right.end <= record.length;
    if (isRight && right.references > 0) continue;
    const block = blockOfKey(key);
    const text =
      `block ${blockName(block)} counts ${String(record.references)} extents with ${String(record.liveBytes)} bytes up to ` +
      `${String(record.length)}; ${String(right.references)} name it, with ${String(right.liveBytes)} up to ${String(right.end)}`;
    check.report({ text, about: { kind: "block", block }, repair: fixBlock(block, value, right) });
  }
  for (const [key, sum] of sums) {
    const block = blockOfKey(key);
    const text = `block ${blockName(block)} is named by ${String(sum.references)} extents, and has no record`;
    check.report({ text, about: { kind: "block", block }, repair: fixBlock(block, undefined, sum) });
  }
}

export function checkQueue(check: Check): Promise<void> {
  const { state } = check;
  return each(check, "q", (key, value) => {
    const record = decoded(check, key, () => decodeReclaim(value));
    if (record?.kind !== "blocks") return;
    for (const block of record.blocks) {
      if (state.get(keys.block(block)) === undefined) continue;
      const text = `block ${blockName(block)} is queued for deletion, and is named`;
      check.report({ text, about: { kind: "block", block }, repair: unqueue(key, block) });
    }
  });
}

/** Pack records are hints, by which cleaning finds the extents of a block of several contents; they go with its record. */
export function checkPacks(check: Check): Promise<void> {
  const { state } = check;
  return each(check, "p", (key, value) => {
    const block = blockOfKey(key);
    const say = (text: string): void => {
      check.report({ text, about: { kind: "block", block }, repair: removePack(block) });
    };
    const name = `the pack record of block ${blockName(block)}`;
    const record = state.get(keys.block(block));
    if (record === undefined) say(`${name} is of a block that nothing names`);
    else if (!isPack(value)) say(`${name} has no known form`);
    else if (!isPacked(record)) say(`${name} is of a block of one content`);
  });
}

/** Numbers that were handed out, and numbers in use. */
export async function checkRanges(check: Check): Promise<void> {
  const { state, report: say } = check;
  await each(check, "r", (key, value) => {
    const range = decoded(check, key, () => decodeRange(value));
    if (range === undefined) return;
    const first = blockOfKey(key);
    const { session } = range;
    for (let i = 0; i < range.count; i++) {
      const block: BlockId = { group: first.group, number: first.number + i };
      if (isNamed(range, i) || state.get(keys.block(block)) === undefined) continue;
      const text = `block ${blockName(block)} is named, and session ${session} may name it again`;
      say({ text, about: { kind: "block", block }, repair: markNamed(key, i) });
    }
    const isLeft = state.get(keys.session(session)) === undefined && check.hasDeparted(session);
    if (!isLeft || check.living.get(key) === undefined) return;
    const text = `${String(range.count)} block numbers from ${blockName(first)} on belong to session ${session}, which has ended`;
    say({ text, about: { kind: "none" }, repair: releaseDeparted(session) });
  });
  const greatest = new Map<GroupId, number>();
  await each(check, "b", (key) => {
    const { group, number } = blockOfKey(key);
    greatest.set(group, number);
  });
  const known = new Set<GroupId>();
  await each(check, "g", (key, value) => {
    const group = groupOfKey(key);
    known.add(group);
    const record = decoded(check, key, () => decodeGroup(value));
    const used = greatest.get(group);
    if (record === undefined || used === undefined || used < record.nextNumber) return;
    const text = `group ${String(group)} hands out numbers from ${String(record.nextNumber)} on, and ${String(used)} is in use`;
    say({ text, about: { kind: "none" } });
  });
  for (const group of greatest.keys()) {
    if (!known.has(group))
      say({ text: `there are blocks of group ${String(group)}, which is not there`, about: { kind: "none" } });
  }
}
