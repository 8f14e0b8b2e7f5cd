/** Journal and snapshot rot while the store is at work: a new snapshot makes what is damaged unneeded. */
import test from "ava";
import { seededRandom } from "../../src/base/random.ts";
import { journalSlotBytes } from "../../src/journal/journal-files.ts";
import { openMemoryStore, type Store } from "../../src/metadata-store/open.ts";
import { FaultyDisk } from "../support/faulty-disk.ts";
import { contentOf, smallOptions } from "./support.ts";

async function fill(store: Store, from: number, to: number): Promise<void> {
  for (let i = from; i < to; i++) {
    store.apply([[`i${String(i).padStart(3, "0")}`, Buffer.alloc(300, i)]]);
    await store.durable();
  }
}

function open(disk: FaultyDisk): Promise<Store> {
  return openMemoryStore({ ...smallOptions, disk });
}

const journalOf = (disk: FaultyDisk): string[] =>
  disk
    .files("journal")
    .filter((path) => path.endsWith(".journal"))
    .sort();

for (const [what, which, at] of [
  ["a record of an old file", 0, journalSlotBytes + 100],
  ["the header of an old file", 1, 30],
  ["a record of the file that is written", -1, journalSlotBytes + 100],
  ["the header of the file that is written", -1, 30],
] as const) {
  test(`${what} is damaged: found when it is read for a copy, and no start misses it`, async (t) => {
    const disk = new FaultyDisk(seededRandom(1));
    const store = await open(disk);
    await fill(store, 0, 40);
    const spoilt = journalOf(disk).at(which) ?? "";
    disk.flip(spoilt, at);
    t.is(await store.readRecords(1, 2 ** 20), undefined);
    t.deepEqual(store.damage, { replaced: 1, problem: undefined });
    t.false(disk.has(spoilt));
    const snapshot = await store.openSnapshot(0);
    t.true((snapshot?.position.index ?? 0) >= 40);
    await snapshot?.file.close();
    await fill(store, 40, 60);
    const content = contentOf(store);
    const records = await store.readRecords((snapshot?.position.index ?? 0) + 1, 2 ** 20);
    t.true((records?.length ?? 0) >= 20);
    const again = await open(disk.kill());
    t.deepEqual(contentOf(again), content);
  });
}

test("a record that cannot be read from the disk is damage, too; any other error is not", async (t) => {
  const disk = new FaultyDisk(seededRandom(1));
  const store = await open(disk);
  await fill(store, 0, 20);
  const [path = ""] = journalOf(disk);
  disk.fail("open", "EMFILE", { path });
  await t.throwsAsync(store.readRecords(1, 1), { message: /EMFILE/ });
  t.is(store.damage.replaced, 0);
  disk.fail("read", "EIO", { path });
  t.is(await store.readRecords(1, 1), undefined);
  t.is(store.damage.replaced, 1);
});
