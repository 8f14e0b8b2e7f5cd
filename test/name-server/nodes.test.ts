import test from "ava";
import { limits } from "../../src/base/limits.ts";
import type { ClusterId, GroupId } from "../../src/base/ids.ts";
import type { PlacementGroup } from "../../src/protocol/types.ts";
import { settle } from "../support/simulated-clock.ts";
import { live, TestClient, TestCluster } from "./support.ts";
import { TestNode } from "./test-node.ts";

const errno = (code: string): { message: RegExp } => ({ message: new RegExp(code) });

function states(cluster: TestCluster): string[] {
  return cluster.server.status().nodes.map(({ state }) => state);
}

test("groups are created as soon as there are as many nodes as replicas", async (t) => {
  const cluster = await TestCluster.start();
  await TestNode.up(cluster, 1);
  t.deepEqual(cluster.server.status().groups, { healthy: 0, degraded: 0, lost: 0 });
  await TestNode.up(cluster, 2);
  t.is(cluster.server.status().groups.healthy, 16);
  await cluster.stop();
});

test("groups and nodes survive a restart, nodes being down until they register again", async (t) => {
  const cluster = await TestCluster.start();
  const nodes = [await TestNode.up(cluster, 1), await TestNode.up(cluster, 2), await TestNode.up(cluster, 3)];
  const client = await TestClient.open(cluster);
  const before = (await client.call("clusterMap", {})).map;
  await cluster.crash();
  t.deepEqual(states(cluster), ["down", "down", "down"]);
  t.is(cluster.server.status().groups.lost, before.groups.length);
  const reply = await client.resume();
  t.deepEqual(reply.map.groups, before.groups);
  t.true(reply.map.version > before.version, "a map of the new run replaces one of the old");
  for (const node of nodes) await node.register({ cluster: reply.cluster });
  t.deepEqual(states(cluster), ["up", "up", "up"]);
  t.is(cluster.server.status().groups.healthy, before.groups.length);
  await cluster.stop();
});

test("a node of another cluster is refused", async (t) => {
  const cluster = await TestCluster.start();
  const node = new TestNode(cluster, 1);
  await t.throwsAsync(node.register({ cluster: "00000000000000ff" as ClusterId }), errno("EPERM"));
  t.deepEqual(states(cluster), []);
  await cluster.stop();
});

test("a node that holds blocks which were never given is refused: the store is older than the cluster", async (t) => {
  const cluster = await TestCluster.start();
  await TestNode.up(cluster, 1);
  await TestNode.up(cluster, 2);
  const node = new TestNode(cluster, 1);
  const group = 0 as GroupId;
  await t.throwsAsync(node.register({ greatest: [{ group, number: 10_000 }] }), errno("EPERM"));
  await t.throwsAsync(node.register({ greatest: [{ group: 999 as GroupId, number: 1 }] }), errno("EPERM"));
  await t.notThrowsAsync(node.register({ greatest: [{ group, number: 0 }] }));
  await cluster.stop();
});

test("a heartbeat before the registration is refused", async (t) => {
  const cluster = await TestCluster.start();
  const node = new TestNode(cluster, 1);
  await node.connect();
  await t.throwsAsync(node.heartbeat(), errno("ENOTCONN"));
  await cluster.stop();
});

test("a silent node is down after its time, and up again with its next heartbeat", async (t) => {
  const cluster = await TestCluster.start();
  const [one, two] = [await TestNode.up(cluster, 1), await TestNode.up(cluster, 2)];
  await live(cluster, limits.nodeDownMillis - 1_000, { nodes: [two] });
  t.deepEqual(states(cluster), ["up", "up"]);
  await live(cluster, 3_000, { nodes: [two] });
  t.deepEqual(states(cluster), ["down", "up"]);
  t.regex(
    cluster.server.status().warnings.join("\n"),
    /2 storage nodes needed for 2 replicas, 1 is up: block writes wait/,
  );
  await one.heartbeat();
  t.deepEqual(states(cluster), ["up", "up"]);
  await cluster.stop();
});

test("the heartbeat loop survives any node's error", async (t) => {
  const cluster = await TestCluster.start();
  const [one, two, three] = [
    await TestNode.up(cluster, 1),
    await TestNode.up(cluster, 2),
    await TestNode.up(cluster, 3),
  ];
  const client = await TestClient.open(cluster);
  // One does not answer, one goes in the middle of it, a stranger and one that has not registered are refused.
  one.answersStatus = false;
  await client.call("reportNode", { node: one.id, problem: "unreachable" });
  await three.disconnect();
  const stranger = new TestNode(cluster, 4);
  await t.throwsAsync(stranger.register({ cluster: "00000000000000ff" as ClusterId }), errno("EPERM"));
  await t.throwsAsync(stranger.heartbeat(), errno("ENOTCONN"));
  await live(cluster, 2 * limits.nodeDownMillis, { nodes: [two], clients: [client] });
  t.deepEqual(states(cluster), ["down", "up", "down"]);
  await one.heartbeat();
  await three.register();
  await live(cluster, limits.nodeDownMillis, { nodes: [one, two, three], clients: [client] });
  t.deepEqual(states(cluster), ["up", "up", "up"]);
  await live(cluster, 2 * limits.nodeDownMillis, { nodes: [one, three], clients: [client] });
  t.deepEqual(states(cluster), ["up", "down", "up"], "silence is still noticed");
  await cluster.stop();
});

test("the server's own standstill takes no node down", async (t) => {
  const cluster = await TestCluster.start();
  await TestNode.up(cluster, 1);
  cluster.clock.stall(10 * limits.nodeDownMillis);
  await cluster.clock.advance(1_000);
  t.deepEqual(states(cluster), ["up"]);
  await cluster.stop();
});

test("a node whose connection broke and that registers again at once keeps everything and changes no map", async (t) => {
  const cluster = await TestCluster.start();
  const [one, two] = [await TestNode.up(cluster, 1), await TestNode.up(cluster, 2)];
  const client = await TestClient.open(cluster);
  await settle();
  const before = (await client.call("clusterMap", {})).map;
  await one.disconnect();
  await live(cluster, 1_000, { nodes: [two] });
  await one.register();
  await live(cluster, 5_000, { nodes: [one, two], clients: [client] });
  t.deepEqual((await client.call("clusterMap", {})).map, before);
  await cluster.stop();
});

test("a node whose connection broke and that does not return is down soon, and clients are told", async (t) => {
  const cluster = await TestCluster.start();
  const [one, two] = [await TestNode.up(cluster, 1), await TestNode.up(cluster, 2)];
  const client = await TestClient.open(cluster);
  await one.disconnect();
  await live(cluster, limits.nodeHeartbeatMillis + 2_000, { nodes: [two], clients: [client] });
  t.deepEqual(states(cluster), ["down", "up"]);
  const { map } = await client.call("clusterMap", {});
  t.is(client.maps.at(-1), map.version);
  t.is(map.nodes[0]?.state, "down");
  await cluster.stop();
});

test("a node that a client cannot reach is asked, and down when it does not answer", async (t) => {
  const cluster = await TestCluster.start();
  const one = await TestNode.up(cluster, 1);
  const client = await TestClient.open(cluster);
  await client.call("reportNode", { node: one.id, problem: "unreachable" });
  await cluster.clock.advance(3_000);
  t.deepEqual(states(cluster), ["up"], "it answered");
  one.answersStatus = false;
  await one.heartbeat();
  await client.call("reportNode", { node: one.id, problem: "unreachable" });
  await cluster.clock.advance(3_000);
  t.deepEqual(states(cluster), ["down"]);
  await cluster.stop();
});

/** How often each node is a member. */
function places(groups: readonly PlacementGroup[], nodes: readonly TestNode[]): number[] {
  return nodes.map(({ id }) => groups.filter((group) => group.nodes.includes(id)).length);
}

test("a node that joins before anything was written is in as many groups as the others", async (t) => {
  const cluster = await TestCluster.start();
  const nodes = [await TestNode.up(cluster, 1), await TestNode.up(cluster, 2), await TestNode.up(cluster, 3)];
  const client = await TestClient.open(cluster);
  const { groups } = (await client.call("clusterMap", {})).map;
  t.is(groups.length, 24);
  t.deepEqual(places(groups, nodes), [16, 16, 16]);
  await cluster.crash();
  await client.resume();
  for (const node of nodes) await node.register();
  t.deepEqual((await client.call("clusterMap", {})).map.groups, groups);
  await cluster.stop();
});

test("a node that joins later comes in through further groups, and those that have numbers stay as they are", async (t) => {
  const cluster = await TestCluster.start();
  await TestNode.up(cluster, 1);
  await TestNode.up(cluster, 2);
  const client = await TestClient.open(cluster);
  const { ranges, map: before } = await client.change("allocateBlocks", { count: 1_024, avoid: [] });
  t.is(new Set(ranges.map(({ group }) => group)).size, before.groups.length, "numbers of all groups");
  const three = await TestNode.up(cluster, 3);
  const after = (await client.call("clusterMap", {})).map;
  t.deepEqual(after.groups.slice(0, before.groups.length), before.groups);
  const added = after.groups.slice(before.groups.length);
  t.is(added.length, 8);
  t.true(added.every(({ nodes, epoch }) => nodes.includes(three.id) && epoch === 1));
  await cluster.stop();
});

test("whatever comes and goes, groups stay as many as the nodes ask for", async (t) => {
  const cluster = await TestCluster.start({ nodeOutMillis: 20_000 });
  const nodes: TestNode[] = [];
  const client = await TestClient.open(cluster);
  for (let number = 1; number <= 5; number++) {
    nodes.push(await TestNode.up(cluster, number));
    if (number >= 2) await client.change("allocateBlocks", { count: 1_024, avoid: [] });
  }
  const count = async (): Promise<number> => (await client.call("clusterMap", {})).map.groups.length;
  t.is(await count(), 40);
  for (const leaver of [1, 3]) {
    const others = nodes.filter((_, i) => i !== leaver);
    await live(cluster, 60_000, { nodes: others, clients: [client] });
    t.is(states(cluster)[leaver], "out");
    await nodes[leaver]?.register({ cluster: cluster.server.cluster });
    await live(cluster, 10_000, { nodes, clients: [client] });
    t.is(await count(), 40, "it is back");
  }
  const fresh = new TestNode(cluster, 9);
  await nodes[0]?.disconnect();
  await fresh.register({ address: { host: "127.0.0.1", port: 7_501 } });
  t.is(await count(), 40, "another one stands in its place");
  await cluster.stop();
});

test("a node that moved to another address is shown there", async (t) => {
  const cluster = await TestCluster.start();
  const one = await TestNode.up(cluster, 1);
  await one.register({ address: { host: "10.0.0.7", port: 7501 } });
  t.is(cluster.server.status().nodes[0]?.address, "10.0.0.7:7501");
  await cluster.crash();
  t.is(cluster.server.status().nodes[0]?.address, "10.0.0.7:7501");
  await cluster.stop();
});
