import test from "ava";
import { seededRandom } from "../../../src/base/random.ts";
import { FaultyDisk } from "../../support/faulty-disk.ts";
import { contentIn, contentOf, recover } from "./recovering.ts";
import { stateOf, type CopyNode } from "./copy-node.ts";
import { CopyCluster } from "./support.ts";

const files = ["before", ...Array.from({ length: 12 }, (_, i) => `file ${String(i)}`)];

/** A cluster whose name server has died with its disk; `content` is what it had acknowledged. */
async function orphaned(count: number): Promise<{ c: CopyCluster; nodes: CopyNode[]; content: unknown[] }> {
  const c = new CopyCluster();
  await c.begin();
  const nodes = await c.withNodes(count);
  const client = await c.client();
  await client.open();
  for (const name of files) await client.create(name).promise;
  const content = contentOf(c.store);
  await c.kill();
  for (const node of nodes) await node.disconnect();
  return { c, nodes, content };
}

test("killed at any step and run again, a recovery has everything that was acknowledged", async (t) => {
  const { c, nodes, content } = await orphaned(3);
  let cuts = 0;
  for (const kind of ["operations", "calls"] as const) {
    for (let step = 0; ; step++) {
      const disk = new FaultyDisk(seededRandom(step));
      const budget = { callsLeft: kind === "calls" ? step : Infinity };
      if (kind === "operations") disk.crashAfter(step);
      const isWhole = await recover(disk, nodes, { budget }).then(
        () => true,
        () => false,
      );
      if (isWhole) break;
      cuts++;
      // `dfs name-server --recover` empties what it had begun.
      const again = new FaultyDisk(seededRandom(1));
      await recover(again, nodes);
      t.deepEqual(await contentIn(again), content, `${kind} ${String(step)}`);
    }
  }
  t.true(cuts > 20, String(cuts));
  // The last one is the cluster's, and a plain start goes on with it.
  const disk = new FaultyDisk(seededRandom(2));
  c.serverId = await recover(disk, nodes);
  for (let start = 0; start < 2; start++) {
    await c.begin(start === 0 ? disk : await c.kill());
    for (const node of nodes) await node.begin();
    await c.live(2_000);
    t.true(c.copies.serving);
    const client = await c.laterClient();
    for (const name of files) t.true(await client.has(name), name);
  }
  await c.kill();
});

test("without a majority a recovery refuses and names who is missing, until the loss is accepted", async (t) => {
  const { c, nodes, content } = await orphaned(3);
  const member = nodes.find(({ id }) => c.copies.members.some((one) => one.node === id)) as CopyNode;
  const others = nodes.filter((node) => node !== member);
  await t.throwsAsync(recover(new FaultyDisk(seededRandom(1)), [member]), {
    message: new RegExp(
      `^EAGAIN: 1 of 3 storage nodes answer, 2 are needed; missing: ${others
        .map(({ id, port }) => `${id} at 127.0.0.1:${String(port)}`)
        .join(", ")}. Start them; or --accept-loss`,
    ),
  });
  const disk = new FaultyDisk(seededRandom(1));
  c.serverId = await recover(disk, [member], { acceptLoss: true });
  t.deepEqual(await contentIn(disk), content);
  // As --accept-loss leaves it for the first start; the others never come back.
  c.mayLose = true;
  await c.begin(disk.kill());
  await member.begin();
  await c.live(25_000);
  t.true(c.copies.serving);
  t.deepEqual(c.members, [member.id as string]);
  await c.kill();
});

test("without a complete copy a recovery names who has them, and does not take less for it", async (t) => {
  const { c, nodes } = await orphaned(3);
  const member = nodes.find(({ id }) => c.copies.members.some((one) => one.node === id)) as CopyNode;
  const others = nodes.filter((node) => node !== member);
  await t.throwsAsync(recover(new FaultyDisk(seededRandom(1)), others), {
    message: new RegExp(`^EAGAIN: the complete copies of the journal are on ${member.id} at .*, which do not answer`),
  });
  // At most one was begun there: an empty filesystem is nothing to go on with.
  for (const node of others) t.is((await stateOf(node)).copy?.end.index ?? 0, 0);
  await t.throwsAsync(recover(new FaultyDisk(seededRandom(1)), others, { acceptLoss: true }), {
    message: /^EAGAIN: .*the other nodes have no copy/,
  });
  await recover(new FaultyDisk(seededRandom(1)), nodes);
});

test("one address is enough: the register names the others", async (t) => {
  const { nodes, content } = await orphaned(4);
  const disk = new FaultyDisk(seededRandom(1));
  await recover(disk, nodes, { of: nodes.slice(0, 1) });
  t.deepEqual(await contentIn(disk), content);
});

test("a base that has rotted while its node ran is not taken: another copy is, or none", async (t) => {
  const c = new CopyCluster(3);
  await c.begin();
  const nodes = await c.withNodes(2);
  const client = await c.client();
  await client.open();
  for (const name of files) await client.create(name).promise;
  await c.store.snapshot();
  await c.live(20_000);
  const content = contentOf(c.store);
  await c.kill();
  for (const node of nodes) await node.disconnect();
  const rot = (node: CopyNode): void => {
    const base = node.disk.files("journal").find((path) => path.endsWith(".base")) ?? "no base";
    node.disk.flip(base, Math.floor(node.disk.bytesOf(base).length / 2));
  };
  const [a, b] = nodes as [CopyNode, CopyNode];
  rot(a);
  const disk = new FaultyDisk(seededRandom(1));
  await recover(disk, nodes);
  t.deepEqual(await contentIn(disk), content);
  rot(b);
  await t.throwsAsync(recover(new FaultyDisk(seededRandom(1)), nodes), {
    message: /^EIO: the base of node .* is damaged/,
  });
});
