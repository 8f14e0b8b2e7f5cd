/** What a local file and an inode of the vfs show in common, and results and errnos as values that compare. */
import { constants, fstatSync, lstatSync } from "node:fs";
import type { Attributes } from "../../src/base/attributes.ts";
import { errnoOf } from "../../src/base/errno.ts";

/** What both sides show of an inode. Sizes of directories and times that nobody set differ by nature. */
function shown(stat: { mode: number; nlink: number; size: number; mtime: bigint }): unknown {
  const isFile = (stat.mode & constants.S_IFMT) === constants.S_IFREG;
  // Before 1980: set by utimes.
  const mtime = stat.mtime < 315_532_800_000_000_000n ? stat.mtime : "recent";
  return { mode: stat.mode, nlink: stat.nlink, size: isFile ? stat.size : 0, mtime };
}
export const ofAttributes = ({ mode, nlink, size, mtime }: Attributes): unknown => shown({ mode, nlink, size, mtime });
export function ofStat(path: string | number): unknown {
  const stat =
    typeof path === "number"
      ? fstatSync(path, { bigint: true })
      : lstatSync(path, { bigint: true, throwIfNoEntry: true });
  return shown({ mode: Number(stat.mode), nlink: Number(stat.nlink), size: Number(stat.size), mtime: stat.mtimeNs });
}

export function isSymlinkHere(path: string): boolean {
  try {
    return lstatSync(path).isSymbolicLink();
  } catch {
    return false;
  }
}
export function existsHere(path: string): boolean {
  try {
    return lstatSync(path, { throwIfNoEntry: false }) !== undefined;
  } catch {
    return false;
  }
}

export async function outcome(run: () => unknown): Promise<unknown> {
  try {
    return { result: (await run()) ?? null };
  } catch (error) {
    return { errno: errnoOf(error) };
  }
}
