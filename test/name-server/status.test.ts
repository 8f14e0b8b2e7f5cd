import test from "ava";
import type { StatusReply } from "../../src/protocol/status.ts";
import { TestClient, TestCluster } from "./support.ts";
import { TestNode } from "./test-node.ts";

test("the status of a healthy cluster shows nodes, capacity, groups, sessions, and no warnings", async (t) => {
  const cluster = await TestCluster.start();
  const nodes = [await TestNode.up(cluster, 1), await TestNode.up(cluster, 2), await TestNode.up(cluster, 3)];
  const client = await TestClient.open(cluster);
  await client.create("file");
  await cluster.clock.advance(1_000);
  const { status } = (await client.call("status", {})) as { status: StatusReply };
  t.deepEqual(status.warnings, []);
  t.is(status.cluster, cluster.server.cluster);
  t.is(status.replicas, 2);
  t.is(status.files, 2);
  t.is(status.nodes.length, 3);
  t.is(status.nodes[0]?.silentMillis, 1_000);
  t.is(status.groups.degraded + status.groups.lost, 0);
  t.true(status.groups.healthy >= 24);
  t.deepEqual(
    status.sessions.map(({ client: name, connected }) => ({ name, connected })),
    [{ name: "test", connected: true }],
  );
  const capacity = nodes.reduce((sum, { capacityBytes }) => sum + capacityBytes, 0);
  t.is(status.capacity.totalBytes, capacity);
  t.is(status.capacity.freeBytes, capacity);
  t.true(status.capacity.availableBytes < capacity / 2 && status.capacity.availableBytes > 0.49 * capacity);
  t.is(status.uptimeSeconds, 1);
  await cluster.stop();
});

test("statfs shows what can be stored with all replicas", async (t) => {
  const cluster = await TestCluster.start();
  for (const number of [1, 2, 3]) {
    const node = new TestNode(cluster, number);
    node.freeBytes = number * 10 * 1024 ** 3;
    await node.register();
  }
  await cluster.clock.advance(1_000);
  const client = await TestClient.open(cluster);
  const { bytesFree, bytesTotal, files, filesFree } = await client.call("statfs", {});
  t.true(Math.abs(bytesFree / 1024 ** 3 - 30) < 0.1, "10 + 20 + 30 twice over");
  t.true(Math.abs(bytesTotal / 1024 ** 3 - 150) < 0.5);
  t.is(files - filesFree, 1);
  await cluster.stop();
});

test("degraded and lost groups are counted and told in words", async (t) => {
  const cluster = await TestCluster.start();
  const nodes = [await TestNode.up(cluster, 1), await TestNode.up(cluster, 2), await TestNode.up(cluster, 3)];
  for (const node of nodes.slice(0, 2)) await node.disconnect();
  await cluster.clock.advance(4_000);
  const status = cluster.server.status();
  t.true(status.groups.degraded > 0 && status.groups.lost > 0);
  t.is(status.groups.healthy, 0);
  const text = status.warnings.join("\n");
  t.regex(text, /2 storage nodes needed for 2 replicas, 1 is up: block writes wait/);
  t.regex(text, /groups have no node that is up/);
  t.regex(text, /storage node 0000000000000001 at 127\.0\.0\.1:7501 is down/);
  await cluster.stop();
});
