/** How writes leave: inline, as blocks, packed, in order, in the background. */
import test from "ava";
import { toIno } from "../../src/base/ids.ts";
import { limits } from "../../src/base/limits.ts";
import { seededRandom } from "../../src/base/random.ts";
import type { Extent } from "../../src/protocol/types.ts";
import { at, KiB, MiB, patterned, readAll, startClient } from "./support.ts";

function extentsOf(request: unknown): Extent[] {
  return (request as { extents: Extent[] }).extents;
}

test("a 4 KiB write and its fsync make one request with one inline extent, and nothing else", async (t) => {
  const { cluster, open } = startClient();
  const file = open();
  t.is(file.write(0, patterned(4 * KiB, 1), at(1)), undefined);
  await file.flush();
  t.is(cluster.requests.length, 1);
  const [{ method, request } = { method: "", request: undefined }] = cluster.requests;
  t.is(method, "writeExtents");
  t.is(extentsOf(request).length, 1);
  t.is(extentsOf(request)[0]?.kind, "inline");
  t.is(cluster.blocks.size, 0);
  t.true(cluster.content().equals(patterned(4 * KiB, 1)));
  t.false(file.isDirty);
  t.is(file.dirtyTime, undefined);
  t.is(cluster.file().mtime, 1n);
  await file.flush();
  t.is(cluster.requests.length, 1, "a clean file sends nothing");
});

test("a 4 KiB write into a large file and its fsync are one inline request too", async (t) => {
  const { cluster, open } = startClient();
  const file = open();
  await file.write(0, patterned(1 * MiB, 1), at(1));
  await file.flush();
  const before = cluster.requests.length;
  await file.write(512 * KiB, patterned(4 * KiB, 2), at(2));
  await file.flush();
  t.is(cluster.requests.length, before + 1);
  t.is(extentsOf(cluster.requests.at(-1)?.request)[0]?.kind, "inline");
});

test("writing 64 MiB in order makes 16 whole blocks, most of them before the flush", async (t) => {
  const { cluster, open } = startClient();
  const file = open();
  const piece = patterned(1 * MiB, 3);
  for (let i = 0; i < 64; i++) {
    piece.writeUInt32LE(i);
    await file.write(i * MiB, piece, at(i));
    await new Promise<void>((resolve) => setImmediate(resolve));
  }
  t.true(cluster.blocks.size >= 15);
  await file.flush();
  t.is(cluster.blocks.size, 16);
  t.true([...cluster.blocks.values()].every((block) => block.length === 4 * MiB));
  t.is(cluster.file().extents.length, 16);
  for (let i = 0; i < 64; i++) t.is(cluster.content().readUInt32LE(i * MiB), i);
});

test("a stretch written in any order leaves as one block with one extent when it is full", async (t) => {
  const { cluster, open } = startClient();
  const file = open();
  for (const i of [2, 0, 3, 1]) await file.write(i * MiB, patterned(1 * MiB, i), at(i));
  await new Promise<void>((resolve) => setImmediate(resolve));
  t.is(cluster.blocks.size, 1);
  t.is(cluster.file().extents.length, 1);
  t.true(cluster.content().equals(Buffer.concat([0, 1, 2, 3].map((i) => patterned(1 * MiB, i)))));
});

test("16,384 random writes of 4 KiB are packed into at most 20 blocks", async (t) => {
  const { cluster, open } = startClient();
  const file = open();
  const random = seededRandom(11);
  const page = patterned(4 * KiB, 1);
  const written = new Set<number>();
  for (let i = 0; i < 16_384; i++) {
    const index = random.below(131_072);
    page.writeUInt32LE(index);
    written.add(index);
    await file.write(index * 4 * KiB, page, at(i));
  }
  await file.flush();
  t.true(cluster.blocks.size <= 20, `${String(cluster.blocks.size)} blocks`);
  const content = cluster.content();
  for (const index of written) t.is(content.readUInt32LE(index * 4 * KiB), index);
});

test("overlapping writes coalesce: what is overwritten before a flush is never sent", async (t) => {
  const { cluster, contents, open } = startClient();
  const file = open();
  for (let i = 0; i < 1000; i++) await file.write(100, patterned(4 * KiB, i), at(i));
  t.true(contents.statistics.dirtyBytes < 64 * KiB);
  await file.flush();
  t.is(cluster.requests.length, 1);
  t.true(
    cluster
      .content()
      .subarray(100)
      .equals(patterned(4 * KiB, 999)),
  );
});

test("a write during the flush of the same range is not lost, and commits stay in order", async (t) => {
  const { cluster, open } = startClient();
  const file = open();
  const releases: (() => void)[] = [];
  cluster.delay = () => new Promise<void>((resolve) => releases.push(resolve));
  const step = async (): Promise<void> => {
    for (let turn = 0; turn < 10; turn++) {
      releases.splice(0).forEach((release) => {
        release();
      });
      await new Promise<void>((resolve) => setImmediate(resolve));
    }
  };
  await file.write(0, patterned(8 * KiB, 1), at(1));
  const first = file.flush();
  await file.write(4 * KiB, patterned(8 * KiB, 2), at(2));
  const newest = Buffer.concat([patterned(8 * KiB, 1).subarray(0, 4 * KiB), patterned(8 * KiB, 2)]);
  t.true((await readAll(file)).equals(newest));
  const second = file.flush();
  t.is(cluster.count("writeExtents"), 1, "the second commit waits for the first");
  await step();
  await Promise.all([first, second]);
  t.is(cluster.count("writeExtents"), 2);
  t.true(
    cluster
      .content()
      .subarray(4 * KiB)
      .equals(patterned(8 * KiB, 2)),
  );
  t.is(cluster.file().mtime, 2n);
  t.is(file.dirtyTime, undefined);
});

test("a flush does not wait for what is written after it", async (t) => {
  const { cluster, open } = startClient();
  const file = open();
  await file.write(0, patterned(4 * KiB, 1), at(1));
  const flushed = file.flush();
  await file.write(1 * MiB, patterned(4 * KiB, 2), at(2));
  await flushed;
  t.true(file.isDirty);
  t.is(cluster.count("writeExtents"), 1);
  t.is(file.dirtyTime, 2n);
});

test("dirty data is flushed when it is five seconds old", async (t) => {
  const { cluster, clock, open } = startClient();
  const file = open();
  await file.write(0, patterned(4 * KiB, 1), at(1));
  await clock.advance(limits.clientDirtyAgeMillis - 200);
  t.is(cluster.requests.length, 0);
  await clock.advance(400);
  t.is(cluster.requests.length, 1);
  t.false(file.isDirty);
});

test("flushSoon writes in the background, and several small files at once", async (t) => {
  const { cluster, open } = startClient();
  const file = open();
  await file.write(0, patterned(4 * KiB, 1), at(1));
  file.flushSoon();
  t.is(cluster.count("writeExtents"), 1);
  await new Promise<void>((resolve) => setImmediate(resolve));
  t.false(file.isDirty);
});

test("the end of setuid travels with the flush, and again after it failed", async (t) => {
  const { cluster, open } = startClient();
  const file = open();
  await file.write(0, patterned(10, 1), { time: 1n, clearPrivileges: true });
  cluster.faults.commit = () => "ENOSPC";
  await t.throwsAsync(file.flush(), { message: /ENOSPC/ });
  cluster.faults = {};
  await file.flush();
  t.is(cluster.file().cleared, 1);
  await file.write(0, patterned(10, 1), at(3));
  await file.flush();
  t.is(cluster.file().cleared, 1);
});

test("a write that was cut off unsent takes no setuid with a later flush", async (t) => {
  const { cluster, open } = startClient();
  const file = open();
  await file.write(0, patterned(10, 1), { time: 1n, clearPrivileges: true });
  await file.change({ discardFrom: 0 }, () => Promise.resolve());
  t.false(file.isDirty);
  await file.write(0, patterned(10, 1), at(2));
  await file.flush();
  t.is(cluster.file().cleared, 0);
});

test("a setattr of mtime wins over earlier writes", async (t) => {
  const { cluster, open } = startClient();
  const file = open();
  await file.write(0, patterned(10, 1), at(5));
  await file.change({ keepDirty: true }, () => {
    cluster.file().mtime = 3n;
    file.forgetDirtyTime();
    return Promise.resolve();
  });
  t.is(file.dirtyTime, undefined);
  await file.flush();
  t.is(cluster.file().mtime, 3n);
});

test("blocks under an old epoch are written again elsewhere", async (t) => {
  const { cluster, open } = startClient();
  const file = open();
  let moved = false;
  cluster.faults.commit = () => {
    if (moved) return undefined;
    moved = true;
    cluster.epoch++;
    return "ESTALE";
  };
  await file.write(0, patterned(2 * MiB, 1), at(1));
  await file.flush();
  t.is(cluster.blocks.size, 2);
  t.true(cluster.content().equals(patterned(2 * MiB, 1)));
  const [extent] = cluster.file().extents;
  t.is(cluster.discarded.length, 1);
  t.true(extent?.kind === "block" && extent.block.number !== cluster.discarded[0]?.number);
});

test("flushing everything asks only the files that have something to write", async (t) => {
  const { contents, open } = startClient();
  const clean = Array.from({ length: 100 }, (_, i) => open(toIno(100 + i)));
  for (const file of clean) await file.write(0, patterned(100, 1), at(1));
  await contents.flushAll();
  let flushes = 0;
  for (const file of clean)
    file.flush = () => {
      flushes++;
      return Promise.resolve();
    };
  await open().write(0, patterned(100, 2), at(2));
  await contents.flushAll();
  t.is(contents.statistics.dirtyBytes, 0);
  t.is(flushes, 0);
});
