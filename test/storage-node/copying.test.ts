import test from "ava";
import { blockChecksums } from "../../src/base/checksum.ts";
import type { StorageNodeMethods } from "../../src/protocol/storage-node.ts";
import type { Peer, ReplyOf } from "../../src/rpc/types.ts";
import { content, holds, id, MiB, put, rejectsWith } from "../block-store/support.ts";
import { withCluster, type TestCluster, type TestNode } from "./support.ts";

/** The name server's end of the connection that a node opened to it. */
function order(cluster: TestCluster, to: TestNode): Peer<StorageNodeMethods> {
  const at = cluster.nameServer.registrations.findIndex(({ node }) => node === to.member.node);
  return cluster.nameServer.peers[at] as Peer<StorageNodeMethods>;
}

async function copy(
  peer: Peer<StorageNodeMethods>,
  sources: readonly TestNode[],
  blocks: readonly (readonly [number: number, length: number])[],
  epoch = 1,
): Promise<ReplyOf<StorageNodeMethods, "copyBlocks">> {
  const { reply } = await peer.call("copyBlocks", {
    epoch,
    blocks: blocks.map(([number, length]) => ({ block: id(number), length })),
    sources: sources.map(({ member }) => member),
  });
  return reply;
}

test("blocks are pulled from the first source that has them, whole even where less is asked for", (t) =>
  withCluster(t, 3, async (cluster, nodes) => {
    const [a, b, c] = nodes as [TestNode, TestNode, TestNode];
    await put(a.store, 1, 4 * MiB);
    await put(a.store, 2, 5_000);
    await put(b.store, 3, 1);
    const reply = await copy(
      order(cluster, c),
      [a, b],
      [
        [1, 4 * MiB],
        [2, 10],
        [3, 1],
      ],
    );
    t.deepEqual(reply.failed, []);
    t.deepEqual(reply.copied.map(({ number }) => number).sort(), [1, 2, 3]);
    for (const [number, length] of [
      [1, 4 * MiB],
      [2, 5_000],
      [3, 1],
    ] as const)
      t.true(await holds(c.store, number, length));
    t.deepEqual((await copy(order(cluster, c), [], [[1, 4 * MiB]])).failed, [], "what is there needs no source");
  }));

test("a damaged copy of its own is replaced, and a source's damaged one is not taken", (t) =>
  withCluster(t, 3, async (cluster, nodes) => {
    const [a, b, c] = nodes as [TestNode, TestNode, TestNode];
    for (const { store } of nodes) await put(store, 1, 50_000);
    for (const { disk } of [a, c]) {
      const [segment] = await disk.list("segments");
      disk.flip(`segments/${segment as string}`, 40_000);
    }
    t.deepEqual((await copy(order(cluster, c), [a], [[1, 50_000]])).failed, [{ block: id(1), problem: "damaged" }]);
    t.deepEqual((await copy(order(cluster, c), [a, b], [[1, 50_000]])).failed, []);
    t.true(await holds(c.store, 1, 50_000));
  }));

test("what no source has is told apart from what could not be asked for", (t) =>
  withCluster(t, 3, async (cluster, nodes) => {
    const [a, b, c] = nodes as [TestNode, TestNode, TestNode];
    t.is((await copy(order(cluster, c), [a, b], [[1, 1]])).failed[0]?.problem, "missing");
    await b.node.close();
    t.is((await copy(order(cluster, c), [a, b], [[1, 1]])).failed[0]?.problem, "unreachable");
  }));

test("a node without space says so, and has what fitted", (t) =>
  withCluster(t, 2, async (cluster, nodes) => {
    const [a, b] = nodes as [TestNode, TestNode];
    const blocks = Array.from({ length: 8 }, (_, i) => [i + 1, 4 * MiB] as const);
    for (const [number, length] of blocks) await put(a.store, number, length);
    for (let i = 0; b.store.space().freeBytes > 12 * MiB; i++) await put(b.store, 100 + i, 4 * MiB);
    const { copied, failed } = await copy(order(cluster, b), [a], blocks);
    t.is(copied.length + failed.length, 8);
    t.true(copied.length > 0 && failed.length > 0 && failed.every(({ problem }) => problem === "full"));
  }));

test("a node lists its blocks of a group in order, in pages", (t) =>
  withCluster(t, 1, async (cluster, nodes) => {
    const [a] = nodes as [TestNode];
    for (const number of [5, 1, 9]) await put(a.store, number, number * 100);
    const peer = order(cluster, a);
    const list = async (first: number, limit: number): Promise<number[]> => {
      const { reply } = await peer.call("listBlocks", { epoch: 1, group: id(1).group, first, limit });
      t.true(reply.blocks.every(({ number, length }) => length === number * 100));
      return reply.blocks.map(({ number }) => number);
    };
    t.deepEqual(await list(0, 2), [1, 5]);
    t.deepEqual(await list(6, 2), [9]);
  }));

test("only the name server of the newest epoch may order copies and lists", (t) =>
  withCluster(t, 2, async (cluster, nodes) => {
    const [a, b] = nodes as [TestNode, TestNode];
    const client = await cluster.client(a);
    await rejectsWith(t, "EPERM", copy(client, [b], [[1, 1]]));
    const list = { epoch: 9, group: id(1).group, first: 0, limit: 1 };
    await rejectsWith(t, "EPERM", client.call("listBlocks", list));
    const peer = order(cluster, a);
    await peer.call("listBlocks", list);
    await rejectsWith(t, "ESTALE", copy(peer, [b], [[1, 1]], 8));
    await rejectsWith(t, "ESTALE", peer.call("listBlocks", { ...list, epoch: 8 }));
  }));

test("a copying node tells how busy clients kept it meanwhile", (t) =>
  withCluster(t, 2, async (cluster, nodes) => {
    const [a, b] = nodes as [TestNode, TestNode];
    await put(a.store, 1, 4 * MiB);
    const client = await cluster.client(b);
    const bytes = content(2, 100);
    const write = { block: id(2), length: 100, checksums: blockChecksums(id(2), bytes), forward: [] };
    const copying = copy(order(cluster, b), [a], [[1, 4 * MiB]]);
    await client.call("writeBlock", write, { payload: [bytes] });
    t.is((await copying).foreground, 1);
  }));
