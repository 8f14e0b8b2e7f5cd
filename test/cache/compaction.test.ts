/** Stretches that have fallen into many extents are rewritten in the background. */
import test from "ava";
import { limits } from "../../src/base/limits.ts";
import { at, KiB, MiB, patterned, readAll, startClient, type Client } from "./support.ts";
import type { FileContent } from "../../src/cache/types.ts";

/** A 4 MiB block with `count` pages overwritten in it, each by a flush of its own. */
async function fragmented(client: Client, count: number): Promise<{ file: FileContent; expected: Buffer }> {
  const file = client.open();
  const expected = patterned(4 * MiB, 1);
  await file.write(0, expected, at(1));
  await file.flush();
  for (let i = 0; i < count; i++) {
    const page = patterned(4 * KiB, i + 2);
    page.copy(expected, i * 16 * KiB);
    await file.write(i * 16 * KiB, page, at(i));
    await file.flush();
  }
  return { file, expected };
}

test("a stretch with too many extents becomes one block again, with the same content and times", async (t) => {
  const client = startClient();
  const { cluster, clock } = client;
  const { file, expected } = await fragmented(client, limits.extentsPerBlockMax);
  t.true(cluster.file().extents.length > limits.extentsPerBlockMax);
  const { mtime } = cluster.file();
  await clock.advance(2_000);
  t.is(cluster.count("compactExtents"), 1);
  t.is(cluster.file().extents.length, 1);
  t.true(cluster.content().equals(expected));
  t.true((await readAll(file)).equals(expected));
  t.is(cluster.file().mtime, mtime);
});

test("a compaction that somebody crossed is given up, and nothing is changed by it", async (t) => {
  const client = startClient();
  const { cluster, clock } = client;
  const { file, expected } = await fragmented(client, limits.extentsPerBlockMax);
  const { writer } = client.cluster;
  const write = writer.write.bind(writer);
  let crossed = false;
  Object.assign(writer, {
    write: async (pieces: readonly Uint8Array[]) => {
      const written = await write(pieces);
      if (!crossed) {
        crossed = true;
        await file.write(100, patterned(10, 99), at(5));
        await file.flush();
        patterned(10, 99).copy(expected, 100);
      }
      return written;
    },
  });
  await clock.advance(2_000);
  t.true(crossed);
  t.is(cluster.discarded.length, 1);
  t.true(cluster.content().equals(expected));
  t.true((await readAll(file)).equals(expected));
});

test("nothing is compacted while the file is being written, and a shutdown ends it", async (t) => {
  const client = startClient();
  const { cluster, clock, contents } = client;
  const { file } = await fragmented(client, limits.extentsPerBlockMax);
  await file.write(0, patterned(10, 1), at(1));
  await clock.advance(2_000);
  t.is(cluster.count("compactExtents"), 0);
  await contents.shutdown();
  await clock.advance(10_000);
  t.is(cluster.count("compactExtents"), 0);
});

test("a sparse stretch is left alone: its holes stay holes", async (t) => {
  const { cluster, clock, open } = startClient();
  const file = open();
  for (let i = 0; i < 100; i++) await file.write(i * 32 * KiB, patterned(4 * KiB, i), at(i));
  await file.flush();
  await clock.advance(3_000);
  t.is(cluster.file().extents.length, 100);
  t.is(cluster.count("compactExtents"), 0);
});
