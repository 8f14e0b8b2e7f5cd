import test from "ava";
import { blockChecksums, firstBadUnit } from "../../src/base/checksum.ts";
import { content, id, MiB, put, rejectsWith } from "../block-store/support.ts";
import { withCluster, type TestNode } from "./support.ts";

test("a range is answered with the units that cover it and their checksums", (t) =>
  withCluster(t, 1, async (cluster, [a]) => {
    const { store } = a as TestNode;
    await put(store, 1, 3 * MiB + 77);
    const client = await cluster.client(a as TestNode);
    const all = content(1, 3 * MiB + 77);
    for (const [offset, length] of [
      [0, 1],
      [5000, 10_000],
      [0, 4 * MiB],
      [3 * MiB + 70, 7],
    ] as const) {
      const { reply, payload } = await client.call("readBlock", { block: id(1), offset, length });
      t.is(reply.start, Math.floor(offset / 4096) * 4096);
      t.true(payload.bytes.equals(all.subarray(reply.start, reply.start + payload.bytes.length)));
      t.true(reply.start + payload.bytes.length >= Math.min(offset + length, all.length));
      t.is(firstBadUnit(id(1), payload.bytes, reply.checksums, reply.start / 4096), -1);
      payload.release();
    }
    await rejectsWith(t, "ENOENT", client.call("readBlock", { block: id(2), offset: 0, length: 1 }));
  }));

test("more reads at once than memory is set aside for are all answered", (t) =>
  withCluster(t, 1, async (cluster, [a]) => {
    const { store } = a as TestNode;
    await put(store, 1, 4 * MiB);
    const client = await cluster.client(a as TestNode);
    const reads = Array.from({ length: 24 }, () =>
      client.call("readBlock", { block: id(1), offset: 0, length: 4 * MiB }),
    );
    for (const { payload } of await Promise.all(reads)) {
      t.is(payload.bytes.length, 4 * MiB);
      payload.release();
    }
  }));

test("blocks are deleted by order of the name server only, and of no older epoch", (t) =>
  withCluster(t, 1, async (cluster, [a]) => {
    const { store, identity } = a as TestNode;
    await put(store, 1, 5000);
    await put(store, 2, 5000);
    const client = await cluster.client(a as TestNode);
    await rejectsWith(t, "EPERM", client.call("deleteBlocks", { epoch: 9, blocks: [id(1)] }));
    const [nameServer] = cluster.nameServer.peers;
    if (nameServer === undefined) throw new Error("not registered");
    await nameServer.call("deleteBlocks", { epoch: 3, blocks: [id(1), id(77)] });
    t.false(store.has(id(1)));
    t.is(identity.epoch, 3);
    await rejectsWith(t, "ESTALE", nameServer.call("deleteBlocks", { epoch: 2, blocks: [id(2)] }));
    t.true(store.has(id(2)));
  }));

test("status tells who the node is and how full", (t) =>
  withCluster(t, 1, async (cluster, [a]) => {
    const { store, identity } = a as TestNode;
    await put(store, 1, 5000);
    const client = await cluster.client(a as TestNode);
    const { reply } = await client.call("nodeStatus", {});
    t.is(reply.node, identity.node);
    t.is(reply.cluster, identity.cluster);
    t.is(reply.blocks, 1);
    t.is(reply.segments, 1);
    t.true(reply.usedBytes > 5000 && reply.freeBytes > 40 * MiB && reply.capacityBytes === 64 * MiB);
  }));

test("a node that belongs to no cluster yet stores nothing", async (t) => {
  const { TestCluster } = await import("./support.ts");
  const cluster = new TestCluster();
  const started = await cluster.start();
  const client = await cluster.client(started);
  const bytes = content(1, 100);
  const write = { block: id(1), length: 100, checksums: blockChecksums(id(1), bytes), forward: [] };
  await rejectsWith(t, "EAGAIN", client.call("writeBlock", write, { payload: [bytes] }));
  await cluster.close();
});
