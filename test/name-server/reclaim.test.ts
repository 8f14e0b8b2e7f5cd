import test from "ava";
import { limits } from "../../src/base/limits.ts";
import { nameFromText } from "../../src/base/name.ts";
import type { BlockId, GroupId, Ino } from "../../src/base/ids.ts";
import type { BlockRange } from "../../src/protocol/types.ts";
import { settle } from "../support/simulated-clock.ts";
import { live, root, rootIno, TestClient, TestCluster, type ClusterOptions } from "./support.ts";
import { TestNode } from "./test-node.ts";

const errno = (code: string): { message: RegExp } => ({ message: new RegExp(code) });

async function three(
  options: ClusterOptions = {},
): Promise<{ cluster: TestCluster; client: TestClient; nodes: TestNode[] }> {
  const cluster = await TestCluster.start(options);
  const nodes = [await TestNode.up(cluster, 1), await TestNode.up(cluster, 2), await TestNode.up(cluster, 3)];
  return { cluster, nodes, client: await TestClient.open(cluster) };
}

function blocksOf(ranges: readonly BlockRange[]): BlockId[] {
  return ranges.flatMap(({ group, first, count }) =>
    Array.from({ length: count }, (_, i) => ({ group, number: first + i })),
  );
}

/** Of the groups of these blocks, as they are now. */
async function epochsOf(client: TestClient, blocks: readonly BlockId[]): Promise<{ group: GroupId; epoch: number }[]> {
  const wanted = new Set(blocks.map(({ group }) => group));
  const { groups } = (await client.call("clusterMap", {})).map;
  return groups.filter(({ group }) => wanted.has(group)).map(({ group, epoch }) => ({ group, epoch }));
}

/** Names `blocks` as the content of a file, one after the other. */
async function write(client: TestClient, ino: Ino, blocks: readonly BlockId[]): Promise<void> {
  const length = limits.blockBytesMax;
  const epochs = await epochsOf(client, blocks);
  await client.change("writeExtents", {
    ino,
    extents: blocks.map((block, i) => ({ kind: "block" as const, offset: i * length, length, block, blockOffset: 0 })),
    epochs,
    ...{ size: blocks.length * length, append: false, clearPrivileges: false },
  });
}

async function unlink(client: TestClient, text: string): Promise<void> {
  await client.change("unlink", { caller: root, parent: rootIno, name: nameFromText(text), keep: false });
}

function nameOf({ group, number }: BlockId): string {
  return `${String(group)}/${String(number)}`;
}

test("blocks of a removed file are deleted from every member of their groups after the grace time, and only they", async (t) => {
  const { cluster, client, nodes } = await three();
  const { ranges, map } = await client.change("allocateBlocks", { count: 40, avoid: [] });
  const blocks = blocksOf(ranges).slice(0, 40);
  const [gone, kept] = [blocks.slice(0, 30), blocks.slice(30)];
  await write(client, await client.create("gone"), gone);
  await write(client, await client.create("kept"), kept);
  await unlink(client, "gone");
  await live(cluster, 1_000, { clients: [client], nodes });
  t.is(cluster.server.status().reclaim.queuedBlocks, 30);
  await live(cluster, limits.reclaimGraceMillis - 2_000, { clients: [client], nodes });
  t.deepEqual(
    nodes.flatMap(({ deleted }) => deleted),
    [],
  );
  await live(cluster, 3_000, { clients: [client], nodes });
  for (const node of nodes) {
    const expected = gone.filter(({ group }) =>
      map.groups.find((each) => each.group === group)?.nodes.includes(node.id),
    );
    t.deepEqual([...node.deleted].sort(), expected.map(nameOf).sort());
  }
  t.is(cluster.server.status().reclaim.queuedBlocks, 0);
  await cluster.stop();
});

test("a member that is down gets its deletions when it returns, also after a restart, and the others are not asked twice", async (t) => {
  const { cluster, client, nodes } = await three();
  const [one, ...others] = nodes as [TestNode, TestNode, TestNode];
  const { ranges, map } = await client.change("allocateBlocks", { count: 100, avoid: [] });
  const blocks = blocksOf(ranges).slice(0, 100);
  await write(client, await client.create("gone"), blocks);
  await one.disconnect();
  await unlink(client, "gone");
  await live(cluster, limits.reclaimGraceMillis + 10_000, { clients: [client], nodes: others });
  t.true(cluster.server.status().reclaim.queuedBlocks > 0);
  const asked = others.map(({ deleted }) => deleted.length);
  await live(cluster, 10_000, { clients: [client], nodes: others });
  t.deepEqual(
    others.map(({ deleted }) => deleted.length),
    asked,
  );
  await one.register();
  await live(cluster, 3_000, { clients: [client], nodes });
  const expected = blocks.filter(({ group }) =>
    map.groups.find((each) => each.group === group)?.nodes.includes(one.id),
  );
  t.deepEqual([...one.deleted].sort(), expected.map(nameOf).sort());
  t.is(cluster.server.status().reclaim.queuedBlocks, 0);
  await cluster.stop();
});

test("an entry that waits for a node does not hold up later ones", async (t) => {
  const { cluster, client, nodes } = await three();
  const [one, ...others] = nodes as [TestNode, TestNode, TestNode];
  const { ranges, map } = await client.change("allocateBlocks", { count: 512, avoid: [] });
  const blocks = blocksOf(ranges);
  const isOfOne = ({ group }: BlockId): boolean =>
    map.groups.find((each) => each.group === group)?.nodes.includes(one.id) === true;
  await write(client, await client.create("first"), blocks.filter(isOfOne).slice(0, 10));
  const later = blocks.filter((block) => !isOfOne(block)).slice(0, 10);
  await write(client, await client.create("second"), later);
  await one.disconnect();
  await unlink(client, "first");
  await live(cluster, limits.reclaimGraceMillis + 3_000, { clients: [client], nodes: others });
  await unlink(client, "second");
  await live(cluster, limits.reclaimGraceMillis + 3_000, { clients: [client], nodes: others });
  for (const node of others) for (const block of later) t.true(node.deleted.includes(nameOf(block)));
  t.is(cluster.server.status().reclaim.queuedBlocks, 10);
  await cluster.stop();
});

test("blocks that a session discards are deleted; those that it has named, and other sessions' numbers, stay", async (t) => {
  const { cluster, client, nodes } = await three();
  const other = await TestClient.open(cluster);
  const { ranges } = await client.change("allocateBlocks", { count: 8, avoid: [] });
  const [named, unused] = blocksOf(ranges) as [BlockId, BlockId];
  await write(client, await client.create("file"), [named]);
  await other.change("discardBlocks", { blocks: [named, unused] });
  t.is(cluster.server.status().reclaim.queuedBlocks, 0);
  await client.change("discardBlocks", { blocks: [named, unused] });
  t.is(cluster.server.status().reclaim.queuedBlocks, 1);
  await client.change("discardBlocks", { blocks: [named, unused] });
  t.is(cluster.server.status().reclaim.queuedBlocks, 1, "told twice");
  await t.throwsAsync(write(client, await client.create("late"), [unused]), errno("EINVAL"));
  await live(cluster, limits.reclaimGraceMillis + 5_000, { clients: [client, other], nodes });
  t.deepEqual(
    nodes.flatMap(({ deleted }) => deleted),
    [nameOf(unused), nameOf(unused)],
  );
  await cluster.stop();
});

test("an order that failed is given again", async (t) => {
  const { cluster, client, nodes } = await three();
  const { ranges } = await client.change("allocateBlocks", { count: 10, avoid: [] });
  await write(client, await client.create("gone"), blocksOf(ranges).slice(0, 8));
  let failures = 0;
  for (const node of nodes) {
    node.beforeDelete = () => {
      if (failures++ < 4) throw new Error("the disk is busy");
    };
  }
  await unlink(client, "gone");
  await live(cluster, limits.reclaimGraceMillis + 30_000, { clients: [client], nodes });
  t.true(failures > 4);
  t.is(cluster.server.status().reclaim.queuedBlocks, 0);
  await cluster.stop();
});

test("deletions that were decided survive a restart", async (t) => {
  const { cluster, client, nodes } = await three();
  const { ranges } = await client.change("allocateBlocks", { count: 10, avoid: [] });
  await write(client, await client.create("gone"), blocksOf(ranges).slice(0, 8));
  await unlink(client, "gone");
  await cluster.crash();
  await client.resume();
  for (const node of nodes) await node.register();
  await live(cluster, limits.reclaimGraceMillis + 3_000, { clients: [client], nodes });
  t.is(cluster.server.status().reclaim.queuedBlocks, 0);
  t.is(new Set(nodes.flatMap(({ deleted }) => deleted)).size, 8);
  await cluster.stop();
});

test("numbers of an ended session that nothing names are deleted, and those that are named stay", async (t) => {
  const { cluster, client, nodes } = await three();
  const { ranges } = await client.change("allocateBlocks", { count: 16, avoid: [] });
  const blocks = blocksOf(ranges);
  const named = blocks.slice(0, 3);
  await write(client, await client.create("file"), named);
  await client.call("closeSession", {});
  await live(cluster, limits.reclaimGraceMillis + 3_000, { nodes });
  const deleted = new Set(nodes.flatMap((node) => node.deleted));
  t.deepEqual([...deleted].sort(), blocks.slice(3).map(nameOf).sort());
  await cluster.stop();
});

test("a write without space waits for what can be reclaimed, without its grace time", async (t) => {
  const { cluster, client, nodes } = await three();
  const { ranges } = await client.change("allocateBlocks", { count: 20, avoid: [] });
  await write(client, await client.create("gone"), blocksOf(ranges).slice(0, 20));
  for (const node of nodes) {
    node.freeBytes = 0;
    node.beforeDelete = () => {
      node.freeBytes = 100 * 1024 ** 2;
    };
    await node.heartbeat();
  }
  await unlink(client, "gone");
  let state = "waiting";
  const asked = client.change("allocateBlocks", { count: 1, avoid: [] }).then(() => {
    state = "given";
  });
  await settle(50);
  await cluster.clock.advance(500);
  t.is(state, "given");
  await asked;
  await cluster.stop();
});

test("a write without space is refused soon when nothing can be reclaimed", async (t) => {
  const { cluster, client, nodes } = await three();
  for (const node of nodes) {
    node.freeBytes = 0;
    await node.heartbeat();
  }
  await t.throwsAsync(client.change("allocateBlocks", { count: 1, avoid: [] }), errno("ENOSPC"));
  await cluster.stop();
});

test("a write without space waits a bounded time for deletions that free nothing", async (t) => {
  const { cluster, client, nodes } = await three();
  const { ranges } = await client.change("allocateBlocks", { count: 20, avoid: [] });
  await write(client, await client.create("gone"), blocksOf(ranges).slice(0, 20));
  for (const node of nodes) {
    node.freeBytes = 0;
    await node.heartbeat();
  }
  await unlink(client, "gone");
  let state = "waiting";
  const asked = client.change("allocateBlocks", { count: 1, avoid: [] }).catch((error: unknown) => {
    state = String(error);
  });
  await live(cluster, 5_000, { clients: [client], nodes });
  t.is(state, "waiting");
  await live(cluster, 10_000, { clients: [client], nodes });
  t.regex(state, /ENOSPC/);
  await asked;
  await cluster.stop();
});

test("a large removed file comes back in steps between which requests are served", async (t) => {
  const { cluster, client, nodes } = await three();
  const ino = await client.create("large");
  for (let i = 0; i < 6; i++) {
    const { ranges } = await client.change("allocateBlocks", { count: 1_000, avoid: [] });
    const blocks = blocksOf(ranges).slice(0, 1_000);
    const length = 4_096;
    await client.change("writeExtents", {
      ino,
      extents: blocks.map((block, k) => ({
        kind: "block" as const,
        offset: (i * 1_000 + k) * length,
        length,
        block,
        blockOffset: 0,
      })),
      epochs: await epochsOf(client, blocks),
      ...{ size: 0, append: false, clearPrivileges: false },
    });
  }
  const before = cluster.store.lastIndex;
  await unlink(client, "large");
  t.is(cluster.store.lastIndex, before + 1, "one transaction for the removal");
  await live(cluster, limits.reclaimGraceMillis + 3_000, { clients: [client], nodes });
  t.true(cluster.store.lastIndex > before + 20, "many for the rest");
  t.is(cluster.server.status().reclaim.queuedBlocks, 0);
  t.is(new Set(nodes.flatMap((node) => node.deleted)).size, 6_000);
  await cluster.stop();
});
