/** The newest snapshot as a file to copy: opened, it stays readable when a newer one takes its place. */
import type { Disk, DiskFile } from "../base/disk.ts";
import { FsError } from "../base/errno.ts";
import { listSnapshots, readWhole, snapshotFolder, snapshotPath, type WholeSnapshot } from "./snapshot.ts";

export type OpenSnapshot = WholeSnapshot & { readonly file: DiskFile };

/**
 * Read whole and verified. Undefined: there is none, or it does not go beyond that batch. Rejects with DamagedSnapshot.
 */
export async function openNewestSnapshot(disk: Disk, beyond: number): Promise<OpenSnapshot | undefined> {
  const [newest] = await listSnapshots(disk);
  if (newest === undefined || newest <= beyond) return undefined;
  const file = await disk.open(snapshotPath(newest), "open");
  try {
    return { ...(await readWhole(file, newest)), file };
  } catch (error) {
    await file.close();
    throw error;
  }
}

/** Puts a snapshot that comes from a copy in its place, synced; recovery verifies it when it reads it. */
export async function putSnapshot(
  disk: Disk,
  index: number,
  bytes: number,
  read: (offset: number) => Promise<Buffer>,
): Promise<void> {
  await listSnapshots(disk);
  const file = await disk.open(snapshotPath(index), "create");
  try {
    for (let offset = 0; offset < bytes;) {
      const piece = await read(offset);
      if (piece.length === 0) throw new FsError("EIO", "the copy of the snapshot ends too early");
      await file.write([piece], offset);
      offset += piece.length;
    }
    await file.sync();
  } finally {
    await file.close();
  }
  await disk.syncFolder(snapshotFolder);
}
