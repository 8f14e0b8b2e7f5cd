/**
 * Inodes and what hangs on them: xattrs, symlink targets, orphan records, and the numbers that count inodes. What leads
 * from an inode to something is looked at here; sums over directories and contents are in check-names.ts and
 * check-contents.ts, unless there is nothing to add up.
 */
import { isDirectory, isRegular, isSymlink } from "../../base/attributes.ts";
import type { Ino } from "../../base/ids.ts";
import { inoOfKey, keys, xattrNameOfKey } from "../../metadata-store/keys.ts";
import {
  decodeCounter,
  decodeInode,
  decodeOrphan,
  decodeXattr,
  inodeXattrsMask,
  type InodeRecord,
} from "../../metadata-store/records.ts";
import { flagOf } from "../namespace/xattr-store.ts";
import { reportTotals } from "./check-names.ts";
import { decoded, inodeOf } from "./records.ts";
import { fixUsed } from "./repair-contents.ts";
import {
  fixCount,
  fixTargetSize,
  fixXattrs,
  releaseFrom,
  removeBrokenXattrs,
  removeKey,
  removeKeys,
  reserveInodes,
} from "./repair-inodes.ts";
import { removeTargetless, removeUnnamed } from "./repair-names.ts";
import type { Check } from "./types.ts";
import { each, hasAny } from "./walk.ts";

/** What the inodes tell to later passes. */
export interface Inodes {
  /** Contents that do not have their inode's number. */
  readonly moved: Map<number, Ino>;
  /** Whether `moved` has all of them. */
  isWhole: boolean;
}

export async function checkInodes(check: Check): Promise<Inodes> {
  const { state, report, counts } = check;
  const moved = new Map<number, Ino>();
  const inodes = { moved, isWhole: true };
  let greatest = 0;
  await each(check, "i", (key, value) => {
    const ino = inoOfKey(key);
    counts.inodes++;
    greatest = Math.max(greatest, ino);
    const record = decoded(check, key, () => decodeInode(value));
    if (record === undefined) return;
    checkInode(check, ino, record);
    if (!isRegular(record.mode) || record.content === ino) return;
    greatest = Math.max(greatest, record.content);
    const other = moved.get(record.content);
    const owner = inodeOf(state, record.content);
    if (other !== undefined || (owner !== undefined && owner.content === record.content && isRegular(owner.mode))) {
      const text = `inode ${String(ino)} has the content of inode ${String(other ?? record.content)}: copy one, remove both`;
      report({ text, about: { kind: "inode", ino } });
    } else if (moved.size < check.stretch) moved.set(record.content, ino);
    else inodes.isWhole = false;
  });
  checkCounters(check, greatest);
  return inodes;
}

function checkInode(check: Check, ino: Ino, record: InodeRecord): void {
  const { state, report } = check;
  const about = { kind: "inode", ino } as const;
  const at = `inode ${String(ino)}`;
  if (record.nlink === 0 && state.get(keys.orphan(ino)) === undefined) {
    const text = `${at} has no name, and nobody's claim keeps it`;
    report({ text, about, repair: removeUnnamed(ino, record) });
  }
  if (isSymlink(record.mode) && state.get(keys.symlink(ino)) === undefined) {
    report({ text: `${at} is a symlink without target`, about, repair: removeTargetless(ino, record) });
  }
  if (isDirectory(record.mode) && !hasAny(check, keys.entriesFrom(ino, 0).slice(0, 9)) && record.nlink > 0) {
    reportTotals(check, ino, record, { size: 0, nlink: 2 });
  }
  if (isRegular(record.mode) && record.bytesUsed > 0 && !hasAny(check, keys.extent(record.content, 0).slice(0, 9))) {
    const text = `${at} has ${String(record.bytesUsed)} bytes in use, and no extents`;
    report({ text, about, repair: fixUsed(ino, record.content) });
  }
  const hasFlags = (record.flags & inodeXattrsMask) !== 0;
  if ((record.xattrCount > 0 || hasFlags) && !hasAny(check, keys.xattrsFrom(ino))) {
    report({ text: `${at} says it has xattrs, and has none`, about, repair: fixXattrs(ino) });
  }
}

function checkCounters({ state, report, counts }: Check, greatest: number): void {
  const counted = state.get(keys.config("inodes"));
  const count = counted === undefined ? 0 : decodeCounter(counted);
  if (count !== counts.inodes) {
    report({
      text: `${String(count)} inodes are counted, and ${String(counts.inodes)} are there`,
      about: { kind: "none" },
      repair: fixCount(counts.inodes - count),
    });
  }
  const reserved = state.get(keys.config("inosReserved"));
  const below = reserved === undefined ? 2 : decodeCounter(reserved);
  if (greatest < below) return;
  const text = `inode numbers are handed out from ${String(below)} on, and ${String(greatest)} is in use`;
  report({ text, about: { kind: "none" }, repair: reserveInodes(greatest) });
}

export async function checkXattrs(check: Check): Promise<void> {
  let sums: { readonly ino: Ino; found: number; pieces: number; flags: number } | undefined;
  const finish = (): void => {
    if (sums === undefined) return;
    const { ino, found, pieces, flags } = sums;
    const record = inodeOf(check.state, ino);
    const about = { kind: "inode", ino } as const;
    if (record === undefined) {
      const text = `xattrs of inode ${String(ino)}, which is not there`;
      check.report({ text, about: { kind: "none" }, repair: removeKeys(keys.xattrsFrom(ino), ino) });
      return;
    }
    if (found !== pieces) {
      const text = `pieces of an xattr of inode ${String(ino)} are missing`;
      check.report({ text, about, repair: removeBrokenXattrs(ino) });
      return;
    }
    if (record.xattrCount === pieces && flags === (record.flags & inodeXattrsMask)) return;
    const text = `inode ${String(ino)} counts ${String(record.xattrCount)} pieces of xattrs, and has ${String(pieces)}`;
    check.report({ text, about, repair: fixXattrs(ino) });
  };
  await each(check, "x", (key, value) => {
    const ino = inoOfKey(key);
    if (sums?.ino !== ino) {
      finish();
      sums = { ino, found: 0, pieces: 0, flags: 0 };
    }
    sums.found++;
    const name = xattrNameOfKey(key);
    if (name === undefined) return;
    sums.pieces += decoded(check, key, () => decodeXattr(value))?.pieces ?? 1;
    sums.flags |= flagOf(name);
  });
  finish();
}

export function checkTargets(check: Check): Promise<void> {
  return each(check, "s", (key, value) => {
    const ino = inoOfKey(key);
    const record = inodeOf(check.state, ino);
    if (record === undefined || !isSymlink(record.mode)) {
      const text = `a symlink's target belongs to inode ${String(ino)}, which is no symlink`;
      check.report({ text, about: { kind: "inode", ino }, repair: removeKey(key, ino) });
    } else if (record.size !== value.length) {
      const text = `symlink ${String(ino)} has size ${String(record.size)}, its target ${String(value.length)} bytes`;
      check.report({ text, about: { kind: "inode", ino }, repair: fixTargetSize(ino) });
    }
  });
}

export function checkOrphans(check: Check): Promise<void> {
  const { state, report } = check;
  return each(check, "o", (key, value) => {
    const ino = inoOfKey(key);
    const about = { kind: "inode", ino } as const;
    const orphan = decoded(check, key, () => decodeOrphan(value));
    if (orphan === undefined) return;
    const record = inodeOf(state, ino);
    if (record === undefined || record.nlink > 0) {
      const what = record === undefined ? "is not there" : "has a name";
      const text = `inode ${String(ino)} is kept as an orphan, and ${what}`;
      report({ text, about, repair: removeKey(key, ino) });
      return;
    }
    // What an ended session leaves is released in steps: it is damage only if it is still there, and nobody at it.
    const living = check.living.get(key);
    const kept = living === undefined ? [] : decodeOrphan(living).sessions;
    const departed = orphan.sessions.filter(
      (session) =>
        state.get(keys.session(session)) === undefined && kept.includes(session) && check.hasDeparted(session),
    );
    if (orphan.sessions.length > 0 && departed.length === 0) return;
    const text =
      orphan.sessions.length === 0
        ? `inode ${String(ino)} has no name, and is kept for nobody`
        : `inode ${String(ino)} has no name, and is kept for sessions that have ended (${departed.join()})`;
    report({ text, about, repair: releaseFrom(ino, departed) });
  });
}
