/** What src/vfs/SEMANTICS.md lets differ from ext4 while a cluster has two mounts, as narrowly as can be told. */
import { readlinkSync } from "node:fs";
import { SysError } from "../conformance/libc/calls.ts";
import { sys } from "../conformance/libc/sys.ts";
import type { Side } from "./side.ts";

/**
 * The descriptor in a slot, to change attributes through it. Whether a user who is not root may do that, the kernel
 * decides by the attributes that it saw last: another mount may have changed the owner since.
 */
export function descriptorToChange(side: Side, slot: number): number {
  const fd = side.fd(slot);
  if (side.roots.length > 1 && process.geteuid?.() !== 0) sys.fstat(fd);
  return fd;
}

/** The descriptor in a slot, to copy from: the kernel copies up to the size that it saw last. */
export function descriptorToCopy(side: Side, slot: number): number {
  const fd = side.fd(slot);
  if (side.roots.length > 1) sys.fstat(fd);
  return fd;
}

/** A rename of what another mount has moved, and what is in use here: only after it was looked at. */
export function renaming(side: Side, from: string, to: string, run: (from: Buffer, to: Buffer) => void): void {
  const paths = [side.path(from), side.path(to)] as const;
  try {
    run(...paths);
  } catch (error) {
    if (side.roots.length < 2 || !(error instanceof SysError) || error.errno !== "ESTALE") throw error;
    if (!paths.map((path) => isInUse(side, path)).includes(true)) throw error;
    run(...paths);
  }
}

/** Something is open at or below the path. Looks at it, so that the kernel knows its descriptors' paths. */
function isInUse(side: Side, path: Buffer): boolean {
  try {
    sys.lstat(path);
  } catch (error) {
    if (error instanceof SysError) return false;
    throw error;
  }
  const prefix = path.toString("latin1");
  return [...side.open.values()].some(({ fd }) => {
    const place = readlinkSync(`/proc/self/fd/${String(fd)}`, "latin1");
    return place === prefix || place.startsWith(`${prefix}/`) || place.startsWith(`${prefix} `);
  });
}
