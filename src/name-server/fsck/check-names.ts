/**
 * Names: every entry names an inode of its type in a living directory, under its own hash; a directory's size and links
 * are what its entries add up to; every inode is named as often as it says; every directory is reached from the root.
 */
import { fileType, isDirectory } from "../../base/attributes.ts";
import { rootIno, type Ino } from "../../base/ids.ts";
import { isName, nameToText } from "../../base/name.ts";
import { entryOfKey, inoOfKey, keys } from "../../metadata-store/keys.ts";
import { decodeEntry, decodeInode, type EntryRecord, type InodeRecord } from "../../metadata-store/records.ts";
import type { Key } from "../../metadata-store/types.ts";
import { decoded, inodeOf } from "./records.ts";
import { countLinks, dropEntryAt, fixTotals, fixType, keepOneName, reattach, setParent } from "./repair-names.ts";
import type { Check } from "./types.ts";
import { each, indexIn } from "./walk.ts";

/** Entries, and the sums over each directory's. */
export async function checkEntries(check: Check): Promise<void> {
  let totals: Totals | undefined;
  await each(check, "d", (key, value) => {
    const parent = inoOfKey(key);
    if (totals?.parent !== parent) {
      if (totals !== undefined) finish(check, totals);
      totals = { parent, record: inodeOf(check.state, parent), size: 0, directories: 0 };
    }
    check.counts.entries++;
    const entry = decoded(check, key, () => decodeEntry(value));
    if (entry !== undefined) checkEntry(check, key, entry, totals);
  });
  if (totals !== undefined) finish(check, totals);
}

interface Totals {
  readonly parent: Ino;
  readonly record: InodeRecord | undefined;
  size: number;
  directories: number;
}

function checkEntry(check: Check, key: Key, entry: EntryRecord, totals: Totals): void {
  const { report, state } = check;
  const { parent } = totals;
  const { name } = entryOfKey(key);
  const about = { kind: "entry", place: { parent, name } } as const;
  const named = `inode ${String(entry.ino)}`;
  if (totals.record === undefined || !isDirectory(totals.record.mode) || totals.record.nlink === 0) {
    const text = `the entry ${nameToText(name)} (${named}) is in directory ${String(parent)}, which is not there`;
    report({ text, about: { kind: "inode", ino: entry.ino }, repair: dropEntryAt(key, parent) });
    return;
  }
  if (!isName(name) || keys.entry(parent, name) !== key) {
    report({ text: `the entry is filed under a hash that is not its name's`, about, repair: dropEntryAt(key, parent) });
    return;
  }
  const inode = inodeOf(state, entry.ino);
  if (inode === undefined) {
    report({ text: `it names ${named}, which is not there`, about, repair: dropEntryAt(key, parent) });
    return;
  }
  totals.size += 16 + name.length;
  if (isDirectory(inode.mode)) totals.directories++;
  if (entry.type !== (inode.mode & fileType.mask)) {
    report({ text: `the entry has another type than ${named}`, about, repair: fixType(key, entry.ino, parent) });
  }
  if (isDirectory(inode.mode) && inode.parent !== parent) {
    const text = `the directory says that it is in directory ${String(inode.parent)}`;
    report({ text, about: { kind: "inode", ino: entry.ino }, repair: setParent(entry.ino, { parent, name }) });
  }
}

function finish(check: Check, { parent, record, size, directories }: Totals): void {
  if (record === undefined || !isDirectory(record.mode) || record.nlink === 0) return;
  reportTotals(check, parent, record, { size, nlink: 2 + directories });
}

export function reportTotals(
  { report }: Check,
  ino: Ino,
  record: InodeRecord,
  right: { readonly size: number; readonly nlink: number },
): void {
  if (record.size === right.size && record.nlink === right.nlink) return;
  report({
    text:
      `directory ${String(ino)} has size ${String(record.size)} and ${String(record.nlink)} links, ` +
      `its entries make ${String(right.size)} and ${String(right.nlink)}`,
    about: { kind: "inode", ino },
    repair: fixTotals(ino, record, right),
  });
}

/** How often each inode is named, against what it says; for so many inodes at a time as fit the memory. */
export async function checkLinks(check: Check): Promise<void> {
  for (let first: number | undefined = 0; first !== undefined;) {
    const stretch: LinkStretch = await readLinks(check, first);
    const { inos, wanted } = stretch;
    const found = new Uint32Array(inos.length);
    await each(check, "d", (key, value) => {
      const entry = decoded({ report: () => undefined }, key, () => decodeEntry(value));
      const at = entry === undefined ? -1 : indexIn(inos, entry.ino);
      if (at >= 0) found[at] = (found[at] as number) + 1;
    });
    inos.forEach((ino, i) => {
      if (found[i] !== wanted[i]) reportLinks(check, ino as Ino, found[i] as number);
    });
    first = stretch.next;
  }
}

interface LinkStretch {
  /** Ascending, with how often each is to be named. */
  readonly inos: number[];
  readonly wanted: number[];
  /** Where the next stretch begins. */
  next: number | undefined;
}

async function readLinks(check: Check, first: number): Promise<LinkStretch> {
  const stretch: LinkStretch = { inos: [], wanted: [], next: undefined };
  await each(check, "i", (key, value) => {
    const ino = inoOfKey(key);
    if (ino < first || stretch.next !== undefined) return;
    if (stretch.inos.length === check.stretch) {
      stretch.next = ino;
      return;
    }
    const record = decoded({ report: () => undefined }, key, () => decodeInode(value));
    if (record === undefined) return;
    stretch.inos.push(ino);
    stretch.wanted.push(wantedNames(ino, record));
  });
  return stretch;
}

function wantedNames(ino: Ino, record: InodeRecord): number {
  if (!isDirectory(record.mode)) return record.nlink;
  return ino === rootIno || record.nlink === 0 ? 0 : 1;
}

function reportLinks({ state, report }: Check, ino: Ino, found: number): void {
  const record = inodeOf(state, ino);
  if (record === undefined) return;
  const about = { kind: "inode", ino } as const;
  const what = `inode ${String(ino)}`;
  if (found === 0) report({ text: `${what} has no name`, about, repair: reattach(ino, record) });
  else if (isDirectory(record.mode)) {
    const text = `directory ${String(ino)} has ${String(found)} names and ${String(record.nlink)} links`;
    report({ text, about, repair: keepOneName(ino, record) });
  } else {
    const text = `${what} has ${String(record.nlink)} links, and ${String(found)} names`;
    report({ text, about, repair: countLinks(ino, record) });
  }
}

/** Directories that are named and yet below themselves. */
export async function checkTree(check: Check): Promise<void> {
  const { state, report } = check;
  const good = new Set<number>([rootIno]);
  const reported = new Set<number>();
  await each(check, "i", (key, value) => {
    const record = decoded({ report: () => undefined }, key, () => decodeInode(value));
    if (record === undefined || !isDirectory(record.mode) || record.nlink === 0) return;
    const way = new Set<number>();
    let ino = inoOfKey(key);
    let inode: InodeRecord | undefined = record;
    while (inode !== undefined && !good.has(ino) && !way.has(ino)) {
      way.add(ino);
      ino = inode.parent as Ino;
      inode = inodeOf(state, ino);
    }
    if (good.size > check.stretch) {
      good.clear();
      good.add(rootIno);
    }
    if (good.has(ino)) for (const passed of way) good.add(passed);
    if (inode === undefined || !way.has(ino) || good.has(ino)) return;
    const circle = circleOf(way, ino);
    const least = Math.min(...circle) as Ino;
    if (reported.has(least)) return;
    reported.add(least);
    const top = inodeOf(state, least);
    if (top === undefined) return;
    const text = `directory ${String(least)} is below itself, not below the root (${String(circle.length)} directories)`;
    report({ text, about: { kind: "inode", ino: least }, repair: reattach(least, top) });
  });
}

/** The way ends where it meets itself at `at`. */
function circleOf(way: ReadonlySet<number>, at: number): number[] {
  const all = [...way];
  return all.slice(all.indexOf(at));
}
