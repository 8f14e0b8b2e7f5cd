import test from "ava";
import { blockName, type GroupId, type NodeId } from "../../../src/base/ids.ts";
import type { PlacementGroup } from "../../../src/protocol/types.ts";
import { planRescue, type RescuedGroup } from "../../../src/name-server/repair/rescue.ts";
import { live, TestClient, TestCluster } from "../support.ts";
import { TestNode } from "../test-node.ts";
import { areWhole, eventually, fill, groupsOf, outMillis, status, type Played } from "./support.ts";

const rackOf = (node: TestNode): string => (parseInt(node.id, 16) % 2 === 0 ? "rack-even" : "rack-odd");

/** Nodes of two racks: the odd ones and the even ones. */
async function racks(count: number): Promise<Played> {
  const cluster = await TestCluster.start({ nodeOutMillis: outMillis });
  const nodes = Array.from({ length: count }, (_, i) => new TestNode(cluster, i + 1));
  for (const node of nodes) await node.register({ hostLabel: rackOf(node) });
  return { cluster, nodes, client: await TestClient.open(cluster) };
}

function racksOf({ nodes }: Played, group: PlacementGroup): number {
  return new Set(nodes.filter(({ id }) => group.nodes.includes(id)).map(rackOf)).size;
}

function allocate({ client }: Played): ReturnType<typeof client.change<"allocateBlocks">> {
  return client.change("allocateBlocks", { count: 100, avoid: [] });
}

test("a rack that is cut off: writers go on in the other, and when it is back everything is in both again", async (t) => {
  const played = await racks(4);
  const { cluster, client, nodes } = played;
  const { blocks } = await fill(played, "before", 120);
  const before = await groupsOf(client);
  t.true(before.every((group) => racksOf(played, group) === 2));
  const odd = nodes.filter((node) => rackOf(node) === "rack-odd");
  const even = nodes.filter((node) => rackOf(node) === "rack-even");
  for (const node of odd) await node.disconnect();
  await live(cluster, 3_000, { clients: [client], nodes: even });
  await t.throwsAsync(allocate(played), { message: /EAGAIN/ }, "not for a restart");
  await live(cluster, 10_000, { clients: [client], nodes: even });
  const { ranges, map } = await allocate(played);
  const rescued = map.groups.filter(({ group, epoch }) => epoch > (before.find((e) => e.group === group)?.epoch ?? 0));
  t.is(rescued.length, 8, "some groups are enough");
  t.true(ranges.every(({ group }) => rescued.some((each) => each.group === group)));
  t.true(rescued.every((group) => group.nodes.length === 2 && even.every(({ id }) => group.nodes.includes(id))));
  t.is((await groupsOf(client)).length, before.length);
  const during = await fill(played, "during", 40);
  for (const node of odd) {
    const greatest = [...new Set([...node.held.keys()].map((name) => Number(name.split("/")[0]) as GroupId))];
    await node.register({
      ...{ cluster: cluster.server.cluster, hostLabel: rackOf(node) },
      greatest: greatest.map((group) => ({ group, number: 0 })),
    });
  }
  const all = [...blocks, ...during.blocks];
  const isSettled = async (): Promise<boolean> => {
    const groups = await groupsOf(client);
    const arePlaced = groups.every((group) => group.nodes.length === 2 && racksOf(played, group) === 2);
    return arePlaced && status(cluster).groups.degraded === 0 && areWhole(played, all);
  };
  await eventually(played, nodes, isSettled, "every block is in both racks");
  const copied = odd.flatMap((node) => node.copyOrders.flatMap((order) => order.blocks));
  const old = new Set(blocks.map(blockName));
  t.deepEqual(
    copied.filter((name) => old.has(name)),
    [],
    "what the rack had it does not copy",
  );
  t.is((await groupsOf(client)).length, before.length);
  await cluster.stop();
});

test("a restart of the name server is no reason to go on without anybody", async (t) => {
  const played = await racks(4);
  const { cluster, client, nodes } = played;
  await fill(played, "file", 40);
  const before = await groupsOf(client);
  await cluster.crash();
  await client.resume();
  const [one, two, three, four] = nodes as [TestNode, TestNode, TestNode, TestNode];
  for (const node of [one, three]) await node.register({ cluster: cluster.server.cluster, hostLabel: rackOf(node) });
  await live(cluster, 5_000, { clients: [client], nodes: [one, three] });
  for (const node of [two, four]) await node.register({ cluster: cluster.server.cluster, hostLabel: rackOf(node) });
  await live(cluster, 20_000, { clients: [client], nodes });
  t.deepEqual(await groupsOf(client), before);
  await cluster.stop();
});

test("groups that were made on one host move apart when there is another, a few at a time", async (t) => {
  const cluster = await TestCluster.start({ nodeOutMillis: outMillis });
  const nodes = [1, 3].map((number) => new TestNode(cluster, number));
  for (const node of nodes) await node.register({ hostLabel: rackOf(node) });
  const played = { cluster, nodes, client: await TestClient.open(cluster) };
  const { blocks } = await fill(played, "file", 120);
  const { client } = played;
  t.true((await groupsOf(client)).every((group) => racksOf(played, group) === 1));
  const two = new TestNode(cluster, 2);
  nodes.push(two);
  await two.register({ hostLabel: rackOf(two) });
  let widest = 0;
  two.onCopy = async () => {
    const groups = await groupsOf(client);
    widest = Math.max(widest, groups.filter((group) => group.nodes.length > 2).length);
    return undefined;
  };
  await eventually(
    played,
    nodes,
    async () => {
      const groups = await groupsOf(client);
      const areApart = groups.every((group) => group.nodes.length === 2 && racksOf(played, group) === 2);
      return areApart && areWhole(played, blocks);
    },
    "every group is in both racks",
  );
  t.true(widest > 0 && widest <= 4, String(widest));
  const groups = await groupsOf(client);
  await live(cluster, 60_000, { clients: [client], nodes });
  t.deepEqual(await groupsOf(client), groups, "and then nothing moves any more");
  await cluster.stop();
});

const id = (number: number): NodeId => number.toString(16).padStart(16, "0") as NodeId;
const group = (number: number, nodes: number[], copying: number[] = [], bytes = 0): RescuedGroup => ({
  ...{ group: number as GroupId, nodes: nodes.map(id), copying: copying.map(id), bytes },
});

/** The node numbers of each rescued group, copying ones with a star. `silent` are down; all others are up and take. */
function rescue(
  groups: readonly RescuedGroup[],
  silent: number[],
  { takers = [1, 2, 3, 4], copiesMin = 2 } = {},
): string[] {
  const placement = (node: NodeId): { id: NodeId; host: string; freeBytes: number } => ({
    ...{ id: node, host: node, freeBytes: 2 ** 40 },
  });
  const isSilent = (node: NodeId): boolean => silent.some((number) => id(number) === node);
  const planned = planRescue(groups, {
    ...{ replicas: 2, copiesMin },
    takers: takers
      .map(id)
      .filter((node) => !isSilent(node))
      .map(placement),
    member: (node) => ({ placement: placement(node), isUp: !isSilent(node), isSilent: isSilent(node) }),
  });
  return [...planned].map(
    ([number, { nodes, copying }]) =>
      `${String(number)}: ${nodes.map((node) => `${String(parseInt(node, 16))}${copying.includes(node) ? "*" : ""}`).join(" ")}`,
  );
}

test("nobody's place is taken while a group takes blocks", (t) => {
  t.deepEqual(rescue([group(0, [1, 2]), group(1, [2, 3])], [1]), []);
});

test("others take the places of silent members, first where there is least to copy", (t) => {
  t.deepEqual(rescue([group(0, [1, 2], [], 50), group(1, [1, 3], [], 10)], [1], { takers: [2, 3] }), [
    "1: 3 2*",
    "0: 2 3*",
  ]);
  const many = Array.from({ length: 20 }, (_, i) => group(i, [1, 2], [], i));
  t.is(rescue(many, [1]).length, 8);
});

test("a member that is whole and up stays, and a group without one is left alone", (t) => {
  t.deepEqual(rescue([group(0, [1, 2], [2])], [1]), []);
  t.deepEqual(rescue([group(0, [1, 2])], [1, 2]), []);
  t.deepEqual(rescue([group(0, [1, 2], [1])], [1], { takers: [3] }), ["0: 2 3*"]);
});

test("places stay empty only where there are too few to take them, and no more than may be missing", (t) => {
  t.deepEqual(rescue([group(0, [1, 2])], [1], { takers: [2] }), []);
  t.deepEqual(rescue([group(0, [1, 2])], [1], { takers: [2], copiesMin: 1 }), ["0: 2"]);
  t.deepEqual(rescue([group(0, [1, 2])], [1], { takers: [2, 3], copiesMin: 1 }), ["0: 2 3*"]);
  t.deepEqual(rescue([group(0, [2])], [1], { takers: [2], copiesMin: 1 }), [], "it takes blocks as it is");
});
