import test from "ava";
import { blockName } from "../../../src/base/ids.ts";
import { live, TestClient, TestCluster, type ClusterOptions } from "../support.ts";
import { TestNode } from "../test-node.ts";
import { areWhole, eventually, fill, groupsOf, start, status, type Played } from "./support.ts";

const waits = /2 storage nodes needed for 2 replicas, 1 is up: block writes wait/;
const narrow = /groups have fewer nodes than replicas: what is written now is stored fewer times/;

test("with --min-replicas a two-node cluster with one node dead takes blocks, and completes them later", async (t) => {
  const played = await start(2, { minReplicas: 1, nodeOutMillis: 600_000 });
  const { cluster, client, nodes } = played;
  const [one, two] = nodes as [TestNode, TestNode];
  const before = await fill(played, "before", 40);
  const groups = await groupsOf(client);
  await two.disconnect();
  await live(cluster, 15_000, { clients: [client], nodes: [one] });
  const during = await fill(played, "during", 20);
  t.true(during.blocks.every((block) => one.held.has(blockName(block)) && !two.held.has(blockName(block))));
  for (const { group } of during.blocks) {
    const now = (await groupsOf(client)).find((each) => each.group === group);
    t.deepEqual(now?.nodes, [one.id], "who must have a block is decided before it is written");
    t.is(now?.epoch, 1 + (groups.find((each) => each.group === group)?.epoch ?? 0));
  }
  t.deepEqual(status(cluster).groups, { healthy: 0, degraded: groups.length, lost: 0 });
  t.regex(status(cluster).warnings.join("\n"), narrow);
  t.notRegex(status(cluster).warnings.join("\n"), /block writes wait/);
  two.onCopy = () => "unreachable";
  await two.register({
    cluster: cluster.server.cluster,
    greatest: groups.map(({ group }) => ({ group, number: 0 })),
  });
  await live(cluster, 20_000, { clients: [client], nodes });
  t.true(status(cluster).groups.degraded > 0, "not before it has everything");
  t.deepEqual(two.deleted, [], "and what it has is needed");
  two.onCopy = () => undefined;
  const isWhole = async (): Promise<boolean> =>
    status(cluster).groups.healthy === groups.length && areWhole(played, [...before.blocks, ...during.blocks]);
  await eventually(played, nodes, isWhole, "both have everything");
  t.true(during.blocks.every((block) => two.held.has(blockName(block))));
  t.deepEqual(
    two.copyOrders.flatMap((order) => order.blocks).filter((name) => before.blocks.some((b) => blockName(b) === name)),
    [],
    "what it had it does not copy",
  );
  t.deepEqual(status(cluster).warnings, []);
  t.true((await groupsOf(client)).every((group) => group.nodes.length === 2));
  await cluster.stop();
});

test("without --min-replicas nothing is stored fewer times, also where it was before", async (t) => {
  const options: { -readonly [K in keyof ClusterOptions]: ClusterOptions[K] } = { minReplicas: 1 };
  const cluster = await TestCluster.start(options);
  const [one, two] = [await TestNode.up(cluster, 1), await TestNode.up(cluster, 2)];
  const client = await TestClient.open(cluster);
  await two.disconnect();
  await live(cluster, 15_000, { clients: [client], nodes: [one] });
  const { ranges, map } = await client.change("allocateBlocks", { count: 8, avoid: [] });
  const [range] = ranges;
  if (range === undefined) throw new Error("no range");
  const epoch = map.groups.find(({ group }) => group === range.group)?.epoch ?? 0;
  const ino = await client.create("file");
  options.minReplicas = undefined;
  await cluster.crash();
  await client.resume();
  await one.register({ cluster: cluster.server.cluster });
  await live(cluster, 3_000, { clients: [client], nodes: [one] });
  const block = { group: range.group, number: range.first };
  const late = client.change("writeExtents", {
    ...{ ino, extents: [{ kind: "block" as const, offset: 0, length: 1, block, blockOffset: 0 }] },
    ...{ epochs: [{ group: range.group, epoch }], size: 1, append: false, clearPrivileges: false },
  });
  await t.throwsAsync(late, { message: /ESTALE/ });
  const other = await TestClient.open(cluster);
  await t.throwsAsync(other.change("allocateBlocks", { count: 1, avoid: [] }), { message: /EAGAIN/ });
  t.regex(status(cluster).warnings.join("\n"), waits);
  await cluster.stop();
});

/** The second node is away while blocks are written to the first alone. */
async function withOneAway(): Promise<{ played: Played; one: TestNode; two: TestNode; comeBack: () => Promise<void> }> {
  const played = await start(2, { minReplicas: 1, nodeOutMillis: 600_000 });
  const { cluster, client, nodes } = played;
  const [one, two] = nodes as [TestNode, TestNode];
  await fill(played, "before", 40);
  const greatest = (await groupsOf(client)).map(({ group }) => ({ group, number: 0 }));
  await two.disconnect();
  await live(cluster, 15_000, { clients: [client], nodes: [one] });
  await fill(played, "during", 20);
  const comeBack = async (): Promise<void> => {
    await two.register({ cluster: cluster.server.cluster, greatest });
  };
  return { played, one, two, comeBack };
}

test("what a node holds of groups that have fewer members than wanted is not deleted, though it is no member", async (t) => {
  const { played, two, comeBack } = await withOneAway();
  const { cluster, client, nodes } = played;
  const operator = new TestClient(cluster);
  await operator.connect("admin");
  await operator.call("decideNode", { node: two.id, decision: "drain" });
  await comeBack();
  await live(cluster, 60_000, { clients: [client], nodes });
  t.true(
    (await groupsOf(client)).some((group) => !group.nodes.includes(two.id)),
    "there is one without it",
  );
  t.deepEqual(two.deleted, []);
  await cluster.stop();
});

test("a node that is back while the one that was written to is away is asked for what it has", async (t) => {
  const { played, one, two, comeBack } = await withOneAway();
  const { cluster, client } = played;
  await one.disconnect();
  await live(cluster, 5_000, { clients: [client], nodes: [] });
  await comeBack();
  const isMember = async (): Promise<boolean> =>
    (await groupsOf(client)).every(
      ({ group, nodes: members }) =>
        members.includes(two.id) || ![...two.held.keys()].some((name) => name.startsWith(`${String(group)}/`)),
    );
  await eventually(played, [two], isMember, "it is a member of every group that it has blocks of");
  t.true(status(cluster).groups.lost > 0, "what was written meanwhile is with the other");
  await cluster.stop();
});
