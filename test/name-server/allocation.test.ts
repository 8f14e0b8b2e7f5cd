import test from "ava";
import { limits } from "../../src/base/limits.ts";
import { TestClient, TestCluster } from "./support.ts";
import { TestNode } from "./test-node.ts";

const errno = (code: string): { message: RegExp } => ({ message: new RegExp(code) });

test("without enough nodes block numbers are refused with EAGAIN, and the message says why", async (t) => {
  const cluster = await TestCluster.start();
  const client = await TestClient.open(cluster);
  await TestNode.up(cluster, 1);
  const error = await t.throwsAsync(client.change("allocateBlocks", { count: 1, avoid: [] }), errno("EAGAIN"));
  t.regex(error.message, /2 storage nodes needed for 2 replicas, 1 is up/);
  await cluster.stop();
});

test("as many numbers as asked for come in ranges over several groups, and none comes twice", async (t) => {
  const cluster = await TestCluster.start();
  for (const number of [1, 2, 3]) await TestNode.up(cluster, number);
  const client = await TestClient.open(cluster);
  const seen = new Set<string>();
  for (const count of [1, 20, 100, 1_024]) {
    const { ranges, map } = await client.change("allocateBlocks", { count, avoid: [] });
    t.true(ranges.reduce((sum, range) => sum + range.count, 0) >= count);
    t.true(ranges.every((range) => range.count >= 8 && range.count <= 64));
    t.is(new Set(ranges.map(({ group }) => group)).size, ranges.length, "each of another group");
    t.true(ranges.every(({ group }) => map.groups.some((known) => known.group === group)));
    for (const { group, first, count: size } of ranges) {
      for (let number = first; number < first + size; number++) {
        t.false(seen.has(`${String(group)}/${String(number)}`));
        seen.add(`${String(group)}/${String(number)}`);
      }
    }
  }
  await cluster.stop();
});

test("numbers are never given again after a restart", async (t) => {
  const cluster = await TestCluster.start();
  const client = await TestClient.open(cluster);
  const seen = new Set<string>();
  for (let round = 0; round < 3; round++) {
    await Promise.all([TestNode.up(cluster, 1), TestNode.up(cluster, 2)]);
    const { ranges } = await client.change("allocateBlocks", { count: 1_024, avoid: [] });
    for (const { group, first } of ranges) {
      t.false(seen.has(`${String(group)}/${String(first)}`));
      seen.add(`${String(group)}/${String(first)}`);
    }
    await cluster.crash();
    await client.resume();
  }
  await cluster.stop();
});

test("groups of nodes to avoid are not given while there are others", async (t) => {
  const cluster = await TestCluster.start();
  const [one] = [await TestNode.up(cluster, 1), await TestNode.up(cluster, 2), await TestNode.up(cluster, 3)];
  const client = await TestClient.open(cluster);
  const { ranges, map } = await client.change("allocateBlocks", { count: 500, avoid: [one.id] });
  const groups = map.groups.filter(({ group }) => ranges.some((range) => range.group === group));
  t.true(groups.every(({ nodes }) => !nodes.includes(one.id)));
  const all = map.nodes.map(({ id }) => id);
  t.true((await client.change("allocateBlocks", { count: 1, avoid: all })).ranges.length > 0, "a wish only");
  await cluster.stop();
});

test("groups with a member that is down take no new blocks", async (t) => {
  const cluster = await TestCluster.start();
  const [one] = [await TestNode.up(cluster, 1), await TestNode.up(cluster, 2), await TestNode.up(cluster, 3)];
  const client = await TestClient.open(cluster);
  one.answersStatus = false;
  await client.call("reportNode", { node: one.id, problem: "unreachable" });
  await cluster.clock.advance(3_000);
  const { ranges, map } = await client.change("allocateBlocks", { count: 500, avoid: [] });
  const groups = map.groups.filter(({ group }) => ranges.some((range) => range.group === group));
  t.true(groups.length > 0 && groups.every(({ nodes }) => !nodes.includes(one.id)));
  await cluster.stop();
});

test("groups with more free space are given more often, and none without", async (t) => {
  const cluster = await TestCluster.start({ replicas: 1 });
  const nodes = [1, 2, 3].map((number) => new TestNode(cluster, number));
  const [small, large, full] = nodes as [TestNode, TestNode, TestNode];
  small.freeBytes = 10 * 1024 ** 3;
  full.freeBytes = limits.blockBytesMax;
  for (const node of nodes) await node.register();
  const client = await TestClient.open(cluster);
  const given = new Map<string, number>();
  for (let i = 0; i < 300; i++) {
    const { ranges, map } = await client.change("allocateBlocks", { count: 1, avoid: [] });
    for (const range of ranges) {
      const node = map.groups.find(({ group }) => group === range.group)?.nodes[0] ?? "";
      given.set(node, (given.get(node) ?? 0) + 1);
    }
  }
  t.is(given.get(full.id), undefined);
  t.true((given.get(large.id) ?? 0) > 5 * (given.get(small.id) ?? 0));
  await cluster.stop();
});

test("a range is no larger than what still fits", async (t) => {
  const cluster = await TestCluster.start();
  const nodes = [1, 2].map((number) => new TestNode(cluster, number));
  for (const node of nodes) {
    node.freeBytes = 3 * (limits.blockBytesMax + limits.checksumUnitBytes);
    await node.register();
  }
  const client = await TestClient.open(cluster);
  const { ranges } = await client.change("allocateBlocks", { count: 1, avoid: [] });
  t.deepEqual(
    ranges.map(({ count }) => count),
    [3],
  );
  await cluster.stop();
});

test("with full nodes block numbers are refused with ENOSPC, and the status says so", async (t) => {
  const cluster = await TestCluster.start();
  const nodes = [1, 2].map((number) => new TestNode(cluster, number));
  for (const node of nodes) {
    node.freeBytes = 1_000_000;
    await node.register();
  }
  const client = await TestClient.open(cluster);
  await t.throwsAsync(client.change("allocateBlocks", { count: 1, avoid: [] }), errno("ENOSPC"));
  t.regex(cluster.server.status().warnings.join("\n"), /full/);
  await cluster.stop();
});

test("full nodes mean waiting while a node is down that has space, and ENOSPC once nobody has any", async (t) => {
  const cluster = await TestCluster.start({ replicas: 1 });
  const nodes = [1, 2].map((number) => new TestNode(cluster, number));
  const [full, other] = nodes as [TestNode, TestNode];
  full.freeBytes = 1_000_000;
  for (const node of nodes) await node.register();
  const client = await TestClient.open(cluster);
  await other.disconnect();
  await cluster.clock.advance(5_000);
  await t.throwsAsync(client.change("allocateBlocks", { count: 1, avoid: [] }), errno("EAGAIN"));
  t.regex(cluster.server.status().warnings.join("\n"), /up are full, and others are down: block writes wait/);
  other.freeBytes = 1_000_000;
  await other.register();
  await other.disconnect();
  await cluster.clock.advance(5_000);
  await t.throwsAsync(client.change("allocateBlocks", { count: 1, avoid: [] }), errno("ENOSPC"));
  full.freeBytes = 10 * limits.blockBytesMax;
  t.true((await client.change("allocateBlocks", { count: 1, avoid: [] })).ranges.length > 0, "looked at freshly");
  await cluster.stop();
});

test("new blocks go to groups on different hosts as soon as there are such groups", async (t) => {
  const cluster = await TestCluster.start();
  const [one, two, three] = [1, 2, 3].map((number) => new TestNode(cluster, number)) as [TestNode, TestNode, TestNode];
  for (const node of [one, two]) await node.register({ hostLabel: "rack-1" });
  const client = await TestClient.open(cluster);
  t.true((await client.change("allocateBlocks", { count: 8, avoid: [] })).ranges.length > 0);
  await three.register({ hostLabel: "rack-2" });
  const { ranges, map } = await client.change("allocateBlocks", { count: 1_000, avoid: [] });
  const groups = map.groups.filter(({ group }) => ranges.some((range) => range.group === group));
  t.true(groups.length > 2 && groups.every(({ nodes }) => nodes.includes(three.id)));
  t.deepEqual(
    [one, two].map(({ id }) => groups.some(({ nodes }) => nodes.includes(id))),
    [true, true],
  );
  await cluster.stop();
});

test("blocks with another number of copies come from groups of their own, made when first needed", async (t) => {
  const cluster = await TestCluster.start();
  for (const number of [1, 2]) await TestNode.up(cluster, number);
  const client = await TestClient.open(cluster);
  const membersOf = async (replicas: number): Promise<number[]> => {
    const { ranges, map } = await client.change("allocateBlocks", { count: 100, avoid: [], replicas });
    return ranges.map(({ group }) => map.groups.find((each) => each.group === group)?.nodes.length ?? 0);
  };
  t.deepEqual([...new Set(await membersOf(1))], [1]);
  t.deepEqual([...new Set(await membersOf(2))], [2]);
  await t.throwsAsync(membersOf(3), errno("EAGAIN"));
  await TestNode.up(cluster, 3);
  t.deepEqual([...new Set(await membersOf(3))], [3]);
  const { ranges, map } = await client.change("allocateBlocks", { count: 1_024, avoid: [] });
  const given = map.groups.filter(({ group }) => ranges.some((range) => range.group === group));
  t.true(
    given.every(({ nodes }) => nodes.length === 2),
    "and by default as before",
  );
  await cluster.crash();
  await client.resume();
  for (const number of [1, 2, 3, 4]) await TestNode.up(cluster, number);
  t.deepEqual([...new Set(await membersOf(1))], [1]);
  const singles = (await client.call("clusterMap", {})).map.groups.filter(({ nodes }) => nodes.length === 1);
  t.is(new Set(singles.flatMap(({ nodes }) => nodes)).size, 4, "a newcomer is in groups of every kind");
  await cluster.stop();
});

test("when the name server's own disk is down to its reserve nothing grows, and deleting goes on", async (t) => {
  let freeBytes = 100 * 1024 ** 3;
  const cluster = await TestCluster.start({
    space: () => Promise.resolve({ freeBytes, totalBytes: 100 * 1024 ** 3 }),
  });
  const client = await TestClient.open(cluster);
  const ino = await client.create("file");
  freeBytes = limits.nameServerReserveBytes;
  await cluster.clock.advance(6_000);
  await t.throwsAsync(client.create("other"), errno("ENOSPC"));
  await t.throwsAsync(client.change("allocateBlocks", { count: 1, avoid: [] }), errno("E(NOSPC|AGAIN)"));
  t.regex(cluster.server.status().warnings.join("\n"), /down to its reserve/);
  t.is((await client.call("getattr", { ino })).attributes.nlink, 1);
  await t.notThrowsAsync(
    client.change("unlink", { caller: { uid: 0, gid: 0 }, parent: 1 as never, name: "file" as never, keep: false }),
  );
  freeBytes = 100 * 1024 ** 3;
  await cluster.clock.advance(6_000);
  await t.notThrowsAsync(client.create("other"));
  await cluster.stop();
});
