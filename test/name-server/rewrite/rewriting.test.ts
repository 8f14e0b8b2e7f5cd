import test from "ava";
import type { Ino } from "../../../src/base/ids.ts";
import { keys } from "../../../src/metadata-store/keys.ts";
import { decodeBlock } from "../../../src/metadata-store/records.ts";
import { blockOfKey } from "../../../src/metadata-store/keys.ts";
import { inlineBytesSum } from "../../../src/name-server/namespace/inline-sum.ts";
import { violations } from "../namespace/invariants.ts";
import { root } from "../support.ts";
import { pattern, RewriteCluster } from "./support.ts";

const KiB = 1024;

/** What a file should hold. */
class Model {
  readonly files = new Map<Ino, Buffer>();

  write(ino: Ino, offset: number, bytes: Buffer): void {
    const old = this.files.get(ino) ?? Buffer.alloc(0);
    const content = Buffer.alloc(Math.max(old.length, offset + bytes.length));
    old.copy(content);
    bytes.copy(content, offset);
    this.files.set(ino, content);
  }
}

function liveShares(cluster: RewriteCluster): number[] {
  const shares: number[] = [];
  for (const [, value] of cluster.cluster.store.range({ gte: "b", lt: "c" })) {
    const { liveBytes, length } = decodeBlock(value);
    shares.push(liveBytes / length);
  }
  return shares;
}

test("blocks less than half alive are rewritten, several to one, and deleted after the grace time", async (t) => {
  const cluster = await RewriteCluster.start();
  const { client } = cluster;
  const ino = await client.create("file");
  const model = new Model();
  for (let i = 0; i < 24; i++) {
    const bytes = pattern(i, 64 * KiB);
    await cluster.writeBlock(ino, [{ offset: i * 64 * KiB, bytes }]);
    model.write(ino, i * 64 * KiB, bytes);
  }
  // Of every block the middle, one block for all of it.
  const pieces = Array.from({ length: 24 }, (_, i) => ({
    offset: i * 64 * KiB + 8 * KiB,
    bytes: pattern(100 + i, 40 * KiB),
  }));
  for (const { offset, bytes } of pieces) model.write(ino, offset, bytes);
  await cluster.writeBlock(ino, pieces);
  t.is(liveShares(cluster).filter((share) => share < 0.5).length, 24);
  const before = cluster.named().size;
  await cluster.until(() => liveShares(cluster).every((share) => share >= 0.5), "cleaning");
  t.true(cluster.named().size <= before - 12, "several to one");
  await cluster.pass(20_000);
  t.true((await cluster.read(ino)).equals(model.files.get(ino) as Buffer));
  t.deepEqual(violations(cluster.cluster.store), []);
  t.deepEqual(await cluster.differences(), []);
  t.is(cluster.cluster.server.status().rewrite.halfDeadBlocks, 0);
  await cluster.stop();
});

test("a block that dies within a moment is not copied", async (t) => {
  const cluster = await RewriteCluster.start();
  const ino = await cluster.client.create("file");
  await cluster.writeBlock(ino, [{ offset: 0, bytes: pattern(1, 64 * KiB) }]);
  await cluster.writeBlock(ino, [{ offset: 0, bytes: pattern(2, 48 * KiB) }]);
  await cluster.pass(5_000);
  await cluster.writeBlock(ino, [{ offset: 0, bytes: pattern(3, 64 * KiB) }]);
  await cluster.pass(30_000);
  t.is(cluster.cluster.server.status().rewrite.rewrittenBytes, 0);
  t.true((await cluster.read(ino)).equals(pattern(3, 64 * KiB)));
  t.deepEqual(await cluster.differences(), []);
  await cluster.stop();
});

test("half-dead blocks that nobody noted are found by the walk after a restart", async (t) => {
  const cluster = await RewriteCluster.start();
  const ino = await cluster.client.create("file");
  await cluster.writeBlock(ino, [{ offset: 0, bytes: pattern(1, 64 * KiB) }]);
  await cluster.writeBlock(ino, [{ offset: 0, bytes: pattern(2, 48 * KiB) }]);
  await cluster.cluster.crash();
  await cluster.client.resume();
  await cluster.until(() => liveShares(cluster).every((share) => share >= 0.5), "cleaning");
  await cluster.pass(20_000);
  t.true(
    (await cluster.read(ino)).equals(Buffer.concat([pattern(2, 48 * KiB), pattern(1, 64 * KiB).subarray(48 * KiB)])),
  );
  t.deepEqual(await cluster.differences(), []);
  await cluster.stop();
});

test("blocks that clones share are rewritten once there are many, and stay shared", async (t) => {
  const cluster = await RewriteCluster.start();
  const { client } = cluster;
  const ino = await client.create("file");
  const clone = await client.create("clone");
  for (let i = 0; i < 70; i++) await cluster.writeBlock(ino, [{ offset: i * 16 * KiB, bytes: pattern(i, 16 * KiB) }]);
  const length = 70 * 16 * KiB;
  await client.change("copyFileRange", { caller: root, from: ino, fromOffset: 0, to: clone, toOffset: 0, length });
  const cut = Array.from({ length: 70 }, (_, i) => ({ offset: i * 16 * KiB, bytes: pattern(200, 14 * KiB) }));
  for (const file of [ino, clone]) await cluster.writeBlock(file, cut);
  const expected = Buffer.concat(
    cut.map(({ bytes }, i) => Buffer.concat([bytes, pattern(i, 16 * KiB).subarray(14 * KiB)])),
  );
  await cluster.until(() => liveShares(cluster).every((share) => share >= 0.5), "cleaning");
  await cluster.pass(20_000);
  for (const file of [ino, clone]) t.true((await cluster.read(file)).equals(expected));
  // 140 KiB once, and the 14 KiB pieces of both.
  t.true(cluster.heldBytes / 2 < 2 * 70 * 14 * KiB + 2 * 70 * 2 * KiB);
  t.deepEqual(violations(cluster.cluster.store), []);
  t.deepEqual(await cluster.differences(), []);
  await cluster.stop();
});

test("the oldest inline content is packed, many files to one block, until the table is within its bound", async (t) => {
  const bound = 700 * KiB;
  const cluster = await RewriteCluster.start({ inlineTableBytesMax: bound });
  const { client, cluster: inner } = cluster;
  const files: { ino: Ino; bytes: Buffer }[] = [];
  for (let i = 0; i < 200; i++) {
    const bytes = pattern(i, 3 * KiB + i);
    const ino = await client.create(`file-${String(i)}`);
    await cluster.writeInline(ino, 0, bytes);
    files.push({ ino, bytes });
  }
  t.true(inlineBytesSum(inner.store) > bound);
  await cluster.pass(5_000);
  t.true(inlineBytesSum(inner.store) > bound, "what was written a moment ago stays");
  await cluster.until(() => inlineBytesSum(inner.store) <= bound, "packing");
  const kinds: string[] = [];
  for (const { ino } of files) kinds.push((await cluster.extents(ino))[0]?.kind ?? "none");
  t.is(kinds[0], "block", "the oldest first");
  t.is(kinds.at(-1), "inline");
  t.true(cluster.named().size <= 2, "many to one");
  for (const { ino, bytes } of files) t.true((await cluster.read(ino)).equals(bytes));
  t.deepEqual(violations(inner.store), []);

  // Most of the packed files go, and their block becomes worth rewriting: its contents are known.
  for (const [i] of files.entries())
    if (i % 4 !== 0)
      await client.change("unlink", {
        caller: root,
        parent: 1 as Ino,
        name: `file-${String(i)}` as never,
        keep: false,
      });
  await cluster.until(() => liveShares(cluster).every((share) => share >= 0.5), "cleaning");
  await cluster.pass(20_000);
  for (const [i, { ino, bytes }] of files.entries()) if (i % 4 === 0) t.true((await cluster.read(ino)).equals(bytes));
  t.deepEqual(violations(inner.store), []);
  t.deepEqual(await cluster.differences(), []);
  await cluster.stop();
});

test("a server that dies while it rewrites loses nothing, and what it had begun is deleted", async (t) => {
  const cluster = await RewriteCluster.start();
  const { client } = cluster;
  const ino = await client.create("file");
  const model = new Model();
  for (let i = 0; i < 12; i++) {
    const bytes = pattern(i, 64 * KiB);
    await cluster.writeBlock(ino, [{ offset: i * 64 * KiB, bytes }]);
    model.write(ino, i * 64 * KiB, bytes);
    await cluster.writeBlock(ino, [{ offset: i * 64 * KiB, bytes: bytes.subarray(0, 40 * KiB) }]);
  }
  // Composed, not swapped: the nodes have blocks that nothing names.
  let crashed = false;
  for (let i = 0; i < 400 && !crashed; i++) {
    await cluster.cluster.clock.advance(50);
    if (i % 20 === 0) await client.call("heartbeat", {});
    const held = new Set(cluster.nodes.flatMap((node) => [...cluster.held(node).keys()]));
    const named = cluster.named();
    crashed = [...held].some((name) => !named.has(name) && isRewritersOwn(cluster, name));
  }
  await cluster.cluster.crash();
  await client.resume();
  await cluster.until(() => liveShares(cluster).every((share) => share >= 0.5), "cleaning");
  await cluster.pass(20_000);
  t.true((await cluster.read(ino)).equals(model.files.get(ino) as Buffer));
  t.deepEqual(violations(cluster.cluster.store), []);
  t.deepEqual(await cluster.differences(), []);
  await cluster.stop();
});

function isRewritersOwn(cluster: RewriteCluster, name: string): boolean {
  for (const [key, value] of cluster.cluster.store.range({ gte: keys.rangesFrom, lt: keys.rangesEnd })) {
    const { group, number } = blockOfKey(key);
    const [itsGroup, itsNumber] = name.split("/").map(Number) as [number, number];
    if (value.toString("hex", 1, 9) !== "0000000000000001" || group !== itsGroup) continue;
    if (itsNumber >= number && itsNumber < number + 16) return true;
  }
  return false;
}
