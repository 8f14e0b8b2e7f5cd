import test from "ava";
import { blockChecksums } from "../../src/base/checksum.ts";
import { FsError } from "../../src/base/errno.ts";
import { blockName, toGroupId } from "../../src/base/ids.ts";
import { limits } from "../../src/base/limits.ts";
import { settle } from "../support/simulated-clock.ts";
import { Bytes, silence } from "./support/fake-peer.ts";
import { content, FakeCluster, type FakeNode } from "./support/fake-storage.ts";

/** A cluster of two nodes with one block on both. */
async function withBlock(length = 20_000) {
  const cluster = new FakeCluster(2);
  const bytes = content(length);
  const { block } = await cluster.writer.write([bytes]);
  const [a, b] = cluster.members(block) as [FakeNode, FakeNode];
  return { cluster, bytes, block, a, b, reader: cluster.reader };
}

const reads = (node: FakeNode): number => node.calls.filter(({ method }) => method === "readBlock").length;

test("any range of a block is read and verified", async (t) => {
  const { reader, block, bytes } = await withBlock();
  for (const [offset, length] of [
    [0, 20_000],
    [0, 1],
    [4_095, 2],
    [4_096, 4_096],
    [8_191, 9_000],
    [19_999, 1],
  ] as const) {
    t.deepEqual(await reader.read(block, offset, length), bytes.subarray(offset, offset + length));
  }
});

test("reads of one group take turns, and go to the node with less to do", async (t) => {
  const { reader, block, a, b } = await withBlock();
  for (let i = 0; i < 10; i++) await reader.read(block, 0, 4_096);
  t.deepEqual([reads(a), reads(b)], [5, 5]);
  a.intercept = () => silence;
  void reader.read(block, 0, 20_000).catch(() => undefined);
  void reader.read(block, 0, 20_000).catch(() => undefined);
  await settle();
  const before = reads(b);
  for (let i = 0; i < 6; i++) await reader.read(block, 0, 4_096);
  t.is(reads(b), before + 6);
});

test("a member that still copies is asked last, and what it lacks proves nothing", async (t) => {
  const { cluster, reader, block, bytes, a, b } = await withBlock();
  const groups = cluster.map.groups.map((group) => ({ ...group, copying: [a.id] }));
  cluster.map = { ...cluster.map, groups };
  a.blocks.delete(blockName(block));
  for (let i = 0; i < 4; i++) t.deepEqual(await reader.read(block, 0, 20_000), bytes);
  t.deepEqual([reads(a), reads(b)], [0, 4]);
  b.intercept = () => {
    throw new FsError("ECONNRESET", "gone");
  };
  let failure: unknown;
  const reading = reader.read(block, 0, 20_000).catch((error: unknown) => (failure = error));
  await cluster.clock.advance(2 * limits.reclaimGraceMillis);
  t.is(failure, undefined, "it waits for the one that has it");
  b.intercept = () => undefined;
  await cluster.clock.advance(limits.nodeAvoidMillisMax);
  t.deepEqual(await reading, bytes);
  t.deepEqual(
    cluster.reports.filter(({ problem }) => problem !== "unreachable"),
    [],
  );
});

test("a replica with wrong bytes is passed over and reported", async (t) => {
  const { cluster, reader, block, bytes, a } = await withBlock();
  const stored = a.blocks.get(blockName(block)) as Buffer;
  a.intercept = () => {
    const rotten = Buffer.from(stored);
    rotten[5_000] = (rotten[5_000] ?? 0) ^ 1;
    return new Bytes({ start: 0, checksums: blockChecksums(block, stored) }, rotten);
  };
  for (let i = 0; i < 2; i++) t.deepEqual(await reader.read(block, 0, 20_000), bytes);
  t.deepEqual(
    cluster.reports.map(({ node, problem }) => [node, problem]),
    [[a.id, "corrupt"]],
  );
});

test("right bytes of another place, a cut and an unasked start are all refused", async (t) => {
  const { reader, block, bytes, a } = await withBlock(8_192);
  const whole = a.blocks.get(blockName(block)) as Buffer;
  const answers = [
    new Bytes({ start: 0, checksums: blockChecksums(block, whole.subarray(4_096), 1) }, whole.subarray(4_096)),
    new Bytes({ start: 0, checksums: blockChecksums(block, whole.subarray(0, 4_096)) }, whole.subarray(0, 4_096)),
    new Bytes({ start: 4_096, checksums: blockChecksums(block, whole.subarray(4_096), 1) }, whole.subarray(4_096)),
    new Bytes({ start: 0, checksums: Buffer.alloc(0) }, whole),
  ];
  for (const answer of answers) {
    a.intercept = () => answer;
    for (let i = 0; i < 2; i++) t.deepEqual(await reader.read(block, 0, 8_192), bytes);
  }
});

test("a dead node is passed over, avoided, reported once, and used again when it is back", async (t) => {
  const { cluster, reader, block, bytes, a, b } = await withBlock();
  a.kill();
  for (let i = 0; i < 6; i++) t.deepEqual(await reader.read(block, 0, 20_000), bytes);
  t.deepEqual(cluster.reports, [{ node: a.id, problem: "unreachable" }]);
  t.true(a.connects <= 3, "not every read tries it");
  a.isDown = false;
  await cluster.clock.advance(limits.nodeAvoidMillisMax);
  const before = reads(b);
  for (let i = 0; i < 6; i++) await reader.read(block, 0, 20_000);
  t.true(reads(b) - before <= 4);
});

test("a node that the map says is down is asked last", async (t) => {
  const { cluster, reader, block, a, b } = await withBlock();
  cluster.setState(a.id, "down");
  for (let i = 0; i < 4; i++) await reader.read(block, 0, 100);
  t.deepEqual([reads(a), reads(b)], [0, 4]);
});

test("when a node does not answer, the other one is asked too after a while, and the first one is told to stop", async (t) => {
  const { cluster, reader, block, bytes, a, b } = await withBlock();
  a.intercept = () => silence;
  b.intercept = () => undefined;
  const both = [reader.read(block, 0, 20_000), reader.read(block, 0, 20_000)];
  await cluster.clock.advance(limits.readHedgeMillis);
  for (const read of both) t.deepEqual(await read, bytes);
  t.is(a.peers.at(-1)?.pending, 0);
  t.is(cluster.pool.bytesInFlight(a.id), 0);
  t.is(cluster.clock.timers, 0);
  const before = reads(a);
  await reader.read(block, 0, 100);
  await reader.read(block, 0, 100);
  t.is(reads(a), before, "it is avoided");
});

test("ENOENT when all replicas say so; a replica that lacks what another has is reported", async (t) => {
  const { cluster, reader, block, bytes, a, b } = await withBlock();
  a.blocks.clear();
  for (let i = 0; i < 2; i++) t.deepEqual(await reader.read(block, 0, 20_000), bytes);
  t.deepEqual(
    cluster.reports.map(({ node, problem }) => [node, problem]),
    [[a.id, "missing"]],
  );
  b.blocks.clear();
  await t.throwsAsync(reader.read(block, 0, 1), { message: /^ENOENT/ });
  t.is(cluster.clock.monotonicMillis(), 0, "at once");
});

test("with a member that cannot be asked 'no such block' is doubted for a while", async (t) => {
  const { cluster, reader, block, bytes, a, b } = await withBlock();
  a.blocks.clear();
  b.kill();
  const reading = reader.read(block, 0, 20_000);
  await cluster.clock.advance(1_000);
  b.isDown = false;
  await cluster.clock.advance(3_000);
  t.deepEqual(await reading, bytes);
  b.kill();
  const failing = t.throwsAsync(reader.read(block, 0, 1), { message: /^ENOENT/ });
  await cluster.clock.advance(10_000);
  await failing;
});

test("a block whose nodes are all away is waited for, and then EIO", async (t) => {
  const { cluster, reader, block, bytes, a, b } = await withBlock();
  a.kill();
  b.kill();
  const reading = reader.read(block, 0, 20_000);
  await cluster.clock.advance(30_000);
  b.isDown = false;
  await cluster.clock.advance(5_000);
  t.deepEqual(await reading, bytes);
  b.kill();
  const failing = t.throwsAsync(reader.read(block, 0, 1), { message: new RegExp(`^EIO.*${a.id}`) });
  await cluster.clock.advance(limits.blockWriteMillis + 20_000);
  await failing;
  t.is(cluster.clock.timers, 0);
});

test("a block that is damaged everywhere is EIO soon, never wrong bytes", async (t) => {
  const { cluster, reader, block, a, b } = await withBlock();
  for (const node of [a, b]) {
    node.intercept = () => {
      throw new FsError("EIO", "damaged here");
    };
  }
  const failing = t.throwsAsync(reader.read(block, 0, 1), { message: /^EIO.*damaged/ });
  await cluster.clock.advance(1_000);
  await failing;
  t.is(cluster.reports.length, 2, "each is reported once");
});

test("an aborted read stops at once, wherever it is", async (t) => {
  const { cluster, reader, block, a, b } = await withBlock();
  a.intercept = b.intercept = () => silence;
  const abort = new AbortController();
  const reading = reader.read(block, 0, 1, abort.signal);
  await cluster.clock.advance(limits.readHedgeMillis);
  abort.abort(new FsError("EINTR", "killed"));
  await t.throwsAsync(reading, { message: /^EINTR/ });
  a.kill();
  b.kill();
  const other = new AbortController();
  const waiting = reader.read(block, 0, 1, other.signal);
  await cluster.clock.advance(500);
  other.abort(new FsError("EINTR", "killed"));
  await t.throwsAsync(waiting, { message: /^EINTR/ });
  await t.throwsAsync(reader.read(block, 0, 1, other.signal), { message: /^EINTR/ });
  await settle();
  t.is(cluster.clock.timers, 0);
});

test("a group that the map lacks is asked for before it is an error", async (t) => {
  const { cluster, reader, block, bytes } = await withBlock();
  const full = cluster.map;
  cluster.map = { ...full, groups: [] };
  const reading = reader.read(block, 0, 20_000);
  cluster.map = full;
  t.deepEqual(await reading, bytes);
  await t.throwsAsync(reader.read({ group: toGroupId(999), number: 1 }, 0, 1), { message: /^EIO/ });
});

test("a node follows its address in the map, and one that left it is closed", async (t) => {
  const { cluster, reader, block, bytes, a, b } = await withBlock();
  await reader.read(block, 0, 1);
  await reader.read(block, 0, 1);
  const [old] = a.peers;
  cluster.nodes.push(a);
  cluster.map = {
    ...cluster.map,
    version: 50,
    nodes: [
      { id: a.id, address: { host: "n", port: 3 }, state: "up" },
      { id: b.id, address: { host: "n", port: 2 }, state: "up" },
    ],
  };
  for (let i = 0; i < 2; i++) t.deepEqual(await reader.read(block, 0, 20_000), bytes);
  t.false(old?.isOpen);
  t.is(a.peers.length, 2);
  cluster.map = { ...cluster.map, version: 51, nodes: cluster.map.nodes.slice(0, 1) };
  for (let i = 0; i < 2; i++) t.deepEqual(await reader.read(block, 0, 20_000), bytes);
  t.false(b.peers[0]?.isOpen);
  cluster.pool.close();
  t.false(a.peers[1]?.isOpen);
});

test("what answers at a node's address without being that node gets no calls", async (t) => {
  const { cluster, block, bytes, a, b } = await withBlock();
  cluster.pool.close();
  const other = new FakeCluster(2);
  other.map = cluster.map;
  other.nodes[0] = b;
  other.nodes[1] = b;
  for (let i = 0; i < 2; i++) t.deepEqual(await other.reader.read(block, 0, 20_000), bytes);
  t.is(other.reports[0]?.node, a.id);
});

test("a connection on which nothing at all comes back is replaced", async (t) => {
  const { cluster, reader, block, a, b } = await withBlock();
  a.intercept = b.intercept = () => silence;
  const reading = reader.read(block, 0, 1);
  await cluster.clock.advance(limits.callMillis / 2 + limits.readHedgeMillis + 10);
  t.false(a.peers[0]?.isOpen ?? true);
  a.intercept = b.intercept = () => undefined;
  await cluster.clock.advance(5_000);
  await reading;
  t.pass();
});
