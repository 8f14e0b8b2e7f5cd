/** A snapshot counts only when it was read back whole: until then the one before it and the journal stay. */
import test from "ava";
import type { Disk, DiskFile } from "../../src/base/disk.ts";
import { seededRandom } from "../../src/base/random.ts";
import { openMemoryStore } from "../../src/metadata-store/open.ts";
import { FaultyDisk } from "../support/faulty-disk.ts";
import { contentOf, smallOptions, text } from "./support.ts";

/** A disk that keeps one bit of what is written to this path the other way round. */
function flipping(disk: Disk, path: string, flips: { at: number | undefined }): Disk {
  const wrapped = Object.create(disk) as Disk;
  wrapped.open = async (opened, mode, options): Promise<DiskFile> => {
    const file = await disk.open(opened, mode, options);
    if (opened !== path) return file;
    const flipped = Object.create(file) as DiskFile;
    flipped.write = (pieces, offset) => {
      const bytes = Buffer.concat(pieces);
      const at = flips.at === undefined ? -1 : flips.at - offset;
      if (at >= 0 && at < bytes.length) bytes[at] = (bytes[at] as number) ^ 4;
      return file.write([bytes], offset);
    };
    for (const method of ["read", "sync", "size", "close", "truncate"] as const) {
      flipped[method] = (file[method] as (...args: unknown[]) => never).bind(file);
    }
    return flipped;
  };
  for (const method of ["list", "makeFolder", "rename", "remove", "syncFolder", "exists", "space"] as const) {
    wrapped[method] = (disk[method] as (...args: unknown[]) => never).bind(disk);
  }
  return wrapped;
}

test("a snapshot with a flipped bit never counts: the one before stays, and nothing of the journal goes", async (t) => {
  const disk = new FaultyDisk(seededRandom(1));
  const flips: { at: number | undefined } = { at: undefined };
  const options = { ...smallOptions, disk: flipping(disk, "snapshot/partial", flips), snapshotJournalBytes: 2 ** 40 };
  const store = await openMemoryStore(options);
  const fill = async (from: number): Promise<void> => {
    for (let i = from; i < from + 100; i++) {
      store.apply([[`key ${String(i)}`, text("x".repeat(3_000))]]);
      await store.durable();
    }
    await store.pinned(() => Promise.resolve());
  };
  await fill(0);
  await store.snapshot();
  const [good] = await disk.list("snapshot");
  await fill(100);
  const journal = (await disk.list("journal")).filter((name) => name !== "spare");
  for (const at of [3, 30, 5_000, 100_000]) {
    flips.at = at;
    await t.throwsAsync(store.snapshot(), { message: /EIO.*partial is damaged/ }, String(at));
    t.true((await disk.list("snapshot")).includes(good as string));
    const now = await disk.list("journal");
    for (const name of journal) t.true(now.includes(name), name);
  }
  const content = contentOf(store);
  t.deepEqual(contentOf(await openMemoryStore({ ...smallOptions, disk: disk.kill() })), content);
});

test("a snapshot that can be read back takes the place of the one before, and the journal is trimmed", async (t) => {
  const disk = new FaultyDisk(seededRandom(2));
  const store = await openMemoryStore({ ...smallOptions, disk, snapshotJournalBytes: 2 ** 40 });
  for (let round = 0; round < 2; round++) {
    for (let i = 0; i < 100; i++) {
      store.apply([[`key ${String(i)}`, text(`${String(round)}${"x".repeat(3_000)}`)]]);
      await store.durable();
    }
    const before = await disk.list("journal");
    await store.pinned(() => Promise.resolve());
    await store.snapshot();
    t.is((await disk.list("snapshot")).length, 1);
    t.true((await disk.list("journal")).length < before.length);
  }
  const content = contentOf(store);
  t.deepEqual(contentOf(await openMemoryStore({ ...smallOptions, disk: disk.kill() })), content);
});
