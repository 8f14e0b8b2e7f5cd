import test from "ava";
import { limits } from "../../src/base/limits.ts";
import { TestClient, TestCluster, live } from "./support.ts";
import { TestNode } from "./test-node.ts";
import { settle } from "../support/simulated-clock.ts";

const errno = (code: string): { message: RegExp } => ({ message: new RegExp(code) });

test("a method is refused without a session", async (t) => {
  const cluster = await TestCluster.start();
  const client = new TestClient(cluster);
  await client.connect();
  await t.throwsAsync(client.call("getattr", { ino: 1 as never }), errno("ENOTCONN"));
  await t.throwsAsync(client.call("heartbeat", {}), errno("ENOTCONN"));
  await t.throwsAsync(client.create("a"), errno("ENOTCONN"));
  await cluster.stop();
});

test("only a client may open a session, only a storage node may register, and everybody may ask for the status", async (t) => {
  const cluster = await TestCluster.start();
  const admin = new TestClient(cluster);
  await admin.connect("admin");
  await t.throwsAsync(admin.open(), errno("EPERM"));
  t.truthy((await admin.call("status", {})).status);
  const client = await TestClient.open(cluster);
  const registration = {
    node: "0000000000000001" as never,
    cluster: null,
    address: { host: "h", port: 1 },
    hostLabel: "",
  };
  const space = { capacityBytes: 1, usedBytes: 0, freeBytes: 1, greatest: [] };
  await t.throwsAsync(client.call("registerNode", { ...registration, ...space }), errno("EPERM"));
  await cluster.stop();
});

test("a session is the same after its connection broke, and its leases are known", async (t) => {
  const cluster = await TestCluster.start();
  const client = await TestClient.open(cluster);
  await client.create("a");
  await client.disconnect();
  const reply = await client.resume();
  t.true(reply.resumed);
  t.true(reply.leasesKept);
  t.truthy(await client.lookup("a"));
  await cluster.stop();
});

test("a session that resumes on a new connection replaces the old one", async (t) => {
  const cluster = await TestCluster.start();
  const client = await TestClient.open(cluster);
  const old = client.peer;
  await client.resume();
  await settle();
  t.false(old.isOpen);
  t.truthy((await client.call("heartbeat", {})).serverNanos);
  await cluster.stop();
});

test("a session expires after its time to live in silence, and cannot be resumed then", async (t) => {
  const cluster = await TestCluster.start();
  const client = await TestClient.open(cluster);
  await client.disconnect();
  await cluster.clock.advance(limits.sessionTtlMillis + 2_000);
  t.is(cluster.server.status().sessions.length, 0);
  const old = client.session;
  const reply = await client.resume();
  t.false(reply.resumed);
  t.not(reply.session, old);
  await cluster.stop();
});

test("heartbeats keep a session", async (t) => {
  const cluster = await TestCluster.start();
  const client = await TestClient.open(cluster);
  await live(cluster, 3 * limits.sessionTtlMillis, { clients: [client] });
  t.is(cluster.server.status().sessions.length, 1);
  t.true(client.peer.isOpen);
  await cluster.stop();
});

test("the server's own standstill counts as nobody's silence", async (t) => {
  const cluster = await TestCluster.start();
  const client = await TestClient.open(cluster);
  cluster.clock.stall(10 * limits.sessionTtlMillis);
  await cluster.clock.advance(1_000);
  t.is(cluster.server.status().sessions.length, 1);
  await client.call("heartbeat", {});
  await cluster.stop();
});

test("after a restart every committed session gets a fresh time to live to resume", async (t) => {
  const cluster = await TestCluster.start();
  const client = await TestClient.open(cluster);
  const lost = await TestClient.open(cluster);
  await cluster.clock.advance(limits.sessionTtlMillis - 2_000);
  await cluster.crash();
  await cluster.clock.advance(limits.sessionTtlMillis - 2_000);
  t.is(cluster.server.status().sessions.length, 2);
  t.true((await client.resume()).resumed);
  await live(cluster, 5_000, { clients: [client] });
  t.deepEqual(
    cluster.server.status().sessions.map(({ id }) => id),
    [client.session],
  );
  t.false((await lost.resume()).resumed);
  await cluster.stop();
});

test("an expired session is gone after a restart too", async (t) => {
  const cluster = await TestCluster.start();
  const client = await TestClient.open(cluster);
  await client.disconnect();
  await cluster.clock.advance(limits.sessionTtlMillis + 2_000);
  await cluster.crash();
  t.is(cluster.server.status().sessions.length, 0);
  await cluster.stop();
});

test("a closed session is answered and gone", async (t) => {
  const cluster = await TestCluster.start();
  const client = await TestClient.open(cluster);
  await client.call("closeSession", {});
  t.is(cluster.server.status().sessions.length, 0);
  await t.throwsAsync(client.call("heartbeat", {}), errno("ENOTCONN"));
  await cluster.stop();
});

test("the number of sessions is bounded", async (t) => {
  const cluster = await TestCluster.start();
  const clients = await Promise.all(
    Array.from({ length: limits.sessionsMax }, async () => {
      const client = new TestClient(cluster);
      await client.connect();
      return client;
    }),
  );
  await Promise.all(clients.map((client) => client.open()));
  const late = new TestClient(cluster);
  await late.connect();
  await t.throwsAsync(late.open(), errno("EUSERS"));
  await cluster.stop();
});

test("a heartbeat tells the server's clock, the map's version and what is free", async (t) => {
  const cluster = await TestCluster.start();
  const client = await TestClient.open(cluster);
  const before = await client.call("heartbeat", {});
  t.is(before.bytesFree, 0);
  await TestNode.up(cluster, 1);
  await TestNode.up(cluster, 2);
  await cluster.clock.advance(1_000);
  const after = await client.call("heartbeat", {});
  t.true(after.bytesFree > 90 * 1024 ** 3);
  t.true(after.mapVersion > before.mapVersion);
  t.is(after.serverNanos - before.serverNanos, 1_000_000_000n);
  t.is(client.maps.at(-1), after.mapVersion, "and the change was pushed");
  await cluster.stop();
});
