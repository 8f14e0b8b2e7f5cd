import test from "ava";
import type { BlockId } from "../../src/base/ids.ts";
import type { StorageNodeMethods } from "../../src/protocol/storage-node.ts";
import type { Peer } from "../../src/rpc/types.ts";
import { holds, id, put, rejectsWith } from "../block-store/support.ts";
import { until, withCluster, type TestCluster, type TestNode } from "./support.ts";

/** Deletions at the node wait until the gate is opened, as behind a copy by compaction. */
function gate({ store }: TestNode): { readonly waiting: () => number; readonly open: () => void } {
  const remove = store.remove.bind(store);
  let waiting = 0;
  let open: () => void = () => undefined;
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  store.remove = async (blocks: readonly BlockId[]) => {
    waiting++;
    await opened;
    await remove(blocks);
  };
  return { waiting: () => waiting, open };
}

/** The name server's end of the newest connection of the only node. */
function newest(cluster: TestCluster): Peer<StorageNodeMethods> {
  return cluster.nameServer.peers.at(-1) as Peer<StorageNodeMethods>;
}

async function list(peer: Peer<StorageNodeMethods>): Promise<number[]> {
  const { reply } = await peer.call("listBlocks", { epoch: 1, group: id(1).group, first: 0, limit: 10 });
  return reply.blocks.map(({ number }) => number);
}

/** Not settled, though the other side has answered what was asked later. */
async function isWaiting(promise: Promise<unknown>, peer: Peer<StorageNodeMethods>): Promise<boolean> {
  let isSettled = false;
  void promise.finally(() => {
    isSettled = true;
  });
  for (let i = 0; i < 3; i++) await peer.call("nodeStatus", {});
  return !isSettled;
}

test("a list waits for the deletions that came before it", (t) =>
  withCluster(t, 1, async (cluster, nodes) => {
    const [a] = nodes as [TestNode];
    for (const number of [1, 2]) await put(a.store, number, 5_000);
    const { open } = gate(a);
    const deleting = newest(cluster).call("deleteBlocks", { epoch: 1, blocks: [id(1)] });
    const listing = list(newest(cluster));
    t.true(await isWaiting(listing, newest(cluster)));
    open();
    t.deepEqual(await listing, [2]);
    await deleting;
  }));

test("so does one over the next connection, and a copy is made after a deletion over the one before", (t) =>
  withCluster(t, 2, async (cluster, nodes) => {
    const [a, b] = nodes as [TestNode, TestNode];
    for (const { store } of [a, b]) await put(store, 1, 5_000);
    const { waiting, open } = gate(b);
    const at = cluster.nameServer.registrations.findIndex(({ node }) => node === b.member.node);
    const before = cluster.nameServer.peers[at] as Peer<StorageNodeMethods>;
    const deleting = before.call("deleteBlocks", { epoch: 1, blocks: [id(1)] });
    await until(() => waiting() === 1, "the deletion has begun");
    before.close("test");
    await t.throwsAsync(deleting);
    await until(() => cluster.nameServer.peers.length === 3, "the node is back");
    const listing = list(newest(cluster));
    const copying = newest(cluster).call("copyBlocks", {
      ...{ epoch: 1, blocks: [{ block: id(1), length: 5_000 }] },
      sources: [a.member],
    });
    t.true(await isWaiting(Promise.race([listing, copying]), newest(cluster)));
    open();
    t.deepEqual((await copying).reply.failed, []);
    await listing;
    t.true(await holds(b.store, 1, 5_000), "what was said to be copied is there");
  }));

test("a deletion that failed holds nobody up", (t) =>
  withCluster(t, 1, async (cluster, nodes) => {
    const [a] = nodes as [TestNode];
    await put(a.store, 1, 5_000);
    await newest(cluster).call("deleteBlocks", { epoch: 3, blocks: [] });
    const late = newest(cluster).call("deleteBlocks", { epoch: 2, blocks: [id(1)] });
    const listing = newest(cluster).call("listBlocks", { epoch: 3, group: id(1).group, first: 0, limit: 10 });
    await rejectsWith(t, "ESTALE", late);
    t.is((await listing).reply.blocks.length, 1);
  }));

test("a deletion of before a takeover, which comes while the node registers with the next name server, is refused", (t) =>
  withCluster(t, 1, async (cluster, nodes) => {
    const [a] = nodes as [TestNode];
    const { nameServer } = cluster;
    await put(a.store, 1, 5_000);
    const late: Promise<unknown>[] = [];
    nameServer.onRegister = (peer) => {
      nameServer.epoch = 2;
      late.push(peer.call("deleteBlocks", { epoch: 1, blocks: [id(1)] }));
    };
    newest(cluster).close("test");
    await until(() => late.length === 1, "the node registers again");
    await rejectsWith(t, "ESTALE", late[0] as Promise<unknown>);
    t.true(a.store.has(id(1)));
  }));
