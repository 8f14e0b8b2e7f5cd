/**
 * A checksum over the index's file, for the time in which nobody has it open: `index.sum`, one line, bytes and CRC-32 in
 * hexadecimal. LMDB's list of free pages has no other check: a flipped bit in it makes LMDB write over pages in use.
 * Absent after a crash, and then not missed: what the index says is checked all the same.
 */
import { checksum } from "../base/checksum.ts";
import type { Disk } from "../base/disk.ts";
import { errnoOf, FsError } from "../base/errno.ts";

export const indexSumPath = "index.sum";
const pieceBytes = 1024 * 1024;

/** Before the file is opened for changes. Rejects with EIO when it is not as it was left. */
export async function takeIndexSum(disk: Disk, indexPath: string): Promise<void> {
  if (!(await disk.exists(indexSumPath))) return;
  const left = await readSum(disk);
  await disk.remove(indexSumPath);
  await disk.syncFolder("");
  if (left === undefined) return;
  if ((await sumOf(disk, indexPath, left.bytes)) !== left.crc) {
    throw new FsError("EIO", `${disk.root}/${indexPath} has changed while the node was stopped`);
  }
}

/** When nobody has the file open any more. On a full disk there is none. */
export async function leaveIndexSum(disk: Disk, indexPath: string, bytes: number): Promise<void> {
  const crc = await sumOf(disk, indexPath, bytes);
  if (crc === undefined) return;
  const file = await disk.open(indexSumPath, "create");
  try {
    await file.write([Buffer.from(`${String(bytes)} ${crc.toString(16)}\n`)], 0);
    await file.sync();
  } catch (error) {
    if (errnoOf(error) !== "ENOSPC") throw error;
    await disk.remove(indexSumPath);
  } finally {
    await file.close();
  }
}

/** Undefined: not a whole one. */
async function readSum(disk: Disk): Promise<{ bytes: number; crc: number } | undefined> {
  const file = await disk.open(indexSumPath, "open");
  try {
    const text = Buffer.alloc(64);
    const got = await file.read(text, 0);
    const found = /^(\d{1,15}) ([0-9a-f]{1,8})\n$/.exec(text.toString("latin1", 0, got));
    return found === null ? undefined : { bytes: Number(found[1]), crc: Number.parseInt(found[2] as string, 16) };
  } finally {
    await file.close();
  }
}

/** Of the first `bytes`; undefined: there are not so many. */
async function sumOf(disk: Disk, indexPath: string, bytes: number): Promise<number | undefined> {
  if (!(await disk.exists(indexPath))) return undefined;
  const file = await disk.open(indexPath, "open");
  try {
    const memory = Buffer.allocUnsafe(pieceBytes);
    let crc = 0;
    for (let at = 0; at < bytes; at += pieceBytes) {
      const piece = memory.subarray(0, Math.min(pieceBytes, bytes - at));
      if ((await file.read(piece, at)) < piece.length) return undefined;
      crc = checksum(piece, crc);
    }
    return crc;
  } finally {
    await file.close();
  }
}
