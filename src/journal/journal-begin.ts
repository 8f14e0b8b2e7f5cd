/**
 * How an incarnation begins to write behind the journal that it found: in a new file, with the tail that was not known to
 * be durable at its beginning. Nothing is ever appended to a file of an earlier incarnation.
 */
import type { Disk } from "../base/disk.ts";
import {
  adoptSpare,
  journalPath,
  journalSlotBytes,
  prepareSpare,
  slotAfter,
  type ClosedFile,
  type OpenJournalFile,
} from "./journal-files.ts";
import { lastIndex, placeRecord } from "./journal-record.ts";
import type { ScannedJournal, TailRecord } from "./journal-scan.ts";
import type { Position } from "./position.ts";

/** The first file of this incarnation, with the tail at its beginning. */
export async function beginFile(
  disk: Disk,
  { durable, tail, lastSequence }: Pick<ScannedJournal, "durable" | "tail" | "lastSequence">,
  epoch: number,
  fileBytes: number,
): Promise<{ current: OpenJournalFile; end: Position }> {
  const first = tail[0]?.header;
  const header = {
    sequence: lastSequence + 1,
    epoch,
    first: first?.first ?? durable.index + 1,
    predecessor: first?.predecessor ?? durable.crc,
  };
  await prepareSpare(disk, fileBytes);
  const current = await adoptSpare(disk, header, (seed) => placedTail(tail, seed));
  return { current, end: endOfTail({ durable, tail }) };
}

/** Where the records end that were found whole. */
export function endOfTail({ durable, tail }: Pick<ScannedJournal, "durable" | "tail">): Position {
  const last = tail.at(-1)?.header;
  return last === undefined ? durable : { epoch: last.epoch, index: lastIndex(last), crc: last.crc };
}

/** Makes the tail durable where it stands, written over itself: while there is no room for the file to begin. */
export async function settleTail(
  disk: Disk,
  { tail, lastSequence }: Pick<ScannedJournal, "tail" | "lastSequence">,
): Promise<void> {
  if (tail.length === 0) return;
  const file = await disk.open(journalPath(lastSequence), "open");
  try {
    for (const { bytes, offset } of tail) await file.write([bytes], offset);
    await file.sync();
  } finally {
    await file.close();
  }
}

function placedTail(tail: readonly TailRecord[], seed: number): Buffer[] {
  let offset = journalSlotBytes;
  return tail.map(({ bytes }) => {
    const placed = Buffer.alloc(slotAfter(bytes.length));
    bytes.copy(placed);
    placeRecord(placed, seed, offset);
    offset += placed.length;
    return placed;
  });
}

/** Older files keep what lies before the new one: whole files and torn ends that it replaces go. */
export async function dropWhatMoved(disk: Disk, files: readonly ClosedFile[], first: number): Promise<ClosedFile[]> {
  const kept: ClosedFile[] = [];
  for (const file of files) {
    const path = journalPath(file.sequence);
    if (file.first >= first) {
      await disk.remove(path);
      continue;
    }
    kept.push(file);
    if (file !== files.at(-1)) continue;
    const open = await disk.open(path, "open");
    try {
      if ((await open.size()) > file.bytes) await open.truncate(file.bytes);
    } finally {
      await open.close();
    }
  }
  return kept;
}
