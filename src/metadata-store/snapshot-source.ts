/** The newest snapshot as a file to copy: opened, it stays readable when a newer one takes its place. */
import type { Disk, DiskFile } from "../base/disk.ts";
import { FsError } from "../base/errno.ts";
import type { Position } from "../journal/position.ts";
import { listSnapshots, snapshotFolder, snapshotPath } from "./snapshot.ts";
import { decodeSnapshotHeader, snapshotHeaderBytes } from "./snapshot-file.ts";

/** Undefined: there is none, or what there is has a damaged header. */
export async function openNewestSnapshot(
  disk: Disk,
): Promise<{ position: Position; file: DiskFile; bytes: number } | undefined> {
  const [newest] = await listSnapshots(disk);
  if (newest === undefined) return undefined;
  const file = await disk.open(snapshotPath(newest), "open");
  const header = Buffer.alloc(snapshotHeaderBytes);
  await file.read(header, 0);
  const position = decodeSnapshotHeader(header);
  if (position !== undefined) return { position, file, bytes: await file.size() };
  await file.close();
  return undefined;
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
