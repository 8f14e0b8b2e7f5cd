/** What one request wants of its inodes: each inode once, with all that was asked of it. */
import type { LeaseLevel } from "../../protocol/leases.ts";
import { joined } from "./scopes.ts";
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

function both(one: Want, other: Want): Want {
  const changes = one.changes === undefined ? other.changes : joined(one.changes, other.changes ?? []);
  const range = one.range === undefined || other.range === undefined ? undefined : hull(one.range, other.range);
  const open = one.open === "writing" ? one.open : (other.open ?? one.open);
  return {
    ino: one.ino,
    level: higher(one.level, other.level),
    insist: one.insist === true || other.insist === true,
    ...(changes === undefined ? {} : { changes }),
    ...(range === undefined ? {} : { range }),
    ...(open === undefined ? {} : { open }),
  };
}

function higher(one: LeaseLevel, other: LeaseLevel): LeaseLevel {
  if (one === "exclusive" || other === "exclusive") return "exclusive";
  return one === "shared" ? one : other;
}

type Range = NonNullable<Want["range"]>;

function hull(one: Range, other: Range): Range {
  const offset = Math.min(one.offset, other.offset);
  return { offset, length: Math.max(one.offset + one.length, other.offset + other.length) - offset };
}
