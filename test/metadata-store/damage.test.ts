/**
 * Flipped bits, lost files and failing system calls: what was acknowledged is repaired, or the store refuses to start
 * with a sentence for the operator; it never answers with something else.
 */
import { open, readdir, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import test from "ava";
import { seededRandom } from "../../src/base/random.ts";
import { openSystemDisk } from "../../src/base/system-disk.ts";
import { journalSlotBytes, slotAfter } from "../../src/journal/journal-files.ts";
import { openMemoryStore, openMetadataStore, type Store } from "../../src/metadata-store/open.ts";
import { FaultyDisk } from "../support/faulty-disk.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";
import { contentOf, smallOptions, text } from "./support.ts";

/** 40 batches, a record each; the disk as the end of the process leaves it. */
async function filled(
  options: { snapshotAt?: number } = {},
): Promise<{ disk: FaultyDisk; content: [string, string][] }> {
  const disk = new FaultyDisk(seededRandom(7));
  const store = await openMemoryStore({ ...smallOptions, disk, journalFileBytes: 64 * 1024, overlayBytesMax: 10_000 });
  for (let i = 0; i < 40; i++) {
    store.apply([[`i${String(i).padStart(3, "0")}`, Buffer.alloc(300, i)]]);
    await store.durable();
    await store.room();
    if (i === options.snapshotAt) await store.snapshot();
  }
  const content = contentOf(store);
  const copy = disk.kill();
  return { disk: copy, content };
}

function reopen(disk: FaultyDisk): Promise<Store> {
  return openMemoryStore({ ...smallOptions, disk, journalFileBytes: 64 * 1024, overlayBytesMax: 10_000 });
}

async function journalFiles(disk: FaultyDisk): Promise<string[]> {
  return (await disk.list("journal"))
    .filter((name) => name.endsWith(".journal"))
    .sort()
    .map((name) => `journal/${name}`);
}

test("journal: a flipped bit anywhere in a record but the last is refused, naming file and batch", async (t) => {
  const { disk, content } = await filled();
  const [first] = await journalFiles(disk);
  // Magic, format, length, epoch, first, durable, predecessor, checksums, body.
  for (const offset of [0, 4, 8, 16, 24, 32, 40, 44, 48, 52, 68, 188].map((at) => journalSlotBytes + at)) {
    const copy = disk.kill();
    copy.flip(first ?? "", offset);
    await t.throwsAsync(reopen(copy), { message: /journal\/.*batch 1 was durable and is damaged.*restore/ });
    copy.flip(first ?? "", offset);
  }
  const store = await reopen(disk.kill());
  t.deepEqual(contentOf(store), content);
});

test("journal: zeros between records may be anything", async (t) => {
  const { disk, content } = await filled();
  const [first] = await journalFiles(disk);
  disk.flip(first ?? "", 2 * journalSlotBytes - 32);
  t.deepEqual(contentOf(await reopen(disk)), content);
});

test("journal: a flipped bit in a file's header is refused", async (t) => {
  const { disk } = await filled();
  const [first] = await journalFiles(disk);
  disk.flip(first ?? "", 24);
  await t.throwsAsync(reopen(disk), { message: /damaged header/ });
});

test("journal: a missing file is refused, whichever it is", async (t) => {
  const { disk } = await filled();
  const files = await journalFiles(disk);
  t.true(files.length > 2);
  for (const path of files.slice(0, -1)) {
    const copy = disk.kill();
    await copy.remove(path);
    await t.throwsAsync(reopen(copy), { message: /EIO.*restore/ }, path);
  }
});

test("journal: all of it missing is refused, because the epoch remembers", async (t) => {
  const { disk } = await filled();
  const restarted = await reopen(disk);
  await restarted.close();
  const rest = disk.kill();
  for (const path of await journalFiles(rest)) await rest.remove(path);
  await t.throwsAsync(reopen(rest), { message: /EIO.*the journal (ends before batch|is missing)/ });
});

test("journal: a torn last record that nobody was told of is cut off", async (t) => {
  const { disk, content } = await filled();
  const last = (await journalFiles(disk)).at(-1) ?? "";
  const bytes = disk.bytesOf(last);
  let end = journalSlotBytes;
  while (bytes.readUInt32LE(end) === 0x52534644 && bytes.readUInt32LE(end + 8) > 0)
    end += slotAfter(bytes.readUInt32LE(end + 8));
  // The last record's own bit: it is the newest, and nothing later shows that it was durable.
  disk.flip(last, end - journalSlotBytes + 70);
  const store = await reopen(disk);
  t.is(store.lastIndex, 39);
  t.deepEqual(contentOf(store), content.slice(0, 39));
});

test("journal: records of a recycled file's earlier life are never taken for valid", async (t) => {
  const disk = new FaultyDisk(seededRandom(3));
  const store = await openMemoryStore({ ...smallOptions, disk, journalFileBytes: 64 * 1024, overlayBytesMax: 4_000 });
  for (let i = 0; i < 200; i++) {
    store.apply([["ia", Buffer.alloc(200, i)]]);
    await store.durable();
    await store.room();
    if (i % 25 === 24) await store.snapshot();
  }
  const content = contentOf(store);
  const again = await reopen(disk.kill());
  t.is(again.lastIndex, 200);
  t.deepEqual(contentOf(again), content);
});

test("epoch: a damaged file is replaced by what the journal knows", async (t) => {
  const { disk, content } = await filled();
  disk.flip("epoch", 9);
  const store = await reopen(disk);
  t.is(store.epoch, 2);
  t.deepEqual(contentOf(store), content);
});

test("snapshot: a flipped bit anywhere is refused when the journal alone does not suffice", async (t) => {
  const { disk, content } = await filled({ snapshotAt: 30 });
  const [name] = (await disk.list("snapshot")).filter((entry) => entry.endsWith(".snapshot"));
  const path = `snapshot/${name ?? ""}`;
  const size = disk.bytesOf(path).length;
  for (const offset of [0, 9, 20, 33, 40, 60, 200, size - 60, size - 10, size - 1]) {
    disk.flip(path, offset);
    await t.throwsAsync(reopen(disk.kill()), { message: /EIO.*(snapshot|continues)/ }, String(offset));
    disk.flip(path, offset);
  }
  t.deepEqual(contentOf(await reopen(disk.kill())), content);
});

for (const operation of ["write", "sync", "rename", "syncFolder"] as const) {
  test(`an error of ${operation} fails the store: nothing more is acknowledged`, async (t) => {
    const disk = new FaultyDisk(seededRandom(1));
    const store = await openMemoryStore({ ...smallOptions, disk, journalFileBytes: 32 * 1024 });
    // The first error may be met while the next file is prepared, which is tried again.
    disk.fail(operation, "EIO");
    disk.fail(operation, "EIO");
    const error = await t.throwsAsync(async () => {
      for (let i = 0; i < 100; i++) {
        store.apply([["ia", Buffer.alloc(300)]]);
        await store.durable();
      }
    });
    t.regex(error.message, /must end/);
    await t.throwsAsync(store.failed, { message: /must end/ });
    await t.throwsAsync(store.durable());
    t.throws(() => {
      store.apply([["ib", text("x")]]);
    });
    await t.throwsAsync(store.close());
  });
}

test("a full disk fails the store before anything is acknowledged that is not there", async (t) => {
  const disk = new FaultyDisk(seededRandom(1));
  const store = await openMemoryStore({ ...smallOptions, disk, journalFileBytes: 64 * 1024 });
  disk.capacity = 20_000;
  let acknowledged = 0;
  await t.throwsAsync(async () => {
    for (;;) {
      store.apply([["ia", Buffer.alloc(300)]]);
      await store.durable();
      acknowledged = store.lastIndex;
    }
  });
  const rest = disk.kill();
  rest.capacity = Infinity;
  t.true((await reopen(rest)).lastIndex >= acknowledged);
});

async function lmdbFolder(
  t: Parameters<typeof temporaryFolder>[0],
): Promise<{ root: string; content: [string, string][] }> {
  const root = await temporaryFolder(t);
  const store = await openMetadataStore({ ...smallOptions, disk: await openSystemDisk(root) });
  for (let i = 0; i < 2_000; i++) store.apply([[`i${String(i).padStart(5, "0")}`, Buffer.alloc(40, i)]]);
  const content = contentOf(store);
  await store.close();
  return { root, content };
}

async function openAt(root: string): Promise<Store> {
  return openMetadataStore({ ...smallOptions, disk: await openSystemDisk(root) });
}

test("LMDB: lost, cut off or not a database at all, it is built anew", async (t) => {
  const { root, content } = await lmdbFolder(t);
  const file = join(root, "lmdb", "data.mdb");
  for (const spoil of [
    () => rm(join(root, "lmdb"), { recursive: true }),
    () => truncate(file, 40_960),
    () => truncate(file, 100),
    () => writeFile(file, Buffer.alloc(65_536, 0x5a)),
  ]) {
    await spoil();
    const store = await openAt(root);
    t.deepEqual(contentOf(store), content);
    await store.verify();
    await store.close();
  }
});

test("LMDB: a flipped bit in a value or a key is found at the start, and the store built anew", async (t) => {
  const { root, content } = await lmdbFolder(t);
  const file = join(root, "lmdb", "data.mdb");
  const good = await readFile(file);
  for (const pattern of [Buffer.alloc(40, 77), Buffer.from("i00100")]) {
    const bytes = Buffer.from(good);
    let found = 0;
    for (let at = bytes.indexOf(pattern); at !== -1; at = bytes.indexOf(pattern, at + 1)) {
      bytes[at + 3] = (bytes[at + 3] ?? 0) ^ 4;
      found++;
    }
    t.true(found > 0);
    await writeFile(file, bytes);
    const store = await openAt(root);
    t.deepEqual(contentOf(store), content);
    await store.close();
  }
});

test("LMDB: ahead of the journal is refused: the journal has lost what was durable", async (t) => {
  const { root } = await lmdbFolder(t);
  for (const name of await readdir(join(root, "journal"))) await rm(join(root, "journal", name));
  await t.throwsAsync(openAt(root), { message: /EIO.*the journal is missing/ });
});

test("LMDB: of another course of events it is built anew", async (t) => {
  const one = await lmdbFolder(t);
  const two = await lmdbFolder(t);
  const third = await openAt(two.root);
  third.apply([["ia", text("elsewhere")]]);
  await third.close();
  const fourth = await openAt(one.root);
  fourth.apply([["ia", text("here")]]);
  await fourth.close();
  await writeFile(join(one.root, "lmdb", "data.mdb"), await readFile(join(two.root, "lmdb", "data.mdb")));
  const store = await openAt(one.root);
  t.is(store.get("ia")?.toString(), "here");
  t.is(contentOf(store).length, one.content.length + 1);
  await store.close();
});

test("LMDB: a value that rots while the store runs is EIO, fails the store, and is healed by the next start", async (t) => {
  const { root, content } = await lmdbFolder(t);
  const store = await openAt(root);
  const file = join(root, "lmdb", "data.mdb");
  const bytes = await readFile(file);
  const pattern = Buffer.alloc(40, 99);
  const handle = await open(file, "r+");
  for (let at = bytes.indexOf(pattern); at !== -1; at = bytes.indexOf(pattern, at + 40)) {
    await handle.write(Buffer.from([0]), 0, 1, at + 20);
  }
  await handle.close();
  t.throws(() => store.get("i00099"), { message: /EIO.*key i:3030303939 fails its checksum/ });
  await t.throwsAsync(store.failed, { message: /i:3030303939/ });
  await t.throwsAsync(store.close());
  const healed = await openAt(root);
  t.deepEqual(contentOf(healed), content);
  await healed.close();
});
