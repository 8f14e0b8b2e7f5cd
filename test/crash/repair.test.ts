/** Repair with real processes: nodes that die, lose their disks, go in a majority; every byte is compared afterwards. */
import { readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import test, { type ExecutionContext } from "ava";
import { startCluster, type Cluster, type ClusterOptions } from "../support/cluster.ts";
import { compare, complaints, fill, isWhole, keepBusy, look, nodeOf, silence, until } from "./repair/acting.ts";

const MB = 1_000_000;

function repairTest(
  title: string,
  options: ClusterOptions,
  run: (t: ExecutionContext, c: Cluster) => Promise<void>,
): void {
  test.serial(title, async (t) => {
    t.timeout(400_000);

    const cluster = await startCluster({ ...silence, ...options });
    try {
      await run(t, cluster);
    } catch (error) {
      t.log(cluster.log("name").slice(-4_000));
      throw error;
    } finally {
      cluster.down();
    }
  });
}

repairTest(
  "a node that stays dead is replaced by the others, and then another one may die",
  { nodes: 4 },
  async (t, c) => {
    await fill(c, "files", 30, 6 * MB);
    const before = await until(c, "all groups are whole", isWhole);
    const dead = nodeOf(c, before, "storage-4");
    t.true(dead.usedBytes > 10 * MB, "it has its part of what was written");
    const client = keepBusy(c, "busy");
    c.kill("storage-4");

    const degraded = await until(c, "groups are degraded", ({ groups }) => groups.degraded > 0);
    t.is(degraded.groups.degraded, dead.groups);
    t.is(degraded.groups.lost, 0);
    const copying = await until(
      c,
      "bytes to go, a rate and a time left are told",
      ({ repair: { state, bytesToGo, bytesPerSecond, secondsLeft } }) =>
        state === "copying" && bytesToGo > 0 && bytesPerSecond > 0 && secondsLeft !== null && secondsLeft > 0,
    );
    t.true(copying.repair.bytesToGo <= 1.1 * dead.usedBytes);
    const whole = await until(c, "all groups are whole again", isWhole);
    t.true((await client.stop()) > 10, "clients go on meanwhile");
    t.is(whole.groups.healthy, before.groups.healthy);
    t.is(nodeOf(c, whole, "storage-4").state, "out");
    t.is(nodeOf(c, whole, "storage-4").groups, 0);
    t.true(whole.repair.copiedBytes > 0.9 * dead.usedBytes && whole.repair.copiedBytes < 1.1 * dead.usedBytes);
    t.regex(c.dfs("status", `127.0.0.1:${String(c.port)}`).stdout, /^groups {2}\d+ healthy, 0 degraded, 0 lost$/m);

    c.kill("storage-3");
    await compare(c, 2, "files");
    t.is(complaints(c), undefined);
  },
);

repairTest("a node whose disk was emptied is a new one, and gets everything again", { nodes: 4 }, async (t, c) => {
  await fill(c, "files", 20, 6 * MB);
  const before = await until(c, "all groups are whole", isWhole);
  const wiped = nodeOf(c, before, "storage-2");
  c.kill("storage-2");
  const folder = join(c.dir, "storage-2");
  for (const entry of readdirSync(folder)) rmSync(join(folder, entry), { recursive: true });
  c.up();
  const there = nodeOf(c, await look(c), "storage-2");
  t.not(there.id, wiped.id);
  const old = (await look(c)).nodes.find(({ id }) => id === wiped.id);
  t.is(old?.state, "out", "at once, not after so and so many seconds of silence");
  const whole = await until(c, "all groups are whole again", isWhole);
  t.is(whole.nodes.find(({ id }) => id === wiped.id)?.groups, 0);
  t.is(complaints(c), undefined);

  c.kill("storage-4");
  await compare(c, 3, "files");
  t.is(complaints(c), undefined);
});
