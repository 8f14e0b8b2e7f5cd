/** The index's file rots: it is noticed before anything of it is believed, and the index is built again. */
import { spawnSync } from "node:child_process";
import { readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import test, { type ExecutionContext } from "ava";
import type { Disk } from "../../src/base/disk.ts";
import { seededRandom } from "../../src/base/random.ts";
import type { IndexBackend, IndexBackendFactory } from "../../src/block-store/index-backend.ts";
import { lmdbBackend } from "../../src/block-store/lmdb-backend.ts";
import { memoryBackend } from "../../src/block-store/memory-backend.ts";
import { holds, id, memoryDisk, openStore, put, randomSeed, temporaryDisk } from "./support.ts";

const kept = 60;
const length = 100;

async function fill(disk: Disk, backend?: IndexBackendFactory): Promise<void> {
  const store = await openStore(disk, backend === undefined ? {} : { backend });
  for (let number = 0; number < 400; number += 50) {
    await Promise.all(Array.from({ length: 50 }, (_, i) => put(store, number + i, length)));
  }
  await store.remove(Array.from({ length: 400 - kept }, (_, i) => id(kept + i)));
  await store.close();
}

/** What was removed may be there again: the name server sees to that. */
async function hasAll(t: ExecutionContext, disk: Disk, backend?: IndexBackendFactory): Promise<void> {
  const store = await openStore(disk, backend === undefined ? {} : { backend });
  for (let number = 0; number < kept; number++) {
    t.true(store.has(id(number)) && (await holds(store, number, length)), `block ${String(number)}`);
  }
  await store.close();
}

/** Until it is discarded, it is as `spoil` makes it. */
function spoiled(
  factory: IndexBackendFactory,
  spoil: (opened: IndexBackend) => IndexBackend,
): IndexBackendFactory & { readonly isSpoiled: boolean } {
  let isSpoiled = true;
  return {
    get isSpoiled() {
      return isSpoiled;
    },
    open: async (check) => {
      const opened = await factory.open(() => undefined);
      const shown = isSpoiled ? spoil(opened) : opened;
      check(shown);
      return shown;
    },
    distrust: () => factory.distrust(),
    discard: () => {
      isSpoiled = false;
      return factory.discard();
    },
  };
}

const without = (opened: IndexBackend, isGone: (key: Buffer) => boolean): IndexBackend => ({
  ...opened,
  get: (key) => (isGone(key) ? undefined : opened.get(key)),
  *range(gte, lt) {
    for (const pair of opened.range(gte, lt)) if (!isGone(pair[0])) yield pair;
  },
});
const isBlock = (key: Buffer): boolean => key[0] === 0x62;
const isSeventh = (key: Buffer): boolean => isBlock(key) && key.readUIntBE(3, 6) === 7;
const kinds: [string, (opened: IndexBackend) => IndexBackend][] = [
  ["lacks a block", (opened) => without(opened, isSeventh)],
  ["lacks all blocks", (opened) => without(opened, isBlock)],
  ["lacks its position", (opened) => without(opened, (key) => key[0] === 0x70)],
  ["lacks a segment", (opened) => without(opened, (key) => key[0] === 0x73)],
  ["lacks a greatest number", (opened) => without(opened, (key) => key[0] === 0x67)],
  [
    "has a block that a search does not find",
    (opened) => ({ ...opened, get: (key) => (isSeventh(key) ? undefined : opened.get(key)) }),
  ],
  [
    "is not in order",
    (opened) => ({
      ...opened,
      *range(gte, lt) {
        const pairs = [...opened.range(gte, lt)];
        if (pairs.length > 20) pairs.splice(3, 0, ...pairs.splice(9, 1));
        yield* pairs;
      },
    }),
  ],
  [
    "has another value",
    (opened) => ({
      ...opened,
      *range(gte, lt) {
        for (const [key, value] of opened.range(gte, lt)) {
          if (isSeventh(key)) value.writeUInt8(value.readUInt8(2) ^ 1, 2);
          yield [key, value] as const;
        }
      },
    }),
  ],
];

for (const [what, spoil] of kinds) {
  test(`an index that ${what} is built again`, async (t) => {
    const disk = memoryDisk();
    const backend = memoryBackend();
    await fill(disk, backend);
    const rotten = spoiled(backend, spoil);
    await hasAll(t, disk, rotten);
    t.false(rotten.isSpoiled);
  });
}

const pageBytes = 4096;
const usedPages = (file: Buffer): number =>
  1 + Math.max(...[0, pageBytes].map((meta) => Number(file.readBigUInt64LE(meta + 24 + 120))));

async function flip(path: string, bit: number): Promise<void> {
  const bytes = await readFile(path);
  bytes.writeUInt8(bytes.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3);
  await writeFile(path, bytes);
}

test("a bit of the index that flips while the node is stopped is noticed before LMDB sees it", async (t) => {
  const disk = await temporaryDisk(t);
  await fill(disk);
  const path = join(disk.root, "index/data.mdb");
  const seed = randomSeed(t);
  const random = seededRandom(seed);
  for (let page = 0; page < usedPages(await readFile(path)); page++) {
    t.true(await disk.exists("index.sum"), "it was closed in order");
    // Half of them in the page's own header and the offsets behind it.
    const byte = page * pageBytes + random.below(page % 2 === 0 ? 64 : pageBytes);
    await flip(path, byte * 8 + random.below(8));
    const lmdb = lmdbBackend(disk);
    let discarded = 0;
    const discard = (): Promise<void> => ((discarded += 1), lmdb.discard());
    await hasAll(t, disk, { ...lmdb, discard });
    t.is(discarded, 1, `byte ${String(byte)}`);
  }
});

test("a bit of the index that flips after a kill costs no block, and stops the node for two starts at most", async (t) => {
  t.timeout(240_000);
  const random = seededRandom(randomSeed(t));
  const child = new URL("open-child.ts", import.meta.url).pathname;
  for (let round = 0; round < 6; round++) {
    const disk = await temporaryDisk(t);
    await fill(disk);
    await rm(join(disk.root, "index.sum"));
    const path = join(disk.root, "index/data.mdb");
    const at = (2 + random.below(usedPages(await readFile(path)) - 2)) * pageBytes + random.below(128);
    await flip(path, at * 8 + random.below(8));
    // In processes of their own: LMDB may take them with it.
    const starts = [0, 1, 2].map(
      () => spawnSync(process.execPath, ["--import=tsx", child, disk.root, String(length), String(kept)]).status,
    );
    t.false(starts.includes(3), `a block was missing or wrong: byte ${String(at)}, ${JSON.stringify(starts)}`);
    t.true(starts.includes(0), `it starts again: byte ${String(at)}, ${JSON.stringify(starts)}`);
  }
});
