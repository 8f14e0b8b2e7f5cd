/** Blocks on their nodes: what a check says of copies that are missing, damaged, or on nodes that are down. */
import test from "ava";
import { sleep } from "../../../src/base/clock.ts";
import { blockName, type BlockId } from "../../../src/base/ids.ts";
import { limits } from "../../../src/base/limits.ts";
import type { Name } from "../../../src/base/name.ts";
import type { Found, FsckSummary } from "../../../src/protocol/check-methods.ts";
import { fill, start, type Played } from "../repair/support.ts";
import { settle } from "../../support/simulated-clock.ts";
import { live, type TestCluster } from "../support.ts";
import type { TestNode } from "../test-node.ts";

async function check(
  { cluster }: Played,
  request: Partial<{ repair: boolean; data: boolean; path: Name[] }> = {},
): Promise<{ found: Found[]; summary: FsckSummary }> {
  const peer = await cluster.connect({ role: "admin", id: "fsck" }, {}, {});
  await peer.call("fsckStart", { repair: false, data: false, path: [], ...request });
  const found: Found[] = [];
  for (;;) {
    const { reply } = await whileTimePasses(cluster, peer.call("fsckNext", {}));
    found.push(...reply.found);
    if (reply.end !== null) {
      peer.close("done");
      return { found, summary: reply.end };
    }
  }
}

/** Repairs pause for clients. */
async function whileTimePasses<T>(cluster: TestCluster, promise: Promise<T>): Promise<T> {
  for (let i = 0; i < 1_000; i++) {
    const isSettled = await Promise.race([promise.then(() => true), settle().then(() => false)]);
    if (isSettled) break;
    await cluster.clock.advance(1);
  }
  return promise;
}

const holders = ({ nodes }: Played, block: BlockId): TestNode[] =>
  nodes.filter(({ held }) => held.has(blockName(block)));

test("every copy that is there is clean, and nothing is read unless that is asked for", async (t) => {
  const played = await start(3);
  await fill(played, "a", 5);
  t.deepEqual((await check(played)).found, []);
  t.true(played.nodes.every(({ copyOrders }) => copyOrders.length === 0));
  const { found, summary } = await check(played, { data: true });
  t.deepEqual([found, summary.errors], [[], 0]);
  t.true(played.nodes.some(({ copyOrders }) => copyOrders.length > 0));
  t.true(played.nodes.every(({ copyOrders }) => copyOrders.every(({ sources }) => sources.length === 0)));
  await played.cluster.stop();
});

test("a missing copy is told with its path and its node, and copied from another one", async (t) => {
  const played = await start(3);
  const { blocks } = await fill(played, "a", 5);
  const block = blocks[2] as BlockId;
  const [node] = holders(played, block) as [TestNode];
  node.held.delete(blockName(block));
  const { found, summary } = await check(played);
  t.is(summary.errors, 1);
  t.deepEqual(found[0]?.paths, ["/a"]);
  t.regex(found[0]?.text ?? "", new RegExp(`block ${blockName(block)} is missing on node ${node.id}`));
  t.false(node.held.has(blockName(block)));
  const repaired = await check(played, { repair: true });
  t.deepEqual([repaired.summary.errors, repaired.summary.repaired], [0, 1], JSON.stringify(repaired.found));
  t.true(node.held.has(blockName(block)));
  t.true((node.copyOrders.at(-1)?.sources.length ?? 0) > 0);
  t.deepEqual((await check(played)).found, []);
  await played.cluster.stop();
});

test("a copy that is too short counts as missing", async (t) => {
  const played = await start(3);
  const { blocks } = await fill(played, "a", 2);
  const block = blocks[0] as BlockId;
  (holders(played, block)[0] as TestNode).held.set(blockName(block), 100);
  t.is((await check(played)).summary.errors, 1);
  await played.cluster.stop();
});

test("a damaged copy is found by reading it, and only then", async (t) => {
  const played = await start(3);
  const { blocks } = await fill(played, "a", 4);
  const block = blocks[1] as BlockId;
  const [node] = holders(played, block) as [TestNode];
  let isDamaged = true;
  node.onCopy = (name) => {
    if (name !== blockName(block) || !isDamaged) return undefined;
    // From a source it gets a good one.
    if ((node.copyOrders.at(-1)?.sources.length ?? 0) === 0) return "missing";
    isDamaged = false;
    return undefined;
  };
  t.is((await check(played)).summary.errors, 0);
  const { found, summary } = await check(played, { data: true });
  t.is(summary.errors, 1);
  t.regex(found[0]?.text ?? "", /is damaged on node/);
  t.is((await check(played, { data: true, repair: true })).summary.repaired, 1);
  t.is((await check(played, { data: true })).summary.errors, 0);
  await played.cluster.stop();
});

test("all copies are read as fast as clients allow", async (t) => {
  const orderMillis = 200;
  const taken = async (foreground: number): Promise<number> => {
    const played = await start(2);
    const { clock } = played.cluster;
    await fill(played, "a", 3);
    // Requests of before it count once.
    await check(played, { data: true });
    for (const node of played.nodes) {
      node.foreground = foreground;
      node.onCopy = () => sleep(clock, orderMillis).then(() => undefined);
    }
    const begin = clock.monotonicMillis();
    t.is((await check(played, { data: true })).summary.errors, 0);
    const took = clock.monotonicMillis() - begin;
    await played.cluster.stop();
    return took;
  };
  const quiet = await taken(0);
  t.true((await taken(1)) >= 1.5 * quiet, "it pauses");
});

test("a block that is on none of its nodes is said to be lost, stays named, and is left to repair", async (t) => {
  const played = await start(3);
  const { blocks } = await fill(played, "a", 2);
  const block = blocks[0] as BlockId;
  for (const node of played.nodes) {
    node.held.delete(blockName(block));
    node.onCopy = (name) => (name === blockName(block) ? "missing" : undefined);
  }
  const { found, summary } = await check(played, { repair: true });
  t.is(summary.errors, 1);
  t.regex(found[0]?.text ?? "", /is lost, that part cannot be read/);
  t.deepEqual(found[0]?.paths, ["/a"]);
  await live(played.cluster, 5_000, { clients: [played.client], nodes: played.nodes });
  t.is((await check(played)).summary.errors, 1);
  await played.cluster.stop();
});

test("copies on a node that is down are no errors: how many were not looked at is told", async (t) => {
  const played = await start(3);
  await fill(played, "a", 6);
  const [gone, ...rest] = played.nodes as [TestNode, ...TestNode[]];
  await gone.disconnect();
  await live(played.cluster, limits.nodeDownMillis + 3_000, { clients: [played.client], nodes: rest });
  const { found, summary } = await check(played, { data: true });
  t.is(summary.errors, 0, JSON.stringify(found));
  t.is(summary.notes, 1);
  t.regex(found[0]?.text ?? "", new RegExp(`storage node ${gone.id} is down: \\d+ copies were not looked at`));
  await played.cluster.stop();
});

test("with a path only the blocks of its files are looked at", async (t) => {
  const played = await start(3);
  const a = await fill(played, "a", 3);
  const b = await fill(played, "b", 3);
  for (const block of [...a.blocks, ...b.blocks]) (holders(played, block)[0] as TestNode).held.delete(blockName(block));
  const { found, summary } = await check(played, { path: ["b" as Name] });
  t.is(summary.errors, 3);
  t.true(
    found.every(({ paths }) => paths.join() === "/b"),
    JSON.stringify(found),
  );
  await played.cluster.stop();
});
