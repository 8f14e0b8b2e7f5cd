import test, { type ExecutionContext } from "ava";
import { blockName, type BlockId } from "../../../src/base/ids.ts";
import { live, TestClient } from "../support.ts";
import { TestNode } from "../test-node.ts";
import { areWhole, eventually, fill, groupsOf, start, status, type Played } from "./support.ts";

async function admin({ cluster }: Played): Promise<TestClient> {
  const client = new TestClient(cluster);
  await client.connect("admin");
  return client;
}

async function isFreeOf(played: Played, node: TestNode): Promise<boolean> {
  return (await groupsOf(played.client)).every((group) => !group.nodes.includes(node.id));
}

test("a drained node serves until others hold its blocks, and only then may be removed", async (t) => {
  const played = await start(4);
  const { cluster, client, nodes } = played;
  const four = nodes[3] as TestNode;
  const { blocks } = await fill(played, "file", 60);
  const operator = await admin(played);
  await t.throwsAsync(operator.call("decideNode", { node: four.id, decision: "remove" }), {
    message: /EBUSY.*drain it first/,
  });
  await t.throwsAsync(operator.call("decideNode", { node: "nobody", decision: "drain" }), { message: /ENOENT/ });
  await t.throwsAsync(client.call("decideNode", { node: four.id, decision: "drain" }), { message: /EPERM/ });
  let widest = 0;
  for (const node of nodes) {
    node.onCopy = async (name) => {
      const group = (await groupsOf(client)).find((each) => name.startsWith(`${String(each.group)}/`));
      widest = Math.max(widest, group?.nodes.length ?? 0);
      return undefined;
    };
  }
  await operator.call("decideNode", { node: "127.0.0.1:7504", decision: "drain" });
  t.is(status(cluster).nodes[3]?.state, "draining");
  await t.throwsAsync(operator.call("decideNode", { node: four.id, decision: "remove" }), {
    message: /EBUSY.*still need/,
  });
  await eventually(
    played,
    nodes,
    async () => (await isFreeOf(played, four)) && areWhole(played, blocks),
    "it is drained",
    300_000,
  );
  t.is(widest, 3, "it was left out only when another was whole");
  t.is(status(cluster).groups.healthy, (await groupsOf(client)).length);
  await eventually(played, nodes, () => four.held.size === 0, "its blocks are deleted");
  await operator.call("decideNode", { node: four.id, decision: "remove" });
  t.is(status(cluster).nodes[3]?.state, "removed");
  await t.throwsAsync(four.register({ cluster: cluster.server.cluster }), { message: /EPERM.*empty folder/ });
  await cluster.crash();
  await t.throwsAsync(four.register({ cluster: cluster.server.cluster }), { message: /EPERM.*empty folder/ });
  await cluster.stop();
});

test("a drain survives a restart of the name server, and can be taken back", async (t) => {
  const played = await start(4);
  const { cluster, client, nodes } = played;
  const four = nodes[3] as TestNode;
  const { blocks } = await fill(played, "file", 60);
  let operator = await admin(played);
  await operator.call("decideNode", { node: four.id, decision: "drain" });
  await cluster.crash();
  await client.resume();
  for (const node of nodes) await node.register({ cluster: cluster.server.cluster });
  t.is(status(cluster).nodes.find(({ id }) => id === four.id)?.state, "draining");
  operator = await admin(played);
  await operator.call("decideNode", { node: four.id, decision: "undrain" });
  await eventually(played, nodes, () => areWhole(played, blocks), "all is whole");
  await live(cluster, 5_000, { clients: [client], nodes });
  t.true((await groupsOf(client)).some((group) => group.nodes.includes(four.id)));
  t.true((await groupsOf(client)).every((group) => group.nodes.length === 2));
  await cluster.stop();
});

test("a new node takes its share of what is there, and then nothing moves any more", async (t) => {
  const played = await start(3);
  const { cluster, client, nodes } = played;
  const { blocks } = await fill(played, "file", 240);
  nodes.push(await TestNode.up(cluster, 4));
  const four = nodes[3] as TestNode;
  const bytesOn = (node: TestNode): number => blocks.filter((block) => node.held.has(blockName(block))).length;
  await eventually(played, nodes, () => bytesOn(four) >= 90, "the newcomer holds three quarters of its share", 600_000);
  await live(cluster, 120_000, { clients: [client], nodes });
  const before = nodes.map(bytesOn);
  const groups = await groupsOf(client);
  await live(cluster, 300_000, { clients: [client], nodes });
  t.deepEqual(await groupsOf(client), groups);
  t.deepEqual(nodes.map(bytesOn), before);
  t.true(await areWhole(played, blocks));
  t.is(
    before.reduce((sum, each) => sum + each, 0),
    480,
    "nobody keeps what he does not need",
  );
  await cluster.stop();
});

/** Whether each block is at the members of its group and nowhere else. */
async function isExact({ client, nodes }: Played, blocks: readonly BlockId[]): Promise<boolean> {
  const groups = await groupsOf(client);
  return blocks.every((block) => {
    const members = groups.find(({ group }) => group === block.group)?.nodes ?? [];
    return nodes.every((node) => node.held.has(blockName(block)) === members.includes(node.id));
  });
}

/** What the third node finds when it comes back after others have taken its place. */
async function replaced(t: ExecutionContext, holds: "whole" | "half"): Promise<void> {
  const played = await start(3);
  const { cluster, client, nodes } = played;
  const [one, two, three] = nodes as [TestNode, TestNode, TestNode];
  const { blocks } = await fill(played, "file", 60);
  const before = new Set(three.held.keys());
  const greatest = (await groupsOf(client))
    .filter((group) => group.nodes.includes(three.id))
    .map(({ group }) => ({ group, number: 0 }));
  if (holds === "half") for (const node of [one, two]) node.onCopy = () => "unreachable";
  await eventually(played, [one, two], () => status(cluster).nodes[2]?.state === "out", "it is out");
  if (holds === "whole") await eventually(played, [one, two], () => areWhole(played, blocks), "others have its blocks");
  else await live(cluster, 5_000, { clients: [client], nodes: [one, two] });
  t.deepEqual(new Set(three.held.keys()), before, "nobody deletes while it is away");
  await three.register({ cluster: cluster.server.cluster, greatest });
  await eventually(played, nodes, () => areWhole(played, blocks), "all is whole");
  const copiedAgain = (): string[] =>
    three.copyOrders.flatMap((order) => order.blocks).filter((name) => before.has(name));
  if (holds === "half") t.deepEqual(copiedAgain(), [], "what it had it does not copy");
  const places = (await groupsOf(client)).filter((group) => group.nodes.includes(three.id)).length;
  if (holds === "half") t.true(places > 0, "it is a member again");
  await eventually(
    played,
    nodes,
    async () => status(cluster).repair.comparing === 0 && isExact(played, blocks),
    "nobody has what he does not need",
  );
  if (holds === "whole") {
    t.true((await groupsOf(client)).filter((group) => group.nodes.includes(three.id)).length >= 14, "it has its share");
    // What was not needed of it any more may yet have been given to it, so that nodes are equally full.
    t.true(copiedAgain().length <= before.size / 2, `${String(copiedAgain().length)} of ${String(before.size)}`);
  }
  await cluster.stop();
}

test("a node that returns when others have copied everything takes its places back, and nobody keeps more than he needs", (t) =>
  replaced(t, "whole"));

test("a node that returns while others still copy is a member again, with what it holds", (t) => replaced(t, "half"));

test("a node that lost blocks while its identity stayed copies them, and what nobody names is deleted there", async (t) => {
  const played = await start(3);
  const { cluster, client, nodes } = played;
  const one = nodes[0] as TestNode;
  const { blocks } = await fill(played, "file", 60);
  const group = (await groupsOf(client)).find(
    (each) => each.nodes.includes(one.id) && blocks.some((block) => block.group === each.group),
  );
  if (group === undefined) throw new Error("the first node has no group");
  const lost = [...one.held.keys()].slice(0, 5);
  for (const name of lost) one.held.delete(name);
  const session = await TestClient.open(cluster);
  const { ranges } = await session.change("allocateBlocks", { count: 400, avoid: [] });
  const range = ranges.find((each) => each.group === group.group);
  await session.call("closeSession", {});
  const stray = `${String(group.group)}/${String(range?.first ?? 1)}`;
  await one.disconnect();
  await one.register({ cluster: cluster.server.cluster });
  await eventually(played, nodes, () => areWhole(played, blocks), "it has them again");
  t.true(lost.every((name) => one.held.has(name)));
  // After its deletion was decided a node that was away turns up with it again.
  await live(cluster, 60_000, { clients: [client], nodes });
  one.held.set(stray, 4_096);
  await one.disconnect();
  await one.register({ cluster: cluster.server.cluster, greatest: [{ group: group.group, number: 0 }] });
  await eventually(played, nodes, () => !one.held.has(stray), "the stray block is deleted");
  t.true(one.deleted.includes(stray));
  await cluster.stop();
});

test("a damaged copy that a client reports is replaced; one that nobody has is counted as lost", async (t) => {
  const played = await start(2);
  const { cluster, client, nodes } = played;
  const [one, two] = nodes as [TestNode, TestNode];
  const { blocks } = await fill(played, "file", 4);
  const [first, second] = blocks as [(typeof blocks)[0], (typeof blocks)[0]];
  one.damaged.add(blockName(first));
  await client.call("reportNode", { node: one.id, block: first, problem: "corrupt" });
  await eventually(played, nodes, () => status(cluster).repair.copiesVerified === 1, "it is replaced");
  t.deepEqual(one.copyOrders, [{ blocks: [blockName(first)], sources: [two.id] }]);
  two.onCopy = () => "damaged";
  two.held.delete(blockName(second));
  await client.call("reportNode", { node: two.id, block: second, problem: "missing" });
  await eventually(played, nodes, () => status(cluster).repair.lostBlocks === 1, "it is lost");
  t.regex(
    status(cluster).warnings.join("\n"),
    new RegExp(
      `1 blocks have no undamaged copy on any storage node; dfs fsck --data names their files: ${blockName(second)}`,
    ),
  );
  two.onCopy = () => undefined;
  await two.disconnect();
  await two.register({ cluster: cluster.server.cluster });
  await eventually(played, nodes, () => status(cluster).repair.lostBlocks === 0, "it was found after all");
  await cluster.stop();
});
