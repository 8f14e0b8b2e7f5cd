import test from "ava";
import fc from "fast-check";
import { FsError } from "../../src/base/errno.ts";
import { blockName, type BlockId, type NodeId, type SessionId } from "../../src/base/ids.ts";
import { limits } from "../../src/base/limits.ts";
import { BlockNumbers } from "../../src/remote/block-numbers.ts";
import { silentLog } from "../../src/base/log.ts";
import { blockChecksums } from "../../src/base/checksum.ts";
import { scatteredChecksums } from "../../src/remote/scattered-checksums.ts";
import { failureOf } from "../../src/remote/write-failure.ts";
import { toGroupId } from "../../src/base/ids.ts";
import { settle } from "../support/simulated-clock.ts";
import { silence } from "./support/fake-peer.ts";
import { content, FakeCluster, type FakeNode } from "./support/fake-storage.ts";

function replicasOf(cluster: FakeCluster, name: string): FakeNode[] {
  return cluster.nodes.filter((node) => node.blocks.has(name));
}

test("a block in pieces is on every member of its group when the write resolves, with the group's epoch", async (t) => {
  const cluster = new FakeCluster(3);
  const bytes = content(10_000);
  const { block, epoch } = await cluster.writer.write([
    bytes.subarray(0, 1),
    bytes.subarray(1, 7_000),
    bytes.subarray(7_000),
  ]);
  t.is(epoch, 10 + block.group);
  for (const node of cluster.members(block)) t.deepEqual(node.blocks.get(blockName(block)), bytes);
  t.deepEqual(cluster.reports, []);
});

test("blocks written at the same time go to all nodes", async (t) => {
  const cluster = new FakeCluster(3);
  await Promise.all(Array.from({ length: 12 }, (_, i) => cluster.writer.write([content(100, i)])));
  for (const node of cluster.nodes) t.is(node.calls.length, 4);
  t.true(cluster.allocations.length <= 2);
});

test("when the first node dies mid-write the block is written elsewhere under another number", async (t) => {
  const cluster = new FakeCluster(3);
  const dying = cluster.nodes[0] as FakeNode;
  dying.intercept = () => {
    dying.kill();
    return silence;
  };
  for (let i = 0; i < 9; i++) {
    const { block } = await cluster.writer.write([content(5_000, i)]);
    t.false(cluster.members(block).includes(dying));
    t.is(replicasOf(cluster, blockName(block)).length, 2);
  }
  t.deepEqual(cluster.reports, [{ node: dying.id, problem: "unreachable" }]);
  t.is(dying.calls.length, 1);
});

test("numbers whose write failed, and blocks that are not to be named, are told together; none of an earlier session", async (t) => {
  const cluster = new FakeCluster(3);
  const dying = cluster.nodes[0] as FakeNode;
  const failed: string[] = [];
  dying.intercept = ({ request }) => {
    failed.push(blockName((request as { block: BlockId }).block));
    dying.kill();
    return silence;
  };
  const { block } = await cluster.writer.write([content(5_000)]);
  for (let i = 0; i < 6; i++) await cluster.writer.write([content(5_000, i)]);
  cluster.writer.discard(block);
  await cluster.clock.advance(2_000);
  t.is(failed.length, 1);
  t.deepEqual(
    cluster.discarded.map((names) => names.sort()),
    [[...failed, blockName(block)].sort()],
  );
  cluster.writer.discard(block);
  cluster.session = "5e55105e55105e56" as SessionId;
  await cluster.clock.advance(2_000);
  t.is(cluster.discarded.length, 1);
});

test("when a node further down the chain is dead, it is the one that is reported and avoided", async (t) => {
  const cluster = new FakeCluster(3);
  const dead = cluster.nodes[2] as FakeNode;
  dead.isDown = true;
  for (let i = 0; i < 9; i++) {
    const { block } = await cluster.writer.write([content(5_000, i)]);
    t.false(cluster.members(block).includes(dead));
  }
  t.true(cluster.reports.every(({ node, problem }) => node === dead.id && problem === "unreachable"));
  t.true(cluster.reports.length >= 1);
});

test("a node that does not answer in time is avoided; the time grows with the block", async (t) => {
  const cluster = new FakeCluster(3);
  const mute = cluster.nodes[0] as FakeNode;
  mute.intercept = () => silence;
  const writes = Promise.all([1, 2, 3].map((i) => cluster.writer.write([content(100, i)])));
  await cluster.clock.advance(9_000);
  t.is(mute.peers[0]?.isOpen, true);
  await cluster.clock.advance(2_000);
  for (const { block } of await writes) t.not(cluster.members(block)[0], mute);
});

test("a full node is reported and left out; when all are full the write fails with ENOSPC", async (t) => {
  const cluster = new FakeCluster(3);
  const fill = (node: FakeNode): void => {
    node.intercept = () => {
      throw new FsError("ENOSPC", "full");
    };
  };
  const full = cluster.nodes[0] as FakeNode;
  fill(full);
  for (let i = 0; i < 6; i++) {
    const { block } = await cluster.writer.write([content(100, i)]);
    t.not(cluster.map.groups[block.group]?.nodes[0], full.id);
  }
  t.deepEqual(cluster.reports[0], { node: full.id, problem: "full" });
  for (const node of cluster.nodes) fill(node);
  const failing = t.throwsAsync(cluster.writer.write([content(100)]), { message: /^ENOSPC/ });
  await cluster.clock.advance(30_000);
  await failing;
  t.true(cluster.clock.monotonicMillis() <= 30_000);
  for (const node of cluster.nodes) node.intercept = () => undefined;
  await cluster.clock.advance(10_000);
  await t.notThrowsAsync(cluster.writer.write([content(100)]));
});

test("space that reclaim makes in time is used", async (t) => {
  const cluster = new FakeCluster(2);
  for (const node of cluster.nodes) {
    node.intercept = () => {
      throw new FsError("ENOSPC", "full");
    };
  }
  const writing = cluster.writer.write([content(100)]);
  await cluster.clock.advance(6_000);
  for (const node of cluster.nodes) node.intercept = () => undefined;
  await cluster.clock.advance(6_000);
  await t.notThrowsAsync(writing);
});

test("the name server's ENOSPC is final, as it has waited for reclaim already", async (t) => {
  const cluster = new FakeCluster(2);
  cluster.allocationError = new FsError("ENOSPC", "nothing left");
  await t.throwsAsync(cluster.writer.write([content(100)]), { message: /^ENOSPC/ });
});

test("without a healthy group a write waits, goes on when there is one, and fails with EIO in the end", async (t) => {
  const cluster = new FakeCluster(2);
  const down = (cluster.nodes[0] as FakeNode).id;
  cluster.setState(down, "down");
  const writing = cluster.writer.write([content(100)]);
  await cluster.clock.advance(40_000);
  cluster.setState(down, "up");
  await cluster.clock.advance(2_000);
  await t.notThrowsAsync(writing);
  cluster.setState(down, "down");
  const failing = t.throwsAsync(cluster.writer.write([content(100)]), { message: /^EIO.*60 s/ });
  await cluster.clock.advance(limits.blockWriteMillis + 5_000);
  await failing;
  t.is(cluster.clock.timers, 0);
  t.true(cluster.allocations.length < 250);
});

test("with the only group's node restarting, the write goes on as soon as it is back", async (t) => {
  const cluster = new FakeCluster(2);
  const node = cluster.nodes[1] as FakeNode;
  node.kill();
  const writing = cluster.writer.write([content(100)]);
  await cluster.clock.advance(3_000);
  node.isDown = false;
  await cluster.clock.advance(limits.nodeAvoidMillisMax + 1_000);
  await t.notThrowsAsync(writing);
  t.true(cluster.allocations.length < 30, String(cluster.allocations.length));
});

test("a block that keeps being refused fails with the reason, after a few numbers", async (t) => {
  const cluster = new FakeCluster(2);
  const numbers = new Set<string>();
  for (const node of cluster.nodes) {
    node.intercept = (call) => {
      numbers.add(blockName((call.request as { block: Parameters<typeof blockName>[0] }).block));
      throw new FsError("EBADMSG", "damaged on the way");
    };
  }
  await t.throwsAsync(cluster.writer.write([content(100)]), { message: /^EBADMSG/ });
  t.is(numbers.size, 3);
});

test("an aborted write stops at once", async (t) => {
  const cluster = new FakeCluster(2);
  for (const node of cluster.nodes) node.intercept = () => silence;
  const abort = new AbortController();
  const writing = cluster.writer.write([content(100)], { signal: abort.signal });
  await settle();
  abort.abort(new FsError("EINTR", "killed"));
  await t.throwsAsync(writing, { message: /^EINTR/ });
  t.is(cluster.nodes.flatMap(({ calls }) => calls).length, 1);
  cluster.setState((cluster.nodes[0] as FakeNode).id, "down");
  const other = new AbortController();
  const waiting = cluster.writer.write([content(100)], { signal: other.signal });
  await cluster.clock.advance(1_000);
  other.abort(new FsError("EINTR", "killed"));
  await t.throwsAsync(waiting, { message: /^EINTR/ });
});

test("numbers of a lost session are not used", async (t) => {
  const cluster = new FakeCluster(2);
  await cluster.writer.write([content(100)]);
  const asked = cluster.allocations.length;
  cluster.session = "aaaaaaaaaaaaaaaa" as SessionId;
  await cluster.writer.write([content(100)]);
  t.is(cluster.allocations.length, asked + 1);
});

test("numbers are fetched ahead of need, in batches that grow, never more than the bound, each used once", async (t) => {
  const cluster = new FakeCluster(3);
  const numbers = new BlockNumbers({ nameServer: cluster.nameServer, clock: cluster.clock, log: silentLog });
  t.is(
    numbers.take(() => true),
    undefined,
  );
  await numbers.refill([]);
  const used = new Set<string>();
  for (let i = 0; i < 3_000; i++) {
    const numbered = numbers.take(() => true);
    if (numbered === undefined) throw new Error("ran out");
    used.add(blockName(numbered.block));
    if (i % 8 === 0) await settle(1);
    t.true(numbers.count <= limits.blockNumbersMax);
  }
  t.is(used.size, 3_000);
  t.true(cluster.allocations.length < 20, String(cluster.allocations.length));
  for (let i = 0; i < 50; i++) await numbers.refill([]);
  t.true(numbers.count <= limits.blockNumbersMax);
});

test("the checksums of scattered pieces are those of the whole", (t) => {
  const block = { group: toGroupId(3), number: 77 };
  fc.assert(
    fc.property(
      fc.array(fc.oneof(fc.nat(20), fc.nat(10_000), fc.constantFrom(4_095, 4_096, 4_097, 8_192)), { maxLength: 12 }),
      (lengths) => {
        const pieces = lengths.map((length, i) => content(length, i));
        t.deepEqual(scatteredChecksums(block, pieces), blockChecksums(block, Buffer.concat(pieces)));
      },
    ),
    { numRuns: 100 },
  );
});

test("whose fault a failed write is", (t) => {
  const a = "aaaaaaaaaaaaaaaa" as NodeId;
  const b = "bbbbbbbbbbbbbbbb" as NodeId;
  const stranger = "cccccccccccccccc";
  const of = (errno: ConstructorParameters<typeof FsError>[0], context = "x") =>
    failureOf(new FsError(errno, context), [a, b]);
  t.deepEqual(of("ECONNRESET", `failed ${b}`), { kind: "unreachable", node: a });
  t.deepEqual(of("ETIMEDOUT"), { kind: "unreachable", node: a });
  t.deepEqual(of("EIO"), { kind: "unreachable", node: a });
  t.deepEqual(of("EIO", `the chain failed: node ${b}: ECONNREFUSED: x`), { kind: "unreachable", node: b });
  t.deepEqual(of("EIO", `failed: ${b}`), { kind: "unreachable", node: b });
  t.deepEqual(of("EIO", `failed ${stranger}`), { kind: "unreachable", node: a });
  t.deepEqual(of("ENOSPC"), { kind: "full", node: a });
  t.deepEqual(of("ENOSPC", `failed ${b}: full`), { kind: "full", node: b });
  t.deepEqual(of("EAGAIN"), { kind: "busy", node: a });
  t.deepEqual(of("EEXIST"), { kind: "refused" });
  t.deepEqual(failureOf(new TypeError("bug"), [a, b]), { kind: "unreachable", node: a });
});

test("when the name server says that a silent node is down, what it was asked goes elsewhere at once", async (t) => {
  const cluster = new FakeCluster(3);
  const stopped = cluster.nodes[0] as FakeNode;
  stopped.intercept = () => silence;
  const writes = Promise.all([1, 2, 3, 4, 5, 6].map((i) => cluster.writer.write([content(4 * 1024 * 1024, i)])));
  await cluster.clock.advance(4_000);
  t.true(stopped.peers[0]?.isOpen);
  cluster.setState(stopped.id, "down");
  await cluster.clock.advance(1_000);
  for (const { block } of await writes) t.not(cluster.members(block)[0], stopped);
  t.false(stopped.peers[0]?.isOpen);
});

test("a node that takes no bytes is cut off when its calls do not even time out", async (t) => {
  const cluster = new FakeCluster(3);
  const stopped = cluster.nodes[0] as FakeNode;
  stopped.ignoresDeadlines = true;
  stopped.intercept = () => silence;
  const writes = Promise.all([1, 2, 3, 4, 5, 6].map((i) => cluster.writer.write([content(1_000, i)])));
  await cluster.clock.advance(20_000);
  for (const { block } of await writes) t.not(cluster.members(block)[0], stopped);
  t.false(stopped.peers[0]?.isOpen);
});

test("a node that the name server calls up again is not avoided any longer", async (t) => {
  const cluster = new FakeCluster(2);
  const node = cluster.nodes[0] as FakeNode;
  await cluster.writer.write([content(100)]);
  for (let i = 0; i < 6; i++) {
    cluster.pool.suspect(node.id, new Error("again"));
    await cluster.clock.advance(i < 5 ? limits.nodeAvoidMillisMax : 0);
  }
  t.true(cluster.pool.isSuspect(node.id));
  cluster.setState(node.id, "down");
  t.true(cluster.pool.isSuspect(node.id));
  cluster.setState(node.id, "up");
  t.false(cluster.pool.isSuspect(node.id));
  cluster.pool.close();
  t.is(cluster.clock.timers, 0);
});
