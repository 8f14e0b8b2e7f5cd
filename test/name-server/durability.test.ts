import test from "ava";
import { nameFromText } from "../../src/base/name.ts";
import { keys } from "../../src/metadata-store/keys.ts";
import { createExecution } from "../../src/name-server/execution.ts";
import { settle } from "../support/simulated-clock.ts";
import { root, rootIno, TestClient, TestCluster } from "./support.ts";
import { TestNode } from "./test-node.ts";

/** Makes syncs wait until `release` is called. */
function holdDurability(cluster: TestCluster): () => Promise<void> {
  const { store } = cluster;
  const durable = store.durable.bind(store);
  let release: () => void = () => undefined;
  const gate = new Promise<void>((resolve) => {
    release = resolve;
  });
  let isHeld = true;
  Object.defineProperty(store, "isDurable", { get: () => !isHeld, configurable: true });
  store.durable = () => gate.then(durable);
  return async () => {
    isHeld = false;
    release();
    await settle();
  };
}

/** A call, and whether it has been answered. */
function pending(promise: Promise<unknown>): { done: boolean } {
  const state = { done: false };
  const settled = (): void => {
    state.done = true;
  };
  promise.then(settled, settled);
  return state;
}

test("no reply of a change, an error or a read leaves before what it could have seen is durable", async (t) => {
  const cluster = await TestCluster.start();
  const client = await TestClient.open(cluster);
  const release = holdDurability(cluster);
  const created = pending(client.create("a", 0));
  await settle();
  const refused = pending(client.create("a", 1));
  const read = pending(client.lookup("a"));
  const failed = pending(client.call("getattr", { ino: 99_999 as never }));
  const listed = pending(client.call("readdir", { ino: rootIno, cookie: 0, bytesMax: 1_000, plus: true }));
  const status = pending(client.call("status", {}));
  const all = [created, refused, read, failed, listed, status];
  await settle(50);
  t.deepEqual(
    all.map(({ done }) => done),
    all.map(() => false),
  );
  await release();
  await settle(50);
  t.deepEqual(
    all.map(({ done }) => done),
    all.map(() => true),
  );
  await cluster.stop();
});

test("no notice about a removed inode leaves before the removal is durable", async (t) => {
  const cluster = await TestCluster.start();
  const first = await TestClient.open(cluster);
  const second = await TestClient.open(cluster);
  const ino = await first.create("a");
  const release = holdDurability(cluster);
  const gone = first.change("unlink", { caller: root, parent: rootIno, name: nameFromText("a"), keep: false });
  await settle(50);
  t.deepEqual(second.asked, []);
  await release();
  await gone;
  await settle();
  t.deepEqual(second.asked, [[ino]]);
  await cluster.stop();
});

test("what was acknowledged is there after a loss of power, and what was not may be missing as a whole", async (t) => {
  const cluster = await TestCluster.start();
  const client = await TestClient.open(cluster);
  for (let round = 0; round < 5; round++) {
    const acknowledged: string[] = [];
    const creating = Array.from({ length: 30 }, (_, i) => {
      const text = `file-${String(round)}-${String(i)}`;
      return client.create(text, i).then(
        () => acknowledged.push(text),
        () => undefined,
      );
    });
    await settle(round);
    await cluster.crash();
    await Promise.all(creating);
    const next = new TestClient(cluster);
    await next.connect();
    await next.open(client.session);
    await next.reclaim();
    for (const text of acknowledged) t.truthy(await next.lookup(text));
    const listing = await next.call("readdir", { ino: rootIno, cookie: 0, bytesMax: 100_000, plus: true });
    for (const entry of listing.entries) t.truthy(entry.attributes);
    await next.call("closeSession", {});
    await client.connect();
    await client.open();
    client.forgetSequences();
  }
  await cluster.stop();
});

test("a server whose journal failed answers nobody, and the next one does what was asked, once", async (t) => {
  const cluster = await TestCluster.start();
  const client = await TestClient.open(cluster);
  await client.create("before");
  cluster.disk.fail("write", "EIO");
  const request = { caller: root, parent: rootIno, name: nameFromText("a"), mode: 0o100644, umask: 0o022 };
  const created = pending(client.change("create", request));
  const read = pending(client.lookup("a"));
  await settle(50);
  t.true(cluster.store.hasFailed);
  const late = pending(client.call("getattr", { ino: rootIno }));
  await settle(50);
  t.deepEqual([created.done, read.done, late.done], [false, false, false]);
  await cluster.crash();
  await client.resume();
  t.truthy((await client.again("create", request, { slot: 0, sequence: 2 })).attributes.ino);
  t.truthy(await client.lookup("a"));
  await cluster.stop();
});

test("while everything is durable a read answers in the same turn", async (t) => {
  const cluster = await TestCluster.start();
  const client = await TestClient.open(cluster);
  await client.create("a");
  const execution = createExecution(cluster.store);
  t.false(execution.read((transaction) => transaction.get(keys.inode(rootIno))) instanceof Promise);
  await cluster.stop();
});

test("an operation waits while the store has no room for changes", async (t) => {
  const cluster = await TestCluster.start();
  const client = await TestClient.open(cluster);
  let makeRoom: () => void = () => undefined;
  let room: Promise<void> | undefined = new Promise((resolve) => {
    makeRoom = resolve;
  });
  cluster.store.room = () => room;
  const created = client.create("a");
  const state = pending(created);
  await settle(30);
  t.false(state.done);
  t.is(await client.lookup("a"), undefined, "reads go on");
  room = undefined;
  makeRoom();
  await created;
  t.truthy(await client.lookup("a"));
  await cluster.stop();
});

test("a cluster keeps its identity over restarts", async (t) => {
  const cluster = await TestCluster.start();
  const before = cluster.server.cluster;
  const registered = await (await TestNode.up(cluster, 1)).register();
  t.is(registered, before);
  await cluster.crash();
  t.is(cluster.server.cluster, before);
  await cluster.stop();
});
