/**
 * The epoch: which incarnation of the name server this is. Raised by one and made durable at every start, before
 * anything is answered. With it the index up to which the journal was durable then: a journal that ends earlier has lost
 * something.
 *
 *   file `epoch`, little endian: magic "DFSE":4 format 1:2 zero:2 epoch:8 index:8 CRC of the 24 bytes before:4
 */
import { checksum } from "../base/checksum.ts";
import type { Disk } from "../base/disk.ts";
import { FsError } from "../base/errno.ts";
import { replaceFile } from "../base/replace-file.ts";
import { readU64, writeU64 } from "./record-codec.ts";

export interface Epoch {
  readonly epoch: number;
  readonly index: number;
}

const path = "epoch";
const magic = 0x45534644;
const format = 1;
const fileBytes = 28;

export async function readEpoch(disk: Disk): Promise<Epoch | "missing" | "damaged"> {
  if (!(await disk.exists(path))) return "missing";
  const file = await disk.open(path, "open");
  const bytes = Buffer.alloc(fileBytes);
  try {
    await file.read(bytes, 0);
  } finally {
    await file.close();
  }
  if (bytes.readUInt32LE(0) !== magic || bytes.readUInt32LE(24) !== checksum(bytes.subarray(0, 24))) return "damaged";
  if (bytes.readUInt16LE(4) !== format)
    throw new FsError("EOPNOTSUPP", "the epoch file has an unknown format: start a newer version");
  return { epoch: readU64(bytes, 8), index: readU64(bytes, 16) };
}

export async function writeEpoch(disk: Disk, { epoch, index }: Epoch): Promise<void> {
  const bytes = Buffer.alloc(fileBytes);
  bytes.writeUInt32LE(magic, 0);
  bytes.writeUInt16LE(format, 4);
  writeU64(bytes, epoch, 8);
  writeU64(bytes, index, 16);
  bytes.writeUInt32LE(checksum(bytes.subarray(0, 24)), 24);
  await replaceFile(disk, path, [bytes]);
}
