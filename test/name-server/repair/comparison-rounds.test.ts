import test from "ava";
import { blockChecksums } from "../../../src/base/checksum.ts";
import { toGroupId, type BlockId } from "../../../src/base/ids.ts";
import { TestClient } from "../support.ts";
import { pattern, RewriteCluster, type RealNode } from "../rewrite/support.ts";

const roundMillis = 60_000;

async function place(cluster: RewriteCluster, { store }: RealNode, block: BlockId): Promise<void> {
  const bytes = pattern(block.number, 10_000);
  const putting = store.put(block, bytes, blockChecksums(block, bytes));
  await cluster.pass(100);
  await putting;
}

test("copies that nobody names are found and deleted, and what may yet be named stays", async (t) => {
  const cluster = await RewriteCluster.start({ compareRoundMillis: roundMillis });
  const { cluster: inner } = cluster;
  const ino = await cluster.client.create("file");
  for (let i = 0; i < 10; i++) await cluster.writeBlock(ino, [{ offset: i * 10_000, bytes: pattern(i, 10_000) }]);
  // Numbers of a session that ended, which arrive at their nodes late; and one that a session still has.
  const other = await TestClient.open(inner);
  const late = (await other.change("allocateBlocks", { count: 8, avoid: [] })).ranges;
  await other.call("closeSession", {});
  await cluster.pass(15_000);
  const open = (await cluster.client.change("allocateBlocks", { count: 8, avoid: [] })).ranges;
  const at = (ranges: typeof late): BlockId[] =>
    ranges.map(({ group, first }) => ({ group: toGroupId(group), number: first }));
  const lateNames: string[] = [];
  for (const block of [...at(late), ...at(open)]) {
    for (const node of cluster.nodes) {
      const isMember = await cluster.isMember(node, block);
      if (isMember) await place(cluster, node, block);
    }
  }
  for (const { group, number } of at(late)) lateNames.push(`${String(group)}/${String(number)}`);
  const holds = (names: readonly string[]): boolean =>
    cluster.nodes.some((node) => names.some((name) => cluster.held(node).has(name)));
  t.true(holds(lateNames));
  await cluster.until(() => !holds(lateNames), "the copies nobody names", 4 * roundMillis);
  const openNames = at(open).map(({ group, number }) => `${String(group)}/${String(number)}`);
  t.true(openNames.every((name) => holds([name])));
  t.is((await cluster.read(ino)).length, 100_000);
  await cluster.stop();
});
