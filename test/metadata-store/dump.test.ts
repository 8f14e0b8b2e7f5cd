import { cp, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import test from "ava";
import { nameFromBytes } from "../../src/base/name.ts";
import { seededRandom } from "../../src/base/random.ts";
import { openSystemDisk } from "../../src/base/system-disk.ts";
import type { BlockId, Ino, NodeId } from "../../src/base/ids.ts";
import { DumpReader, dumpPieces } from "../../src/metadata-store/dump.ts";
import { lineOf, recordOf } from "../../src/metadata-store/dump-line.ts";
import { keys } from "../../src/metadata-store/keys.ts";
import { loadDump } from "../../src/metadata-store/load.ts";
import { openMemoryStore, openMetadataStore, type Store } from "../../src/metadata-store/open.ts";
import { encodeNode, encodeReclaim, encodeXattr } from "../../src/metadata-store/records.ts";
import { listSnapshots } from "../../src/metadata-store/snapshot.ts";
import { RandomRun } from "../name-server/namespace/random-operations.ts";
import { FaultyDisk } from "../support/faulty-disk.ts";
import { SimulatedClock } from "../support/simulated-clock.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";
import { contentOf, smallOptions } from "./support.ts";

const clock = new SimulatedClock();

/** What random operations leave, and some of what they do not make. */
async function filled(seed: number): Promise<Store> {
  const run = new RandomRun(seed);
  for (let step = 0; step < 200; step++) run.step();
  const store = await openMemoryStore({ disk: new FaultyDisk(seededRandom(seed)), clock });
  store.apply([...run.namespace.store.range({ gte: "\0", lt: "\u00ff" })]);
  const odd = nameFromBytes(Buffer.from([0x80, 0x0a, 0xff]));
  const block: BlockId = { group: 3 as never, number: 2 ** 40 };
  store.apply([
    [keys.config("cluster"), Buffer.from("0123456789abcdef", "hex")],
    [
      keys.entry(1 as Ino, odd),
      Buffer.from(store.get(keys.entry(1 as Ino, odd)) ?? Buffer.from("01080500000000000000", "hex")),
    ],
    [keys.xattr(1 as Ino, odd), encodeXattr(2, Buffer.from([0xff, 0]))],
    [keys.xattrPiece(1 as Ino, odd, 1), Buffer.from("more")],
    [keys.reclaim(5), encodeReclaim({ kind: "blocks", freed: 2n ** 60n + 1n, blocks: [block] })],
    [
      keys.node("00000000000000aa" as NodeId),
      encodeNode({
        state: "draining",
        host: "näher",
        port: 7500,
        capacityBytes: 2 ** 50,
        joined: -1n,
        hostLabel: "r1",
        out: true,
      }),
    ],
    ["R12345678\u0003", Buffer.from([1, 2, 3, 0xff])],
    ["~future", Buffer.from("something that this version does not know")],
    ["i", Buffer.from("a key that is too short")],
  ]);
  return store;
}

function dump(store: Store): Promise<string[]> {
  return store.pinned((state) => {
    const lines = Buffer.concat([...dumpPieces(state, store.epoch)])
      .toString("utf8")
      .split("\n");
    return Promise.resolve(lines.slice(0, -1));
  });
}

function partition<T>(items: readonly T[], test: (item: T) => boolean): [T[], T[]] {
  return [items.filter(test), items.filter((item) => !test(item))];
}

async function* each(lines: readonly string[]): AsyncGenerator<string> {
  for (const line of lines) {
    await Promise.resolve();
    yield line;
  }
}

test("a dump that was loaded is the same store without sessions, and its dump the same but for these", async (t) => {
  for (const seed of [1, 2, 3]) {
    const store = await filled(seed);
    const lines = await dump(store);
    const disk = new FaultyDisk(seededRandom(9));
    const header = await loadDump(disk, () => openMemoryStore({ disk, clock }), each(lines));
    t.is(header.cluster, "0123456789abcdef");
    const loaded = await openMemoryStore({ disk: disk.kill(), clock });
    const [ofSessions, others] = partition(contentOf(store), ([key]) => /^[SR]/.test(key));
    t.true(ofSessions.length > 0);
    t.deepEqual(contentOf(loaded), others);
    t.true(loaded.epoch > header.epoch && header.epoch === store.epoch);
    const again = await dump(loaded);
    const [kept, left] = partition(lines.slice(1, -1), (line) => again.includes(line));
    t.deepEqual(again.slice(1, -1), kept);
    t.is(left.length, ofSessions.length);
    await loaded.close();
    await store.close();
  }
});

test("a loaded store that is killed at once is whole, and its snapshot and journal without LMDB, too", async (t) => {
  const store = await filled(4);
  const lines = await dump(store);
  const folder = await temporaryFolder(t);
  const disk = await openSystemDisk(join(folder, "loaded"));
  await loadDump(disk, () => openMetadataStore({ ...smallOptions, disk }), each(lines));
  const [snapshot] = await listSnapshots(disk);
  const first = await openMetadataStore({ ...smallOptions, disk });
  const content = contentOf(first);
  t.deepEqual(
    content,
    contentOf(store).filter(([key]) => !/^[SR]/.test(key)),
  );
  t.is(snapshot, first.lastIndex, "nothing is in the journal alone");
  // As kill -9 leaves it: not closed.
  const spoil: Record<string, (root: string) => Promise<void>> = {
    nothing: () => Promise.resolve(),
    lost: (root) => rm(join(root, "lmdb"), { recursive: true }),
    damaged: (root) => writeFile(join(root, "lmdb", "data.mdb"), Buffer.alloc(65_536, 0x5a)),
  };
  for (const [name, harm] of Object.entries(spoil)) {
    const root = join(folder, name);
    await cp(join(folder, "loaded"), root, { recursive: true });
    await harm(root);
    const again = await openMetadataStore({ ...smallOptions, disk: await openSystemDisk(root) });
    t.deepEqual(contentOf(again), content, name);
    await again.verify();
    await again.close();
  }
  await first.close();
  await store.close();
});

test("the epoch of a loaded store is above that of the dump, however often that name server was started", async (t) => {
  const first = new FaultyDisk(seededRandom(1));
  let disk = first;
  for (let start = 0; start < 5; start++) {
    const store = await openMemoryStore({ disk, clock });
    store.apply([["k", Buffer.from(String(start))]]);
    await store.close();
    disk = disk.kill();
  }
  const store = await openMemoryStore({ disk, clock });
  const lines = await dump(store);
  const target = new FaultyDisk(seededRandom(2));
  await loadDump(target, () => openMemoryStore({ disk: target, clock }), each(lines));
  const loaded = await openMemoryStore({ disk: target.kill(), clock });
  t.is(loaded.epoch, store.epoch + 1);
  await loaded.close();
  await store.close();
});

test("a dump that was cut off or changed anywhere is refused", async (t) => {
  const store = await filled(4);
  const lines = await dump(store);
  const read = (changed: readonly string[]): void => {
    const reader = new DumpReader();
    for (const line of changed) reader.line(line);
    reader.finish();
  };
  t.notThrows(() => {
    read(lines);
  });
  for (let cut = 0; cut < lines.length; cut++) {
    t.throws(() => {
      read(lines.slice(0, cut));
    });
    t.throws(
      () => {
        read([...lines.slice(0, cut), ...lines.slice(cut + 1)]);
      },
      { message: /EINVAL/ },
      `without line ${String(cut)}`,
    );
  }
  const random = seededRandom(5);
  for (let i = 0; i < 300; i++) {
    const at = 1 + random.below(lines.length - 1);
    const line = lines[at] as string;
    const place = random.below(line.length);
    const other = String.fromCharCode(line.charCodeAt(place) ^ 1);
    const changed = `${line.slice(0, place)}${other}${line.slice(place + 1)}`;
    t.throws(
      () => {
        read([...lines.slice(0, at), changed, ...lines.slice(at + 1)]);
      },
      { message: /EINVAL.*line/ },
      changed,
    );
  }
  t.throws(
    () => {
      read([...lines, lines.at(-1) as string]);
    },
    { message: /follows the manifest/ },
  );
  await store.close();
});

test("records are told in words, and in bytes only when there are none", async (t) => {
  const store = await filled(6);
  for (const [key, value] of store.range({ gte: "\0", lt: "\u00ff" })) {
    const line = lineOf(key, value);
    const isRaw = line.startsWith('{"table":"raw"');
    t.is(isRaw, key.startsWith("R") || key.startsWith("~") || key === "i", line);
    const [backKey, backValue] = recordOf(line);
    t.is(backKey, key);
    t.deepEqual(backValue, value);
  }
  t.regex(
    lineOf(keys.entry(1 as Ino, "naïve" as never), Buffer.from("01080500000000000000", "hex")),
    /"table":"entry","parent":1/,
  );
  t.throws(() => recordOf('{"table":"toString"}'), { message: /EINVAL/ });
  await store.close();
});

test("a dump shows one moment, whatever changes while it is written", async (t) => {
  const store = await filled(7);
  const before = contentOf(store);
  await store.pinned(async (state) => {
    const pieces: Buffer[] = [];
    for (const piece of dumpPieces(state, store.epoch)) {
      pieces.push(piece);
      store.apply([
        ["~future", null],
        ["~more", Buffer.from("x")],
      ]);
      await store.durable();
    }
    const lines = Buffer.concat(pieces).toString().trimEnd().split("\n");
    t.deepEqual(
      lines.slice(1, -1).map((line) => recordOf(line)[0]),
      before.map(([key]) => key),
    );
  });
  await store.close();
});
