/** One bit of LMDB's file flips, in whatever page: found before anything of it is believed, and the store built anew. */
import { spawnSync } from "node:child_process";
import { open, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import test, { type ExecutionContext } from "ava";
import { seededRandom } from "../../src/base/random.ts";
import { silentLog, type Log } from "../../src/base/log.ts";
import { openSystemDisk } from "../../src/base/system-disk.ts";
import { openMetadataStore, type Store } from "../../src/metadata-store/open.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";
import { digestOf, smallOptions } from "./support.ts";

const pageBytes = 4096;

/** What is logged as a warning. */
function listening(): { log: Log; warnings: string[] } {
  const warnings: string[] = [];
  const log = { ...silentLog, warn: (_fields: object, text: string) => void warnings.push(text) };
  return { log, warnings };
}

async function openAt(root: string, log: Log = silentLog): Promise<Store> {
  return openMetadataStore({ ...smallOptions, log, disk: await openSystemDisk(root) });
}

/** Some tables, in several levels of pages, and free pages; closed in order. */
async function filled(t: ExecutionContext): Promise<{ root: string; file: string; digest: string }> {
  const root = await temporaryFolder(t);
  const store = await openAt(root);
  for (let i = 0; i < 4_000; i++) {
    store.apply([[`${"dei"[i % 3] ?? ""}${String(i).padStart(5, "0")}`, Buffer.alloc(100, i)]]);
    if (i % 500 === 499) await store.pinned(() => Promise.resolve());
  }
  for (let i = 0; i < 4_000; i += 3) if (i % 4 === 0) store.apply([[`d${String(i).padStart(5, "0")}`, null]]);
  await store.pinned(() => Promise.resolve());
  const digest = digestOf(store);
  await store.close();
  return { root, file: join(root, "lmdb/data.mdb"), digest };
}

async function flip(file: string, at: number, bit: number): Promise<void> {
  const handle = await open(file, "r+");
  const byte = Buffer.alloc(1);
  await handle.read(byte, 0, 1, at);
  byte.writeUInt8(byte.readUInt8(0) ^ (1 << bit));
  await handle.write(byte, 0, 1, at);
  await handle.close();
}

/** Of mp_lower in the header of mdb.c's MDB_page: how long the list behind the header is, 2 bytes for each entry. */
const lowerOffset = 20;

/**
 * Pages below which there are others: flag 1 in the header of mdb.c's MDB_page. The one that was written last, in the
 * transaction of which the header has the number, comes first; the others may be free.
 */
function branches(bytes: Buffer): number[] {
  const pages = [...Array(bytes.length / pageBytes).keys()].slice(2);
  const transaction = (page: number): number => bytes.readUInt32LE(page * pageBytes + 8);
  return pages
    .filter((page) => (bytes.readUInt16LE(page * pageBytes + 18) & 0x0f) === 1)
    .sort((a, b) => transaction(b) - transaction(a));
}

test("while nobody has it open: any bit", async (t) => {
  const { root, file, digest } = await filled(t);
  const random = seededRandom(1);
  for (let round = 0; round < 6; round++) {
    const used = Number(/^\d+/.exec(await readFile(join(root, "lmdb/sum"), "latin1"))?.[0]);
    t.true(used >= 100 * pageBytes);
    await flip(file, random.below(used), random.below(8));
    const { log, warnings } = listening();
    const store = await openAt(root, log);
    t.true(warnings.includes("LMDB is unusable and is built anew"), `round ${String(round)}`);
    t.is(digestOf(store), digest);
    await store.close();
  }
  const { log, warnings } = listening();
  await (await openAt(root, log)).close();
  t.deepEqual(warnings, [], "and it is not built anew for nothing");
});

/** In processes of their own, which LMDB may take with it, until one gets through. Resolves with their exit statuses. */
function startUntilOne(root: string, digest: string): (number | null)[] {
  const child = new URL("flip-child.ts", import.meta.url).pathname;
  const statuses: (number | null)[] = [];
  while (statuses.length < 4 && !statuses.includes(0))
    statuses.push(spawnSync(process.execPath, ["--import=tsx", child, root, digest]).status);
  return statuses;
}

test("after kill -9: an inner page that says of itself that it has fewer entries, which is no error to LMDB", async (t) => {
  const { root, file, digest } = await filled(t);
  await rm(join(root, "lmdb/sum"));
  const bytes = await readFile(file);
  const page = branches(bytes)[0] ?? 0;
  const lower = bytes.readUInt16LE(page * pageBytes + lowerOffset);
  const bit = [1, 2, 3].find((bit) => (lower & (1 << bit)) !== 0) ?? 0;
  t.true(page > 0 && bit > 0);
  await flip(file, page * pageBytes + lowerOffset, bit);
  const statuses = startUntilOne(root, digest);
  t.is(statuses.at(-1), 0, JSON.stringify(statuses));
  t.false(statuses.includes(3), "something else was read");
});

test("after kill -9: pages in use, inner ones most", async (t) => {
  t.timeout(240_000);
  const { root, file, digest } = await filled(t);
  const good = await readFile(file);
  const seed = Number(process.env["SEED"] ?? Date.now() % 100_000);
  t.log(`SEED=${String(seed)}`);
  const random = seededRandom(seed);
  t.true(branches(good).length > 0);
  for (let round = 0; round < 4; round++) {
    await rm(join(root, "lmdb"), { recursive: true });
    await (await openAt(root)).close();
    await rm(join(root, "lmdb/sum"));
    const [newest = 0] = branches(await readFile(file));
    const page = round % 2 === 0 ? newest : 2 + random.below(good.length / pageBytes - 2);
    const at = page * pageBytes + random.below(round % 2 === 0 ? 512 : pageBytes);
    await flip(file, at, random.below(8));
    const statuses = startUntilOne(root, digest);
    t.false(statuses.includes(3), `something else was read: byte ${String(at)}, ${JSON.stringify(statuses)}`);
    t.true(statuses.includes(0), `it starts again: byte ${String(at)}, ${JSON.stringify(statuses)}`);
  }
});

test("a page that LMDB does not find while it is at work fails the store, and the next start builds it anew", async (t) => {
  const { root, file, digest } = await filled(t);
  const store = await openAt(root);
  const bytes = await readFile(file);
  for (const page of branches(bytes)) {
    const base = page * pageBytes;
    // The list of offsets is behind the header of 24 bytes; bytes 2 and 3 of a node are of a page's number.
    const nodes = bytes.readUInt16LE(base + lowerOffset) / 2;
    for (let node = 0; node < nodes; node++) {
      const at = base + 24 + bytes.readUInt16LE(base + 24 + 2 * node);
      if (at + 4 <= base + pageBytes) bytes.writeUInt16LE(0x7fff, at + 2);
    }
  }
  await writeFile(file, bytes, { flag: "r+" });
  t.throws(() => digestOf(store), { message: /EIO.*the LMDB database cannot be read/ });
  await t.throwsAsync(store.failed, { message: /cannot be read/ });
  await store.close().catch(() => undefined);
  const { log, warnings } = listening();
  const again = await openAt(root, log);
  t.true(warnings.includes("LMDB is unusable and is built anew"));
  t.is(digestOf(again), digest);
  await again.close();
});
