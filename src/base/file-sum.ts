/**
 * A checksum over a file that checks nothing by itself (LMDB's), for the time in which nobody has it open: one line, bytes
 * and CRC-32 in hexadecimal, in a file of its own. Absent after a crash, and then not missed: who opens the file checks what is
 * in it. What that cannot see is LMDB's list of free pages: a flipped bit in it makes LMDB write over pages in use.
 */
import { checksum } from "./checksum.ts";
import type { Disk } from "./disk.ts";
import { errnoOf, FsError } from "./errno.ts";

const pieceBytes = 1024 * 1024;

export interface SummedFile {
  readonly path: string;
  readonly sumPath: string;
  /** What `sumPath` is in; "": the root. */
  readonly folder: string;
}

/**
 * Before the file is opened for changes. Resolves with whether there was a sum, and the file is as it was left. Rejects with
 * EIO when it is not.
 */
export async function takeFileSum(disk: Disk, { path, sumPath, folder }: SummedFile): Promise<boolean> {
  if (!(await disk.exists(sumPath))) return false;
  const left = await readSum(disk, sumPath);
  await disk.remove(sumPath);
  await disk.syncFolder(folder);
  if (left === undefined) return false;
  if ((await sumOf(disk, path, left.bytes)) === left.crc) return true;
  throw new FsError("EIO", `${disk.root}/${path} has changed while nobody had it open`);
}

/** When nobody has the file open any more. On a full disk there is none. */
export async function leaveFileSum(disk: Disk, { path, sumPath }: SummedFile, bytes: number): Promise<void> {
  const crc = await sumOf(disk, path, bytes);
  if (crc === undefined) return;
  const file = await disk.open(sumPath, "create");
  try {
    await file.write([Buffer.from(`${String(bytes)} ${crc.toString(16)}\n`)], 0);
    await file.sync();
  } catch (error) {
    if (errnoOf(error) !== "ENOSPC") throw error;
    await disk.remove(sumPath);
  } finally {
    await file.close();
  }
}

/** Undefined: not a whole one. */
async function readSum(disk: Disk, sumPath: string): Promise<{ bytes: number; crc: number } | undefined> {
  const file = await disk.open(sumPath, "open");
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
async function sumOf(disk: Disk, path: string, bytes: number): Promise<number | undefined> {
  if (!(await disk.exists(path))) return undefined;
  const file = await disk.open(path, "open");
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
