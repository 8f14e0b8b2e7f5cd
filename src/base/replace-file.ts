/**
 * Replaces a small file of the root folder as a whole: after a crash it is the old or the new one, never a mixture.
 *
 * `replaceInPlace` needs not one free byte: the file before the present one stays as `<path>.new`, and is written over the
 * next time. A node that may not write down a new epoch could do nothing at all, not even delete what would make room.
 */
import type { Disk } from "./disk.ts";
import { errnoOf } from "./errno.ts";

export async function replaceFile(disk: Disk, path: string, pieces: readonly Buffer[]): Promise<void> {
  const next = `${path}.new`;
  if (await disk.exists(next)) await disk.remove(next);
  const file = await disk.open(next, "create");
  try {
    await file.write(pieces, 0);
    await file.sync();
  } finally {
    await file.close();
  }
  await disk.rename(next, path);
  await disk.syncFolder("");
}

/** Rejects with ENOSPC, and the file is as it was, only if `settleReplaced` could not make room before. */
export async function replaceInPlace(disk: Disk, path: string, content: Buffer): Promise<void> {
  const { next, old } = besides(path);
  const file = await disk.open(next, (await disk.exists(next)) ? "open" : "create");
  try {
    await file.write([content], 0);
    await file.truncate(content.length);
    await file.sync();
  } finally {
    await file.close();
  }
  const isFirst = !(await disk.exists(path));
  if (!isFirst) await disk.rename(path, old);
  await disk.rename(next, path);
  if (!isFirst) await disk.rename(old, next);
  await disk.syncFolder("");
}

/** Before the file is looked for: ends what a crash has interrupted, and sees to the room for the next time. */
export async function settleReplaced(disk: Disk, path: string): Promise<void> {
  const { next, old } = besides(path);
  if (await disk.exists(old)) await disk.rename(old, (await disk.exists(path)) ? next : path);
  if (await disk.exists(next)) return;
  const file = await disk.open(next, "create");
  try {
    await file.write([Buffer.alloc(roomBytes)], 0);
    await file.sync();
  } catch (error) {
    // At the next start, then.
    if (errnoOf(error) !== "ENOSPC") throw error;
  } finally {
    await file.close();
  }
}

/** One block of most filesystems; what is larger grows while there is space. */
const roomBytes = 4096;

function besides(path: string): { next: string; old: string } {
  return { next: `${path}.new`, old: `${path}.old` };
}
