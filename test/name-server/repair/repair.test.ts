import test from "ava";
import { blockName, type ClusterId } from "../../../src/base/ids.ts";
import { live } from "../support.ts";
import { TestNode } from "../test-node.ts";
import { areWhole, eventually, fill, groupsOf, outMillis, start, status } from "./support.ts";

test("a node that is silent for long enough is out, and others hold its blocks then", async (t) => {
  const played = await start(3);
  const { cluster, client, nodes } = played;
  const [one, two, three] = nodes as [TestNode, TestNode, TestNode];
  const { blocks } = await fill(played, "file", 40);
  const before = await groupsOf(client);
  await live(cluster, outMillis - 5_000, { clients: [client], nodes: [one, two] });
  t.deepEqual(
    status(cluster).nodes.map(({ state }) => state),
    ["up", "up", "down"],
  );
  t.deepEqual(
    (await groupsOf(client)).map(({ nodes: members }) => members),
    before.map(({ nodes: members }) => members),
  );
  await eventually(
    played,
    [one, two],
    async () => {
      const groups = await groupsOf(client);
      const isLeft = groups.every((group) => !group.nodes.includes(three.id) && group.copying.length === 0);
      return isLeft && areWhole(played, blocks);
    },
    "nobody needs the dead node",
  );
  t.is(status(cluster).nodes[2]?.state, "out");
  t.is(status(cluster).groups.healthy, before.length);
  const { copiedBytes, ...repair } = status(cluster).repair;
  t.true(copiedBytes > 0);
  t.deepEqual(repair, {
    ...{ state: "idle", groupsWaiting: 0, bytesToGo: 0, bytesPerSecond: 0, secondsLeft: 0 },
    ...{ comparing: 0, suspects: 0, copiesVerified: 0, lostBlocks: 0, lost: [] },
  });
  for (const group of await groupsOf(client)) {
    const old = before.find((each) => each.group === group.group);
    t.is(group.epoch, (old?.epoch ?? 0) + (old?.nodes.includes(three.id) === true ? 1 : 0));
  }
  await cluster.stop();
});

test("what is written under the members of before is refused", async (t) => {
  const played = await start(3);
  const { cluster, client, nodes } = played;
  const [one, two, three] = nodes as [TestNode, TestNode, TestNode];
  const { ranges, map } = await client.change("allocateBlocks", { count: 40, avoid: [] });
  const range = ranges.find(({ group }) => map.groups.find((each) => each.group === group)?.nodes.includes(three.id));
  if (range === undefined) throw new Error("no group has the third node");
  await eventually(played, [one, two], () => status(cluster).nodes[2]?.state === "out", "it is out");
  await live(cluster, 2_000, { clients: [client], nodes: [one, two] });
  const before = map.groups.find(({ group }) => group === range.group)?.epoch ?? 0;
  const ino = await client.create("file");
  const block = { group: range.group, number: range.first };
  const write = (epoch: number): Promise<unknown> =>
    client.change("writeExtents", {
      ...{ ino, extents: [{ kind: "block" as const, offset: 0, length: 1, block, blockOffset: 0 }] },
      ...{ epochs: [{ group: range.group, epoch }], size: 1, append: false, clearPrivileges: false },
    });
  await t.throwsAsync(write(before), { message: /ESTALE/ });
  await t.notThrowsAsync(write(before + 1));
  await cluster.stop();
});

test("a majority of nodes gone at once: nothing is repaired, and all goes on when they return, also one by one", async (t) => {
  const played = await start(3);
  const { cluster, client, nodes } = played;
  const [one, two, three] = nodes as [TestNode, TestNode, TestNode];
  await fill(played, "file", 20);
  const before = await groupsOf(client);
  await live(cluster, 5 * outMillis, { clients: [client], nodes: [one] });
  t.deepEqual(await groupsOf(client), before);
  t.deepEqual(
    status(cluster).nodes.map(({ state }) => state),
    ["up", "down", "down"],
  );
  t.is(status(cluster).repair.state, "waiting");
  t.regex(
    status(cluster).warnings.join("\n"),
    new RegExp(`2 of 3 storage nodes are silent: repair waits for ${two.id} at .*, ${three.id} at`),
  );
  t.true(nodes.every(({ copyOrders }) => copyOrders.length === 0));
  const joined = client.session === undefined ? null : cluster.server.cluster;
  await two.register({ cluster: joined });
  await live(cluster, outMillis / 2, { clients: [client], nodes: [one, two] });
  t.is(status(cluster).nodes[2]?.state, "down", "who is still away then has as long to return as one that dies alone");
  await three.register({ cluster: joined });
  await live(cluster, 3_000, { clients: [client], nodes });
  t.is(status(cluster).groups.healthy, before.length);
  t.deepEqual(await groupsOf(client), before);
  t.deepEqual(status(cluster).warnings, []);
  await cluster.stop();
});

test("a two-node cluster with one node dead: block writes wait, the status says so, and nothing is given up", async (t) => {
  const played = await start(2);
  const { cluster, client, nodes } = played;
  const [one, two] = nodes as [TestNode, TestNode];
  await fill(played, "file", 8);
  const before = await groupsOf(client);
  await live(cluster, outMillis + 5_000, { clients: [client], nodes: [one] });
  t.deepEqual(await groupsOf(client), before);
  const { groups, warnings } = status(cluster);
  t.deepEqual(groups, { healthy: 0, degraded: before.length, lost: 0 });
  t.regex(warnings.join("\n"), /2 storage nodes needed for 2 replicas, 1 is up: block writes wait/);
  t.regex(
    warnings.join("\n"),
    new RegExp(`${two.id} at .* is out, and ${String(before.length)} groups find no other member`),
  );
  await t.throwsAsync(client.change("allocateBlocks", { count: 1, avoid: [] }), { message: /EAGAIN/ });
  await two.register({ cluster: cluster.server.cluster });
  await live(cluster, 3_000, { clients: [client], nodes });
  t.deepEqual(await groupsOf(client), before);
  t.is(status(cluster).groups.healthy, before.length);
  await cluster.stop();
});

test("silence counts anew after a restart of the name server, and what was copying goes on", async (t) => {
  const played = await start(3);
  const { cluster, client, nodes } = played;
  const [one, two, three] = nodes as [TestNode, TestNode, TestNode];
  const { blocks } = await fill(played, "file", 40);
  let hold = true;
  for (const node of [one, two]) node.onCopy = () => (hold ? "unreachable" : undefined);
  await live(cluster, outMillis - 5_000, { clients: [client], nodes: [one, two] });
  await cluster.crash();
  await client.resume();
  for (const node of [one, two]) await node.register({ cluster: cluster.server.cluster });
  await live(cluster, outMillis - 5_000, { clients: [client], nodes: [one, two] });
  t.is(status(cluster).nodes[2]?.state, "down");
  await live(cluster, 10_000, { clients: [client], nodes: [one, two] });
  t.is(status(cluster).nodes[2]?.state, "out");
  t.true(status(cluster).repair.groupsWaiting > 0);
  t.true(status(cluster).groups.degraded > 0);
  await cluster.crash();
  await client.resume();
  for (const node of [one, two]) await node.register({ cluster: cluster.server.cluster });
  hold = false;
  await eventually(played, [one, two], () => areWhole(played, blocks), "all is copied");
  t.true((await groupsOf(client)).every((group) => !group.nodes.includes(three.id)));
  await cluster.stop();
});

test("a member that dies while it copies is replaced again, and a full one too", async (t) => {
  const played = await start(5);
  const { cluster, client, nodes } = played;
  const [one, two, three, four, five] = nodes as [TestNode, TestNode, TestNode, TestNode, TestNode];
  const { blocks } = await fill(played, "file", 60);
  four.onCopy = () => "full";
  three.onCopy = () => "unreachable";
  await eventually(
    played,
    [one, two, three, four],
    () => status(cluster).nodes[4]?.state === "out",
    "the fifth is out",
  );
  await eventually(
    played,
    [one, two, four],
    async () => {
      const groups = await groupsOf(client);
      return (
        groups.every((group) => !group.nodes.includes(three.id) && !group.nodes.includes(five.id)) &&
        areWhole(played, blocks)
      );
    },
    "three nodes hold everything",
    400_000,
  );
  t.is(status(cluster).nodes[2]?.state, "out");
  await cluster.stop();
});

test("the blocks of the most endangered groups are copied first", async (t) => {
  const played = await start(5, { replicas: 3 });
  const { cluster, client, nodes } = played;
  const [one, two, three] = nodes as [TestNode, TestNode, TestNode];
  const alive = [one, two, three];
  const { blocks } = await fill(played, "file", 120);
  const before = await groupsOf(client);
  const left = new Map(
    before.map(({ group, nodes: members }) => [
      group,
      members.filter((id) => alive.some((node) => node.id === id)).length,
    ]),
  );
  let running = 0;
  let mostAtOnce = 0;
  for (const node of alive) {
    node.onCopy = async () => {
      mostAtOnce = Math.max(mostAtOnce, ++running);
      await new Promise<void>((resolve) => cluster.clock.after(200, resolve));
      running--;
      return undefined;
    };
  }
  await eventually(
    played,
    alive,
    async () => status(cluster).groups.degraded === 0 && areWhole(played, blocks),
    "all are whole",
    600_000,
  );
  t.true(mostAtOnce <= 4);
  for (const node of alive) {
    const order = node.copyOrders.flatMap(({ blocks: named }) =>
      named.map((name) => left.get(Number(name.split("/")[0]) as never) ?? 0),
    );
    const lastOfOne = order.lastIndexOf(1);
    const firstOfTwo = order.indexOf(2);
    if (lastOfOne !== -1 && firstOfTwo !== -1) t.true(lastOfOne < firstOfTwo + 3, JSON.stringify(order));
  }
  await cluster.stop();
});

test("a node with an empty folder at the same address is a new one, and the old one is out at once", async (t) => {
  const played = await start(3);
  const { cluster, client, nodes } = played;
  const [one, two, three] = nodes as [TestNode, TestNode, TestNode];
  const { blocks } = await fill(played, "file", 40);
  const address = { host: "127.0.0.1", port: 7_503 };
  const fresh = new TestNode(cluster, 9);
  await t.throwsAsync(fresh.register({ address }), { message: /EADDRINUSE/ }, "while the old one answers");
  await three.disconnect();
  await fresh.register({ address });
  t.deepEqual(
    status(cluster).nodes.map(({ state }) => state),
    ["up", "up", "out", "up"],
  );
  nodes.push(fresh);
  await eventually(
    played,
    [one, two, fresh],
    async () => {
      const groups = await groupsOf(client);
      return groups.every((group) => !group.nodes.includes(three.id)) && areWhole(played, blocks);
    },
    "the new one has the blocks",
  );
  t.true(blocks.some((block) => fresh.held.has(blockName(block))));
  const isListed = (): boolean => status(cluster).nodes.some(({ id }) => id === three.id);
  await eventually(played, [one, two, fresh], () => !isListed(), "the old one is forgotten");
  await cluster.crash();
  t.false(isListed(), "that was committed");
  await three.register({ cluster: cluster.server.cluster, address: { host: "127.0.0.1", port: 7_599 } });
  t.true(isListed(), "its disk turned up again, elsewhere");
  await cluster.stop();
});

test("a node that restarts quickly registers again and keeps its blocks", async (t) => {
  const played = await start(3);
  const { cluster, client, nodes } = played;
  const { blocks } = await fill(played, "file", 40);
  const before = await groupsOf(client);
  const joined: ClusterId = cluster.server.cluster;
  for (let round = 0; round < 5; round++) {
    for (const node of nodes) {
      await node.disconnect();
      await node.register({ cluster: joined, greatest: before.map(({ group }) => ({ group, number: 0 })) });
    }
    await live(cluster, 3_000, { clients: [client], nodes });
  }
  t.deepEqual(await groupsOf(client), before);
  t.true(await areWhole(played, blocks));
  t.true(nodes.every(({ deleted, copyOrders }) => deleted.length === 0 && copyOrders.length === 0));
  t.is(status(cluster).repair.comparing, 0);
  await cluster.stop();
});
