import { spawnSync } from "node:child_process";
import { readdir, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import test, { type ExecutionContext } from "ava";
import type { Disk } from "../../src/base/disk.ts";
import { limits } from "../../src/base/limits.ts";
import { seededRandom } from "../../src/base/random.ts";
import type { IndexBackendFactory } from "../../src/block-store/index-backend.ts";
import { lmdbBackend } from "../../src/block-store/lmdb-backend.ts";
import { memoryBackend } from "../../src/block-store/memory-backend.ts";
import { holds, id, openStore, put, temporaryDisk } from "./support.ts";

const factories: [string, (t: ExecutionContext) => Promise<IndexBackendFactory>][] = [
  ["LMDB", async (t) => lmdbBackend(await temporaryDisk(t))],
  ["memory", () => Promise.resolve(memoryBackend())],
];
const key = (text: string) => Buffer.from(text, "latin1");

for (const [name, create] of factories) {
  test(`${name}: gives what was committed, in the order of bytes, also when opened again`, async (t) => {
    const factory = await create(t);
    let backend = await factory.open(() => undefined);
    const random = seededRandom(7);
    const model = new Map<string, Buffer>();
    for (let round = 0; round < 20; round++) {
      const changes: [Buffer, Buffer | null][] = [];
      for (let i = 0; i < 50; i++) {
        const bytes = random.bytes(1 + random.below(3));
        const value = random.below(3) === 0 ? null : random.bytes(16);
        changes.push([bytes, value]);
        if (value === null) model.delete(bytes.toString("latin1"));
        else model.set(bytes.toString("latin1"), value);
      }
      await backend.commit(changes);
      if (round === 10) {
        await backend.close();
        backend = await factory.open(() => undefined);
      }
      for (const [text, value] of model) t.true(backend.get(key(text))?.equals(value));
      const sorted = [...model].sort(([a], [b]) => (a < b ? -1 : 1));
      const inside = sorted.filter(([text]) => text >= "\x20" && text < "\xa0");
      const got = [...backend.range(key("\x20"), key("\xa0"))].map(([k, v]) => [
        k.toString("latin1"),
        v.toString("hex"),
      ]);
      t.deepEqual(
        got,
        inside.map(([text, value]) => [text, value.toString("hex")]),
      );
    }
    t.is(backend.get(key("absent")), undefined);
    await backend.close();
  });

  test(`${name}: what is distrusted does not open until it was discarded`, async (t) => {
    const factory = await create(t);
    const backend = await factory.open(() => undefined);
    await backend.commit([[key("a"), key("value")]]);
    await backend.close();
    await factory.distrust();
    await t.throwsAsync(factory.open(() => undefined));
    await factory.discard();
    const empty = await factory.open(() => undefined);
    t.is(empty.get(key("a")), undefined);
    await empty.close();
  });
}

const sizes = [100, 5_000, 70_000, 300_000];
async function filledFolder(t: ExecutionContext): Promise<Disk> {
  const disk = await temporaryDisk(t);
  const store = await openStore(disk);
  for (const [number, length] of sizes.entries()) await put(store, number, length);
  await store.close();
  return disk;
}

async function hasAll(t: ExecutionContext, disk: Disk): Promise<void> {
  const store = await openStore(disk);
  for (const [number, length] of sizes.entries()) t.true(await holds(store, number, length));
  t.is(store.statistics.blocks, sizes.length);
  t.deepEqual(store.greatest(), [{ group: id(0).group, number: sizes.length - 1 }]);
  await store.close();
}

test("an index that was deleted is built again", async (t) => {
  const disk = await filledFolder(t);
  for (const name of await readdir(join(disk.root, "index"))) await disk.remove(`index/${name}`);
  await hasAll(t, disk);
});

test("an index of an older state is completed", async (t) => {
  const disk = await filledFolder(t);
  const old = await readFile(join(disk.root, "index/data.mdb"));
  const store = await openStore(disk);
  await put(store, sizes.length, 40_000);
  await store.close();
  await writeFile(join(disk.root, "index/data.mdb"), old);
  const again = await openStore(disk);
  for (const [number, length] of [...sizes, 40_000].entries()) t.true(await holds(again, number, length));
  await again.close();
});

test("an index that is not LMDB's any more is built again", async (t) => {
  const disk = await filledFolder(t);
  const path = join(disk.root, "index/data.mdb");
  const bytes = await readFile(path);
  await writeFile(path, seededRandom(3).bytes(bytes.length));
  await hasAll(t, disk);
});

test("an index with damaged pages is built again, at the second start if the first one does not survive it", async (t) => {
  const disk = await filledFolder(t);
  const path = join(disk.root, "index/data.mdb");
  const bytes = await readFile(path);
  seededRandom(5).bytes(bytes.length).copy(bytes, 8192, 8192);
  await writeFile(path, bytes);
  const child = new URL("open-child.ts", import.meta.url).pathname;
  const open = () => spawnSync(process.execPath, ["--import=tsx", child, disk.root, String(sizes[0])]).status;
  t.true([open(), open()].includes(0));
  await hasAll(t, disk);
});

test("an index whose opening never ended is built again", async (t) => {
  const disk = await filledFolder(t);
  await (await disk.open("index.doubtful", "create")).close();
  await hasAll(t, disk);
  t.false(await disk.exists("index.doubtful"));
});

test("a damaged value in the index ends the store, and the next start builds the index again", async (t) => {
  const disk = await filledFolder(t);
  const factory = lmdbBackend(disk);
  const store = await openStore(disk, {
    backend: {
      ...factory,
      async open(check) {
        const backend = await factory.open(check);
        const damaged = (value: Buffer): Buffer => (value.writeUInt8(value.readUInt8(3) ^ 4, 3), value);
        const isSecond = (k: Buffer): boolean => k[0] === 0x62 && k.readUIntBE(3, 6) === 2;
        return {
          ...backend,
          get(k) {
            const value = backend.get(k);
            return value !== undefined && isSecond(k) ? damaged(Buffer.from(value)) : value;
          },
        };
      },
    },
  });
  t.throws(() => store.has(id(2)), { message: /EIO/ });
  t.true(await holds(store, 1, sizes[1] as number));
  await t.throwsAsync(store.failed);
  await store.close();
  await hasAll(t, disk);
});

test("the index keeps room behind LMDB's last page, and the file is the same database", async (t) => {
  const disk = await temporaryDisk(t);
  const path = join(disk.root, "index/data.mdb");
  const store = await openStore(disk);
  await put(store, 1, 5_000);
  await store.close();
  const { size, blocks } = await stat(path);
  t.true(size >= limits.indexRoomBytes);
  t.true(blocks * 512 >= limits.indexRoomBytes, "on the disk, not a hole");
  const again = await openStore(disk);
  t.true(again.has(id(1)));
  for (let number = 2; number < 300; number++) await put(again, number, 100);
  await again.close();
  t.true((await stat(path)).size < 2 * limits.indexRoomBytes);
});
