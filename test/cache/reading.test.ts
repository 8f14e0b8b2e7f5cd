/** What a read costs: messages, bytes, waiting. */
import test from "ava";
import { seededRandom } from "../../src/base/random.ts";
import type { FileContent } from "../../src/cache/types.ts";
import { FakeCluster, ino } from "./fake-cluster.ts";
import { at, joined, KiB, MiB, patterned, readAll, startClient, type Client } from "./support.ts";

/** A cluster with one file of pages in random order of writing, and a client that has not seen it. */
async function coldClient(
  bytes: number,
  options: { pages: "random" | "sequential" },
): Promise<Client & { file: FileContent }> {
  const cluster = new FakeCluster();
  const writer = startClient({ cluster });
  const file = writer.open();
  const step = options.pages === "random" ? 4 * KiB : 1 * MiB;
  const order = Array.from({ length: bytes / step }, (_, i) => i);
  const random = seededRandom(5);
  if (options.pages === "random") order.sort(() => random.below(3) - 1);
  for (const index of order) await file.write(index * step, patterned(step, index), at(1));
  await file.flush();
  await writer.contents.shutdown();
  cluster.requests.length = 0;
  const reader = startClient({ cluster });
  return { ...reader, file: reader.open() };
}

async function turns(count: number): Promise<void> {
  for (let i = 0; i < count; i++) await new Promise<void>((resolve) => setImmediate(resolve));
}

test("random 4 KiB reads transfer 4 KiB each, and need no name server once the layout is here", async (t) => {
  const { cluster, file } = await coldClient(32 * MiB, { pages: "random" });
  cluster.extentsPerReply = 64;
  await readAll(file, 20 * MiB, 4 * KiB);
  await turns(2_000);
  const asked = cluster.count("readExtents");
  const random = seededRandom(9);
  const pages = new Set<number>();
  for (let i = 0; i < 200; i++) {
    const index = random.below(8_192);
    pages.add(index);
    const bytes = joined(await file.read(index * 4 * KiB, 4 * KiB));
    t.true(bytes.equals(patterned(4 * KiB, index)));
  }
  t.is(cluster.count("readExtents"), asked);
  t.true(cluster.reads.every(({ length }) => length === 4 * KiB));
  t.true(cluster.reads.length <= pages.size + 1);
});

test("a read that is all at hand answers at once: dirty, inline, cached or a hole", async (t) => {
  const { open } = startClient();
  const file = open();
  await file.write(0, patterned(4 * KiB, 1), at(1));
  await file.write(1 * MiB, patterned(4 * KiB, 2), at(1));
  const dirty = file.read(0, 8 * KiB);
  t.false(dirty instanceof Promise);
  if (!(dirty instanceof Promise))
    t.true(joined(dirty).equals(Buffer.concat([patterned(4 * KiB, 1), Buffer.alloc(4 * KiB)])));
  await file.flush();
  t.false(file.read(0, 8 * KiB) instanceof Promise, "own inline content is known");
  await file.write(2 * MiB, patterned(1 * MiB, 3), at(1));
  await file.flush();
  t.true((await readAll(file, 2 * MiB, 1 * MiB)).equals(patterned(1 * MiB, 3)));
  t.false(file.read(2 * MiB + 5, 100 * KiB) instanceof Promise, "a block that was read");
  t.is(joined(await file.read(3 * MiB, 100)).length, 0, "past the end");
});

test("a sequential reader is read ahead in pieces of a MiB, each fetched once", async (t) => {
  const { cluster, file } = await coldClient(32 * MiB, { pages: "sequential" });
  let waits = 0;
  for (let offset = 0; offset < 32 * MiB; offset += 128 * KiB) {
    const answer = file.read(offset, 128 * KiB);
    if (answer instanceof Promise) waits++;
    const bytes = joined(await answer);
    const index = Math.floor(offset / MiB);
    t.true(bytes.equals(patterned(1 * MiB, index).subarray(offset % MiB, (offset % MiB) + 128 * KiB)));
    await turns(2);
  }
  t.true(waits <= 2, `${String(waits)} reads waited`);
  t.is(cluster.reads.length, 32);
  t.true(cluster.reads.every(({ length }) => length === 1 * MiB));
  t.is(cluster.count("readExtents"), 1);
});

test("two sequential readers of one file are both read ahead", async (t) => {
  const { cluster, file } = await coldClient(32 * MiB, { pages: "sequential" });
  let waits = 0;
  for (let offset = 0; offset < 8 * MiB; offset += 128 * KiB) {
    for (const start of [0, 16 * MiB]) {
      const answer = file.read(start + offset, 128 * KiB);
      if (answer instanceof Promise) waits++;
      await answer;
    }
    await turns(2);
  }
  t.true(waits <= 6, `${String(waits)} reads waited`);
  t.true(cluster.reads.length <= 36);
});

test("concurrent reads of one piece share one fetch", async (t) => {
  const { cluster, file } = await coldClient(4 * MiB, { pages: "sequential" });
  const wanted = [0, 1, 2, 3].map((i) => readAll(file, i * 128 * KiB, 128 * KiB));
  for (const [i, bytes] of (await Promise.all(wanted)).entries()) {
    t.true(bytes.equals(patterned(1 * MiB, 0).subarray(i * 128 * KiB, (i + 1) * 128 * KiB)));
  }
  t.true(cluster.reads.filter(({ offset }) => offset < 1 * MiB).length === 1);
});

test("pieces stay as they were until they are released, whatever is written and flushed meanwhile", async (t) => {
  const { contents, open } = startClient();
  const file = open();
  await file.write(0, patterned(64 * KiB, 1), at(1));
  const held = await file.read(0, 64 * KiB);
  for (let i = 2; i < 20; i++) {
    await file.write(0, patterned(64 * KiB, i), at(i));
    if (i % 3 === 0) await file.flush();
  }
  t.true(Buffer.concat(held.pieces).equals(patterned(64 * KiB, 1)));
  held.release?.();
  await file.flush();
  t.is(contents.statistics.dirtyBytes, 0);
});

test("a small file comes with its layout: one message, no block", async (t) => {
  const cluster = new FakeCluster();
  const writer = startClient({ cluster });
  await writer.open().write(0, patterned(5_000, 1), at(1));
  await writer.contents.flushAll();
  cluster.requests.length = 0;
  const { open } = startClient({ cluster });
  const file = open();
  t.true((await readAll(file)).equals(patterned(5_000, 1)));
  t.false(file.read(0, 5_000) instanceof Promise);
  t.deepEqual(
    cluster.requests.map(({ method }) => method),
    ["readExtents"],
  );
  t.is(cluster.reads.length, 0);
});

test("without a lease each read asks, and sees what they wrote", async (t) => {
  const cluster = new FakeCluster();
  const one = startClient({ cluster, lease: "none" });
  const two = startClient({ cluster, lease: "none" });
  const [here, there] = [one.open(), two.open()];
  for (let i = 0; i < 5; i++) {
    const writer = i % 2 === 0 ? here : there;
    const reader = i % 2 === 0 ? there : here;
    await writer.write(i * 1_000, patterned(3_000, i), at(i));
    t.false(writer.isDirty, "committed when it resolved");
    t.true((await readAll(reader, i * 1_000, 1 * MiB)).equals(patterned(3_000, i)));
  }
  t.is(await here.append(Buffer.from("one"), at(9)), 7_000);
  t.is(await there.append(Buffer.from("two"), at(9)), 7_003);
  t.is((await readAll(here, 7_000, 100)).toString(), "onetwo");
  const large = patterned(300 * KiB, 4);
  t.is(await there.append(large, at(9)), 7_006);
  t.true((await readAll(here, 7_006, 1 * MiB)).equals(large));
});

test("a lease that is given back is flushed and forgotten; what a new one finds is the server's", async (t) => {
  const cluster = new FakeCluster();
  const one = startClient({ cluster });
  const file = one.open();
  await file.write(0, patterned(1_000, 1), at(1));
  await one.giveBack();
  t.true(cluster.content().equals(patterned(1_000, 1)));
  const two = startClient({ cluster, lease: "none" });
  await two.open().append(patterned(500, 2), at(2));
  t.is((await readAll(file, 0, 10_000)).length, 1_500);
  await two.open().append(patterned(500, 3), at(3));
  await two.contents.shutdown();
  one.gain("exclusive");
  t.is(file.size, 2_000);
  t.is(file.append(Buffer.from("end"), at(4)), 2_000);
  await file.flush();
  t.is(cluster.content(ino).subarray(2_000).toString(), "end");
});

test("a size that is told while a commit is on its way is neither ignored nor overwritten", async (t) => {
  const cluster = new FakeCluster();
  const one = startClient({ cluster, lease: "none" });
  const file = one.open();
  let release = (): void => undefined;
  let calls = 0;
  // The commit is done, its answer is not here.
  const answered = new Promise<void>((resolve) => (release = resolve));
  cluster.delay = () => (++calls === 2 ? answered : Promise.resolve());
  const written = file.write(0, patterned(1_000, 1), at(1));
  while (cluster.file().size === 0) await Promise.resolve();
  await startClient({ cluster, lease: "none" }).open().append(patterned(500, 2), at(2));
  one.gain("exclusive");
  t.is((await readAll(file, 0, 10_000)).length, 1_500);
  const appended = file.append(Buffer.from("end"), at(3));
  release();
  await written;
  t.is(await appended, 1_500);
  await file.flush();
  t.true(cluster.content().subarray(1_000, 1_500).equals(patterned(500, 2)));
});

test("what a reader fetches while the lease is given back is not remembered", async (t) => {
  const cluster = new FakeCluster();
  const writer = startClient({ cluster, lease: "none" }).open();
  await writer.write(0, Buffer.from("before"), at(1));
  const one = startClient({ cluster, lease: "shared" });
  const file = one.open();
  const reading = readAll(file, 0, 6);
  await one.giveBack();
  t.is((await reading).toString(), "before");
  await writer.write(0, Buffer.from("after!"), at(2));
  one.gain("shared");
  t.is((await readAll(file, 0, 6)).toString(), "after!");
});

test("seek finds data and holes, written and unwritten", async (t) => {
  for (const lease of ["exclusive", "none"] as const) {
    const { cluster, open } = startClient({ lease });
    const file = open();
    await file.write(1 * MiB, patterned(4 * KiB, 1), at(1));
    await file.flush();
    await file.write(9 * MiB, patterned(4 * KiB, 2), at(1));
    t.is(await file.seek(0, 3), 1 * MiB);
    t.is(await file.seek(0, 4), 0);
    t.is(await file.seek(1 * MiB + 7, 3), 1 * MiB + 7);
    t.is(await file.seek(1 * MiB, 4), 1 * MiB + 4 * KiB);
    t.is(await file.seek(2 * MiB, 3), 9 * MiB);
    t.is(await file.seek(9 * MiB, 4), 9 * MiB + 4 * KiB);
    await t.throwsAsync(file.seek(9 * MiB + 4 * KiB, 3), { message: /ENXIO/ });
    cluster.truncate(20 * MiB);
    await file.change({}, () => {
      cluster.truncate(20 * MiB);
      file.serverSize(20 * MiB);
      return Promise.resolve();
    });
    await t.throwsAsync(file.seek(10 * MiB, 3), { message: /ENXIO/ });
    t.is(await file.seek(10 * MiB, 4), 10 * MiB);
  }
});

test("what is read and written while the kernel keeps it insists on a lease at the server", async (t) => {
  for (const insists of [false, true]) {
    const client = startClient({ lease: "none" });
    client.insists = insists;
    const file = client.open();
    await file.write(0, patterned(4 * KiB, 1), at(1));
    await file.flush();
    await readAll(file);
    const said = (wanted: string): unknown[] =>
      client.cluster.requests
        .filter(({ method }) => method === wanted)
        .map(({ request }) => (request as { insist?: boolean }).insist ?? false);
    t.true(said("writeExtents").length > 0 && said("writeExtents").every((insist) => insist === insists));
    t.true(said("readExtents").length > 0 && said("readExtents").every((insist) => insist === insists));
  }
});

test("who has written a small block reads it without asking for it; of a large one its last unit, if that is not whole", async (t) => {
  const { cluster, open } = startClient();
  const read = async (bytes: number, step: number, from: number): Promise<number> => {
    const file = open(ino);
    const content = patterned(bytes, 7);
    for (let start = 0; start < bytes; start += step)
      await file.write(start, content.subarray(start, start + step), at(1));
    await file.flush();
    cluster.reads.length = 0;
    t.true(joined(await file.read(from, bytes - from)).equals(content.subarray(from)));
    return cluster.reads.length;
  };
  t.is(await read(20_000, 20_000, 0), 0);
  t.is(await read(20_000, 3_000, 0), 0);
  t.is(await read(128 * KiB, 128 * KiB, 0), 0);
  t.is(await read(128 * KiB + 1, 1_000, 128 * KiB), 0);
  t.is(await read(300_001, 999, 299_008), 0);
  t.is(await read(300_001, 300_001, 299_007), 1);
});
