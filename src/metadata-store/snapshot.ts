/**
 * Taking and reading snapshots. A snapshot counts when it is synced, read back whole, and renamed to its final name;
 * only then the one before it is removed, and the journal may be trimmed below it.
 */
import type { Disk, DiskFile } from "../base/disk.ts";
import { FsError } from "../base/errno.ts";
import { checksum } from "../base/checksum.ts";
import type { Position } from "../journal/position.ts";
import { RecordWindow } from "../journal/record-window.ts";
import {
  chunkHeaderBytes,
  decodeChunkHeader,
  decodeEntries,
  decodeManifest,
  decodeSnapshotHeader,
  encodeChunk,
  encodeManifest,
  encodeSnapshotHeader,
  snapshotHeaderBytes,
} from "./snapshot-file.ts";
import { TableSums } from "./table-sums.ts";
import type { Key, PinnedState } from "./types.ts";
import { valueChecksum } from "./value-checksum.ts";
import { pagesOf, WrongState } from "./verify.ts";

export const snapshotFolder = "snapshot";

/** A snapshot file is not whole: an older one may be. */
export class DamagedSnapshot extends FsError {
  constructor(path: string, why: string) {
    super("EIO", `${path} is damaged: ${why}`);
    this.name = "DamagedSnapshot";
  }
}

/** Indices of the snapshots at hand, newest first. */
export async function listSnapshots(disk: Disk): Promise<number[]> {
  await disk.makeFolder(snapshotFolder);
  const names = await disk.list(snapshotFolder);
  const indices = names.flatMap((name) => {
    const match = /^([0-9a-f]{16})\.snapshot$/.exec(name);
    return match === null ? [] : [Number.parseInt(match[1] as string, 16)];
  });
  return indices.sort((a, b) => b - a);
}

/** Rejects with WrongState if the state does not add up to its own table sums. */
export async function takeSnapshot(disk: Disk, state: PinnedState, signal: AbortSignal): Promise<void> {
  const older = await listSnapshots(disk);
  const partial = `${snapshotFolder}/partial`;
  if (await disk.exists(partial)) await disk.remove(partial);
  const file = await disk.open(partial, "create");
  try {
    await writeState(file, state, signal);
    await file.sync();
    await readAll(file, partial, () => undefined);
  } finally {
    await file.close();
  }
  const { index } = state.position;
  await disk.rename(partial, snapshotPath(index));
  await disk.syncFolder(snapshotFolder);
  for (const old of older) if (old !== index) await disk.remove(snapshotPath(old));
  await disk.syncFolder(snapshotFolder);
}

/** A snapshot file that is whole: where it stands, and its bytes as they were read. */
export interface WholeSnapshot {
  readonly position: Position;
  readonly bytes: number;
  /** Of all of them. */
  readonly crc: number;
}

/** Calls `onEntries` with all pairs in key order; resolves with the position when everything has been verified. */
export async function readSnapshot(
  disk: Disk,
  index: number,
  onEntries: (entries: readonly (readonly [Key, Buffer])[]) => Promise<void> | undefined,
): Promise<Position> {
  const file = await disk.open(snapshotPath(index), "open");
  try {
    return (await readWhole(file, index, onEntries)).position;
  } finally {
    await file.close();
  }
}

/** As `readSnapshot`, of the open file with that index in its name. Rejects with DamagedSnapshot if it is not whole. */
export async function readWhole(
  file: DiskFile,
  index: number,
  onEntries: (entries: readonly (readonly [Key, Buffer])[]) => Promise<void> | undefined = () => undefined,
): Promise<WholeSnapshot> {
  const path = snapshotPath(index);
  const whole = await readAll(file, path, onEntries);
  if (whole.position.index === index) return whole;
  throw new DamagedSnapshot(path, "it has another index than its name says");
}

async function writeState(file: DiskFile, state: PinnedState, signal: AbortSignal): Promise<void> {
  const sums = new TableSums();
  let offset = snapshotHeaderBytes;
  let chunks = 0;
  await file.write([encodeSnapshotHeader(state.position)], 0);
  for (const page of pagesOf(state)) {
    signal.throwIfAborted();
    addTo(sums, page);
    const chunk = encodeChunk(chunks++, page);
    await file.write([chunk], offset);
    offset += chunk.length;
  }
  if (!sums.encode().equals(state.sums)) throw new WrongState();
  await file.write([encodeManifest(chunks, sums.count, sums)], offset);
}

async function readAll(
  file: DiskFile,
  path: string,
  onEntries: (entries: readonly (readonly [Key, Buffer])[]) => Promise<void> | undefined,
): Promise<WholeSnapshot> {
  const window = new RecordWindow(file);
  const start = await window.at(0, snapshotHeaderBytes);
  const position = decodeSnapshotHeader(start);
  if (position === undefined) throw new DamagedSnapshot(path, "its header");
  let crc = checksum(start);
  const sums = new TableSums();
  for (let number = 0, offset = snapshotHeaderBytes; ; number++) {
    const chunkStart = await window.at(offset, chunkHeaderBytes);
    const header = decodeChunkHeader(chunkStart);
    if (header?.number !== number) throw new DamagedSnapshot(path, `chunk ${String(number)}`);
    crc = checksum(chunkStart, crc);
    const body = Buffer.from(await window.at(offset + chunkHeaderBytes, header.bodyBytes));
    if (body.length !== header.bodyBytes || checksum(body) !== header.bodyCrc) {
      throw new DamagedSnapshot(path, `chunk ${String(number)}`);
    }
    crc = checksum(body, crc);
    offset += chunkHeaderBytes + body.length;
    if (header.isManifest) {
      const manifest = decodeManifest(body);
      const isWhole =
        manifest.chunks === number && manifest.entries === sums.count && manifest.sums.equals(sums.encode());
      if (!isWhole) throw new DamagedSnapshot(path, "its manifest does not match");
      return { position, bytes: offset, crc };
    }
    const entries = decodeEntries(header, body);
    addTo(sums, entries);
    await onEntries(entries);
  }
}

function addTo(sums: TableSums, entries: readonly (readonly [Key, Buffer])[]): void {
  for (const [key, value] of entries) sums.add(key, valueChecksum(key, value));
}

export function snapshotPath(index: number): string {
  return `${snapshotFolder}/${index.toString(16).padStart(16, "0")}.snapshot`;
}
