/**
 * A new store out of a dump. It has the dumped content under an epoch that is not lower than the dumped one, so that the
 * first start of a name server on it has a higher one. Sessions are left out: a client that went on after the dump was taken
 * has numbers, leases and replies of which the dump does not know, and begins anew.
 */
import type { Disk } from "../base/disk.ts";
import { FsError } from "../base/errno.ts";
import { DumpReader, type DumpHeader } from "./dump.ts";
import { writeEpoch } from "./epoch-file.ts";
import type { Store } from "./store.ts";
import type { Change, Key } from "./types.ts";

/** One batch: well below a journal record's bound, whatever the lines have. */
const batchBytes = 512 * 1024;

/**
 * `open` opens an empty store on `disk`, which is closed again. Throws EINVAL for a dump that was cut off or changed:
 * then the folder is to be thrown away.
 */
export async function loadDump(
  disk: Disk,
  open: () => Promise<Store>,
  lines: AsyncIterable<string>,
): Promise<DumpHeader> {
  const store = await open();
  if (store.lastIndex > 0) throw new FsError("EINVAL", "the folder holds a store already");
  const reader = new DumpReader();
  let header: DumpHeader;
  let index: number;
  try {
    let batch: Change[] = [];
    let bytes = 0;
    const apply = async (): Promise<void> => {
      if (batch.length > 0) store.apply(batch);
      batch = [];
      bytes = 0;
      await store.durable();
      for (let room = store.room(); room !== undefined; room = store.room()) await room;
    };
    for await (const line of lines) {
      const change = reader.line(line);
      if (change === undefined || isOfSession(change[0])) continue;
      batch.push(change);
      bytes += line.length;
      if (bytes >= batchBytes) await apply();
    }
    await apply();
    header = reader.finish();
    // A snapshot is of what has been materialised: all of it, so that the journal begins behind it.
    await store.pinned(() => Promise.resolve());
    await store.snapshot();
    index = store.lastIndex;
  } finally {
    await store.close();
  }
  await writeEpoch(disk, { epoch: Math.max(header.epoch, store.epoch), index });
  return header;
}

/** A session's record, its last replies, how far its ahead log is. What it left (ranges, orphans) is released at the first start. */
function isOfSession(key: Key): boolean {
  return key.startsWith("S") || key.startsWith("R");
}
