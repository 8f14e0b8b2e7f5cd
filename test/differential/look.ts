/** What is compared of an inode and of whole trees, and what is not, because it differs by nature. */
import { createHash } from "node:crypto";
import type { Path } from "../conformance/libc/calls.ts";
import { O } from "../conformance/libc/constants.ts";
import { Directory } from "../conformance/libc/directory.ts";
import type { Stat } from "../conformance/libc/structures.ts";
import { sys } from "../conformance/libc/sys.ts";
import { outcomeOf, type Side } from "./side.ts";

const fileTypes = 0o170000;
const [directoryType, fileType, linkType] = [0o040000, 0o100000, 0o120000];
const started = BigInt(Date.now()) * 1_000_000n;
const hour = 3_600_000_000_000n;

/** A time that somebody set is compared exactly; one that the clock gave is only "recent". */
export function timeOf(nanos: bigint): string {
  return nanos > started - hour && nanos < started + 24n * hour ? "recent" : String(nanos);
}

/** Not compared: sizes of directories, blocks and inode numbers; atime where reads may have moved it; ctime's value. */
export function shown(stat: Stat): Record<string, unknown> {
  const type = stat.mode & fileTypes;
  return {
    mode: stat.mode.toString(8),
    nlink: stat.nlink,
    owner: `${String(stat.uid)}:${String(stat.gid)}`,
    size: type === directoryType ? "any" : String(stat.size),
    rdev: `${String(stat.rdevMajor)}:${String(stat.rdevMinor)}`,
    mtime: timeOf(stat.mtime),
    ctime: timeOf(stat.ctime),
  };
}

export function isRegular(fd: number): boolean {
  return (sys.fstat(fd).mode & fileTypes) === fileType;
}

/** Of an open regular file; else 0: sizes of directories are each filesystem's own (of a removed one it is 0 on ext4). */
export function contentBytes(fd: number): number {
  return isRegular(fd) ? Number(sys.fstat(fd).size) : 0;
}

/** Whole content, read with pread. */
export function contentOf(fd: number, size: number): Buffer {
  const parts: Buffer[] = [];
  for (let at = 0; at < size;) {
    const part = sys.pread(fd, Math.min(1 << 20, size - at), at);
    if (part.length === 0) break;
    parts.push(part);
    at += part.length;
  }
  return Buffer.concat(parts);
}

export function listing(path: Path): string[] {
  const directory = new Directory(path);
  try {
    return directory
      .readAll()
      .map((entry) => `${entry.name}:${String(entry.type)}`)
      .sort();
  } finally {
    directory.close();
  }
}

/** One line for each inode below a path: attributes, xattrs, content, and which names are the same inode. */
export function treeOf(side: Side, from: string): Map<string, string> {
  const lines = new Map<string, string>();
  const firstName = new Map<bigint, string>();
  const visit = (path: string): void => {
    const full = side.path(path);
    const stat = sys.lstat(full);
    const type = stat.mode & fileTypes;
    const same = firstName.get(stat.ino);
    if (same === undefined) firstName.set(stat.ino, path);
    const more: Record<string, unknown> = { same, xattrs: xattrsOf(full, type === linkType) };
    if (type === linkType) more["target"] = sys.readlink(full).toString("latin1");
    if (type === fileType && same === undefined) more["content"] = fileDigest(full);
    if (type === directoryType) more["names"] = listing(full);
    lines.set(path, JSON.stringify({ ...shown(stat), ...more }));
    if (type !== directoryType) return;
    for (const entry of listing(full)) {
      const name = entry.slice(0, entry.lastIndexOf(":"));
      if (name !== "." && name !== "..") visit(path === "" ? name : `${path}/${name}`);
    }
  };
  visit(from);
  return lines;
}

export function digestOf(bytes: Buffer): string {
  return `${String(bytes.length)} bytes ${createHash("md5").update(bytes).digest("hex")}`;
}

function fileDigest(path: Path): string {
  const fd = sys.open(path, O.RDONLY | O.NOATIME);
  try {
    return digestOf(contentOf(fd, Number(sys.fstat(fd).size)));
  } finally {
    sys.close(fd);
  }
}

export function xattrsOf(path: Path, isLink: boolean): Record<string, string> {
  const names = (isLink ? sys.llistxattr(path) : sys.listxattr(path)).sort();
  const read = (name: string): string =>
    (isLink ? sys.lgetxattr(path, name) : sys.getxattr(path, name)).toString("hex");
  return Object.fromEntries(names.map((name) => [name, errnoOr(() => read(name))]));
}

/** The kernel lists the ACL of an inode that it does not show on reading (a mode says all of it). */
function errnoOr(read: () => string): string {
  const outcome = outcomeOf(read);
  return "errno" in outcome ? outcome.errno : String(outcome.value);
}

/** The first difference of two trees, or undefined. */
export function treeDifference(ext4: Map<string, string>, dfs: Map<string, string>): string | undefined {
  for (const path of new Set([...ext4.keys(), ...dfs.keys()])) {
    const [a, b] = [ext4.get(path) ?? "missing", dfs.get(path) ?? "missing"];
    if (a !== b) return `${JSON.stringify(path)}: ext4 ${a}, dfs ${b}`;
  }
  return undefined;
}
