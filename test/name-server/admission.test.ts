import test from "ava";
import { limits } from "../../src/base/limits.ts";
import { settle } from "../support/simulated-clock.ts";
import { live, TestClient, TestCluster } from "./support.ts";

/** Starts opening a session and tells whether it is open by now. */
async function opening(
  cluster: TestCluster,
): Promise<{ client: TestClient; done: () => boolean; opened: Promise<unknown> }> {
  const client = new TestClient(cluster);
  await client.connect();
  let isDone = false;
  const opened = client.open().then(
    () => {
      isDone = true;
    },
    () => undefined,
  );
  await settle();
  return { client, done: () => isDone, opened };
}

test("a second session is admitted only after the first has dropped its caches, and neither caches then", async (t) => {
  const cluster = await TestCluster.start();
  const first = await TestClient.open(cluster);
  let dropped: () => void = () => undefined;
  first.beforeCachingAnswer = () =>
    new Promise((resolve) => {
      dropped = resolve;
    });
  const { client: second, done, opened } = await opening(cluster);
  t.deepEqual(first.cachingTold, [false]);
  await live(cluster, 5_000, { clients: [first] });
  t.false(done());
  dropped();
  await opened;
  t.true(done());
  t.false(first.caching);
  t.false(second.caching);
  await cluster.stop();
});

test("whoever is left alone is told that it may cache", async (t) => {
  const cluster = await TestCluster.start();
  const first = await TestClient.open(cluster);
  const second = await TestClient.open(cluster);
  const third = await TestClient.open(cluster);
  await first.call("closeSession", {});
  await settle();
  t.deepEqual(second.cachingTold, []);
  await third.disconnect();
  await live(cluster, limits.sessionTtlMillis + 2_000, { clients: [second] });
  t.deepEqual(second.cachingTold, [true]);
  t.true(second.caching);
  await cluster.stop();
});

test("a second session waits for a silent first one to expire", async (t) => {
  const cluster = await TestCluster.start();
  const first = await TestClient.open(cluster);
  await first.disconnect();
  const { client: second, done } = await opening(cluster);
  await cluster.clock.advance(limits.sessionTtlMillis - 2_000);
  t.false(done());
  await cluster.clock.advance(4_000);
  t.true(done());
  t.true(second.caching, "it is the only one");
  await cluster.stop();
});

test("a first session that comes back while a second one waits is asked over its new connection", async (t) => {
  const cluster = await TestCluster.start();
  const first = await TestClient.open(cluster);
  await first.disconnect();
  const { done } = await opening(cluster);
  const reply = await first.resume();
  t.true(reply.caching);
  await live(cluster, 2_000, { clients: [first] });
  t.deepEqual(first.cachingTold, [false]);
  t.true(done());
  await cluster.stop();
});

test("a client that answers heartbeats but does not drop its caches ends, and the second is admitted", async (t) => {
  const cluster = await TestCluster.start();
  const first = await TestClient.open(cluster);
  first.beforeCachingAnswer = () => new Promise(() => undefined);
  const { done } = await opening(cluster);
  await live(cluster, limits.sessionTtlMillis - 2_000, { clients: [first] });
  t.false(done());
  await cluster.clock.advance(6_000);
  t.true(done());
  t.false(first.peer.isOpen);
  t.is(cluster.server.status().sessions.length, 1);
  await cluster.stop();
});

test("a client that goes on flushing is given more time to drop its caches", async (t) => {
  const cluster = await TestCluster.start();
  const first = await TestClient.open(cluster);
  first.beforeCachingAnswer = () => new Promise(() => undefined);
  const { done } = await opening(cluster);
  for (let i = 0; i < 8; i++) {
    await live(cluster, 5_000, { clients: [first] });
    await first.create(`flushed-${String(i)}`);
  }
  t.false(done());
  t.true(first.peer.isOpen);
  await live(cluster, limits.sessionTtlMillis - 3_000, { clients: [first] });
  await cluster.clock.advance(6_000);
  t.true(done(), "but not for ever");
  await cluster.stop();
});

test("a second client that gives up waiting leaves the first one caching", async (t) => {
  const cluster = await TestCluster.start();
  const first = await TestClient.open(cluster);
  let drop: () => void = () => undefined;
  first.beforeCachingAnswer = () =>
    new Promise((resolve) => {
      drop = resolve;
    });
  const { client: second } = await opening(cluster);
  await second.disconnect();
  first.beforeCachingAnswer = () => Promise.resolve();
  drop();
  await cluster.clock.advance(2_000);
  t.is(cluster.server.status().sessions.length, 1);
  t.true(first.caching);
  await cluster.stop();
});

test("two sessions of before a restart do not cache after it, and one alone does", async (t) => {
  const cluster = await TestCluster.start();
  const first = await TestClient.open(cluster);
  const second = await TestClient.open(cluster);
  await cluster.crash();
  t.false((await first.resume()).caching);
  t.false((await second.resume()).caching);
  await second.call("closeSession", {});
  await settle();
  t.true(first.caching);
  await cluster.crash();
  t.true((await first.resume()).caching);
  await cluster.stop();
});

test("many sessions that open at once are admitted one after the other", async (t) => {
  const cluster = await TestCluster.start();
  const clients = await Promise.all(Array.from({ length: 8 }, () => TestClient.open(cluster)));
  await settle();
  t.is(cluster.server.status().sessions.length, 8);
  t.is(clients.filter(({ caching }) => caching).length, 0);
  await cluster.stop();
});
