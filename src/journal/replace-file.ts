/** Replaces a small file of the root folder as a whole: after a crash it is the old or the new one, never a mixture. */
import type { Disk } from "../base/disk.ts";

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
