/** The newest snapshot as a file to copy: opened, it stays readable when a newer one takes its place. */
import type { Disk, DiskFile } from "../base/disk.ts";
import type { Position } from "../journal/position.ts";
import { listSnapshots, snapshotPath } from "./snapshot.ts";
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
