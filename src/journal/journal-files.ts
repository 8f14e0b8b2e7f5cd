/**
 * The files of the journal: `journal/<sequence, 16 hexadecimal digits>.journal`, in ascending sequence. Each begins with
 * a header in 4,096 bytes, then records follow, each at a multiple of 4,096: past the page cache (O_DIRECT) a durable
 * write takes two thirds of the time and half of the CPU. A file's records count up to the `first` of the
 * next file. `journal/spare` is preallocated, or was a file that is no longer needed: it becomes the next one.
 *
 *   header, little endian
 *      0  magic "DFSJ"   :4
 *      4  format 2       :2   1 had records at multiples of 512, and was never released
 *      6  zero           :2
 *      8  sequence       :8   never used twice
 *     16  epoch          :8   of the name server that made the file
 *     24  first          :8   index of the first batch in it; all before is durable
 *     32  predecessor    :4   `crc` of the record before `first`
 *     36  zero           up to 508
 *    508  CRC            :4   bytes 0 to 508; also the seed of the records' place CRCs
 *    512  zero           up to 4096
 */
import { checksum } from "../base/checksum.ts";
import type { Disk, DiskFile } from "../base/disk.ts";
import { FsError } from "../base/errno.ts";
import { readU64, writeU64 } from "../base/u64.ts";

export const journalFolder = "journal";
export const journalSlotBytes = 4096;
const fileHeaderBytes = 512;
const sparePath = `${journalFolder}/spare`;
const magic = 0x4a534644;
const format = 2;

export interface FileHeader {
  readonly sequence: number;
  readonly epoch: number;
  readonly first: number;
  readonly predecessor: number;
}

export interface OpenJournalFile {
  readonly header: FileHeader;
  readonly seed: number;
  readonly file: DiskFile;
  readonly capacity: number;
  /** Where the next record goes. */
  end: number;
}

/** A file that is no longer written: its first index, and how much of it is used. */
export interface ClosedFile {
  readonly sequence: number;
  readonly first: number;
  readonly bytes: number;
}

export function journalPath(sequence: number): string {
  return `${journalFolder}/${sequence.toString(16).padStart(16, "0")}.journal`;
}

/** The next place where a record may begin. */
export function slotAfter(offset: number): number {
  return Math.ceil(offset / journalSlotBytes) * journalSlotBytes;
}

export function encodeFileHeader(header: FileHeader): { bytes: Buffer; seed: number } {
  const bytes = Buffer.alloc(fileHeaderBytes);
  bytes.writeUInt32LE(magic, 0);
  bytes.writeUInt16LE(format, 4);
  writeU64(bytes, header.sequence, 8);
  writeU64(bytes, header.epoch, 16);
  writeU64(bytes, header.first, 24);
  bytes.writeUInt32LE(header.predecessor, 32);
  const seed = checksum(bytes.subarray(0, 508));
  bytes.writeUInt32LE(seed, 508);
  return { bytes, seed };
}

/** Undefined if it is not the header of a journal file, or is damaged. Throws if it is of an unknown format. */
export function decodeFileHeader(bytes: Buffer): { header: FileHeader; seed: number } | undefined {
  if (bytes.length < fileHeaderBytes || bytes.readUInt32LE(0) !== magic) return undefined;
  const seed = checksum(bytes.subarray(0, 508));
  if (bytes.readUInt32LE(508) !== seed) return undefined;
  const found = bytes.readUInt16LE(4);
  if (found !== format) {
    const advice = found > format ? "start a newer version" : "start the version that wrote it";
    throw new FsError(
      "EOPNOTSUPP",
      `the journal has format ${String(found)}, this version reads ${String(format)}: ${advice}`,
    );
  }
  const header = {
    sequence: readU64(bytes, 8),
    epoch: readU64(bytes, 16),
    first: readU64(bytes, 24),
    predecessor: bytes.readUInt32LE(32),
  };
  return { header, seed };
}

/** Sequences of all journal files, ascending. Makes the folder if it is missing. */
export async function listJournal(disk: Disk): Promise<number[]> {
  await disk.makeFolder(journalFolder);
  const names = await disk.list(journalFolder);
  const sequences = names.flatMap((name) => {
    const match = /^([0-9a-f]{16})\.journal$/.exec(name);
    return match === null ? [] : [Number.parseInt(match[1] as string, 16)];
  });
  return sequences.sort((a, b) => a - b);
}

/** Turns the spare into a journal file that begins with `content`; all is durable when it resolves. */
export async function adoptSpare(
  disk: Disk,
  header: FileHeader,
  content: (seed: number) => readonly Buffer[],
): Promise<OpenJournalFile> {
  const { bytes, seed } = encodeFileHeader(header);
  const pieces = [Buffer.concat([bytes], journalSlotBytes), ...content(seed)];
  const beginning = await disk.open(sparePath, "open");
  try {
    await beginning.write(pieces, 0);
    await beginning.sync();
  } finally {
    await beginning.close();
  }
  const file = await disk.open(sparePath, "open", { direct: true, synchronous: true });
  const capacity = await file.size();
  await disk.rename(sparePath, journalPath(header.sequence));
  await disk.syncFolder(journalFolder);
  return { header, seed, file, capacity, end: pieces.reduce((sum, piece) => sum + piece.length, 0) };
}

/** Makes a spare of at least `bytes`, zeroed and durable, unless there is one of that size. */
export async function prepareSpare(disk: Disk, bytes: number): Promise<void> {
  if (await disk.exists(sparePath)) {
    const spare = await disk.open(sparePath, "open");
    const size = await spare.size();
    await spare.close();
    if (size >= bytes) return;
    await disk.remove(sparePath);
  }
  const file = await disk.open(sparePath, "create");
  try {
    for (let at = 0; at < bytes; at += zeros.length) {
      await file.write([zeros.subarray(0, Math.min(zeros.length, bytes - at))], at);
    }
    await file.sync();
  } catch (error) {
    // Of a file whose sync failed nothing is known: it must not be found and used.
    await disk.remove(sparePath);
    throw error;
  } finally {
    await file.close();
  }
  await disk.syncFolder(journalFolder);
}

/** Removes a file that nobody needs, or keeps it as the spare if it has the right size and there is none. */
export async function retireFile(disk: Disk, sequence: number, spareBytes: number): Promise<void> {
  const path = journalPath(sequence);
  if (!(await disk.exists(path))) return;
  const file = await disk.open(path, "open");
  const size = await file.size();
  await file.close();
  if (size === spareBytes && !(await disk.exists(sparePath))) await disk.rename(path, sparePath);
  else await disk.remove(path);
  await disk.syncFolder(journalFolder);
}

const zeros = Buffer.alloc(256 * 1024);
