/** What one request wants of its inodes: each inode once, with all that was asked of it. */
import type { LeaseLevel } from "../../protocol/leases.ts";
import { coversAll, joined } from "./scopes.ts";
import type { Want } from "./types.ts";

export function isReading(wants: readonly Want[]): boolean {
  return wants.every(({ changes }) => changes === undefined);
}

/** rename(a, b) within one directory wants it twice. */
export function distinct(wants: readonly Want[]): readonly Want[] {
  if (wants.length < 2) return wants;
  const all: Want[] = [];
  for (const want of wants) {
    const at = all.findIndex(({ ino }) => ino === want.ino);
    const before = all[at];
    if (before === undefined) all.push(want);
    else all[at] = both(before, want);
  }
  return all;
}

/** Whether a request that had its turn with `had` has it with `needed` too: the same inodes, and no more of them. */
export function cover(had: readonly Want[], needed: readonly Want[]): boolean {
  if (had.length !== needed.length) return false;
  return needed.every(({ ino, changes, level }, at) => {
    const before = had[at];
    if (before?.ino !== ino || before.level !== level) return false;
    if (changes === undefined) return true;
    return before.changes !== undefined && coversAll(before.changes, changes);
  });
}

function both(one: Want, other: Want): Want {
  const changes = one.changes === undefined ? other.changes : joined(one.changes, other.changes ?? []);
  return {
    ino: one.ino,
    level: higher(one.level, other.level),
    insist: one.insist === true || other.insist === true,
    ...(changes === undefined ? {} : { changes }),
  };
}

function higher(one: LeaseLevel, other: LeaseLevel): LeaseLevel {
  if (one === "exclusive" || other === "exclusive") return "exclusive";
  return one === "shared" ? one : other;
}
