import test from "ava";
import { blockChecksums } from "../../src/base/checksum.ts";
import { FsError } from "../../src/base/errno.ts";
import { content, holds, id, MiB, rejectsWith } from "../block-store/support.ts";
import { until, withCluster, type TestNode } from "./support.ts";

function request(number: number, length: number, chain: readonly TestNode[]) {
  const bytes = content(number, length);
  const checksums = blockChecksums(id(number), bytes);
  const forward = chain.map(({ member }) => member);
  return [{ block: id(number), length, checksums, forward }, { payload: [bytes] }] as const;
}

test("a block goes along the chain, and its answer means that every node has it on disk", (t) =>
  withCluster(t, 3, async (cluster, nodes) => {
    const [a, b, c] = nodes as [TestNode, TestNode, TestNode];
    const client = await cluster.client(a);
    await Promise.all(
      [1, 4096, 100_000, 4 * MiB].map(async (length, i) => {
        await client.call("writeBlock", ...request(i, length, [b, c]));
        for (const { store } of nodes) t.true(await holds(store, i, length));
      }),
    );
    for (const { store } of nodes) t.is(store.statistics.blocks, 4);
  }));

test("the same block again is answered the same, with other content it is refused", (t) =>
  withCluster(t, 2, async (cluster, nodes) => {
    const [a, b] = nodes as [TestNode, TestNode];
    const client = await cluster.client(a);
    await client.call("writeBlock", ...request(1, 5000, [b]));
    await client.call("writeBlock", ...request(1, 5000, [b]));
    const bytes = content(2, 5000);
    const other = { block: id(1), length: 5000, checksums: blockChecksums(id(1), bytes), forward: [] };
    await rejectsWith(t, "EEXIST", client.call("writeBlock", other, { payload: [bytes] }));
  }));

test("a block that was damaged on its way is refused, and nobody has it", (t) =>
  withCluster(t, 2, async (cluster, nodes) => {
    const [a, b] = nodes as [TestNode, TestNode];
    const client = await cluster.client(a);
    const [good, { payload }] = request(1, 50_000, [b]);
    const bytes = Buffer.from(payload[0]);
    bytes[40_000] = (bytes[40_000] as number) ^ 1;
    await rejectsWith(t, "EBADMSG", client.call("writeBlock", good, { payload: [bytes] }));
    await rejectsWith(t, "EINVAL", client.call("writeBlock", good, { payload: [bytes.subarray(1)] }));
    for (const { store } of nodes) t.false(store.has(id(1)));
  }));

test("a node that is dead at the chain's end is named in the answer, through every hop", (t) =>
  withCluster(t, 3, async (cluster, nodes) => {
    const [a, b, c] = nodes as [TestNode, TestNode, TestNode];
    const client = await cluster.client(a);
    await c.node.close();
    const error = await t.throwsAsync(client.call("writeBlock", ...request(1, 5000, [b, c])), { instanceOf: FsError });
    t.is(error.errno, "EIO");
    t.regex(error.message, new RegExp(`failed: node ${c.member.node}`));
    t.notRegex(error.message, new RegExp(`failed: node ${b.member.node}`));
  }));

test("a node that dies in the middle of a chain's writes is named, and the writes behind it do not hang", (t) =>
  withCluster(t, 3, async (cluster, nodes) => {
    const [a, b, c] = nodes as [TestNode, TestNode, TestNode];
    const client = await cluster.client(a);
    const writes = [1, 2, 3, 4, 5, 6].map((number) => client.call("writeBlock", ...request(number, MiB, [b, c])));
    const settled = Promise.allSettled(writes);
    await until(() => b.store.statistics.blocks > 0, "the first block at the second node");
    await b.node.close();
    for (const result of await settled) {
      if (result.status === "fulfilled") continue;
      const error = result.reason as FsError;
      t.is(error.errno, "EIO");
      t.regex(error.message, new RegExp(`failed: node ${b.member.node}`));
    }
  }));

test("a neighbour that was restarted gets the next block over a new connection", (t) =>
  withCluster(t, 2, async (cluster, nodes) => {
    const [a, b] = nodes as [TestNode, TestNode];
    const client = await cluster.client(a);
    await client.call("writeBlock", ...request(1, 5000, [b]));
    await cluster.stop(b);
    const again = await cluster.start(b);
    await again.node.registered;
    t.is(again.member.node, b.member.node);
    await client.call("writeBlock", ...request(2, 5000, [again]));
    t.true(await holds(again.store, 1, 5000));
    t.true(await holds(again.store, 2, 5000));
  }));

test("another node at the address of a chain's member is not written to", (t) =>
  withCluster(t, 3, async (cluster, nodes) => {
    const [a, b, c] = nodes as [TestNode, TestNode, TestNode];
    const client = await cluster.client(a);
    const [message, options] = request(1, 5000, []);
    const forward = [{ node: b.member.node, address: c.member.address }];
    await rejectsWith(t, "EIO", client.call("writeBlock", { ...message, forward }, options));
    t.false(c.store.has(id(1)));
  }));

test("a full node says so through the chain, with its name", (t) =>
  withCluster(t, 2, async (cluster, nodes) => {
    const [a, b] = nodes as [TestNode, TestNode];
    const client = await cluster.client(a);
    b.disk.capacity = b.disk.usedBytes + 1024;
    const error = await t.throwsAsync(client.call("writeBlock", ...request(1, 50_000, [b])), { instanceOf: FsError });
    t.is(error.errno, "ENOSPC");
    t.regex(error.message, new RegExp(`failed: node ${b.member.node}`));
    b.disk.capacity = Infinity;
    await client.call("writeBlock", ...request(2, 50_000, [b]));
  }));

test("a node whose disk fails tells it, and its failure is there to end the process", (t) =>
  withCluster(t, 1, async (cluster, nodes) => {
    const [a] = nodes as [TestNode];
    const client = await cluster.client(a);
    await client.call("writeBlock", ...request(1, 5000, []));
    a.disk.fault = (call) => (call === "sync" ? "EIO" : undefined);
    await rejectsWith(t, "EIO", client.call("writeBlock", ...request(2, 5000, [])));
    await rejectsWith(t, "EIO", a.node.failed);
    const { payload } = await client.call("readBlock", { block: id(1), offset: 0, length: 5000 });
    t.true(payload.bytes.equals(content(1, 5000)));
  }));
