/** Repair with real processes: nodes that die, lose their disks, go in a majority; every byte is compared afterwards. */
import { readdirSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import test, { type ExecutionContext } from "ava";
import type { StatusReply } from "../../src/protocol/status.ts";
import { startCluster, type Cluster, type ClusterOptions } from "../support/cluster.ts";
import {
  compare,
  complaints,
  fill,
  isWhole,
  keepBusy,
  look,
  nodeOf,
  pause,
  silence,
  until,
  usedBytes,
} from "./repair/acting.ts";

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
    const isThere = (status: StatusReply): boolean => usedBytes(status) >= 2 * 30 * 6 * MB;
    const before = await until(c, "all groups are whole", (status) => isWhole(status) && isThere(status));
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
  const there = await until(c, "a new node is there", (status) => nodeOf(c, status, "storage-2").id !== wiped.id, {
    everyMillis: 5,
  });
  const stateOf = (status: StatusReply): unknown => status.nodes.find(({ id }) => id === wiped.id)?.state;
  t.is(stateOf(there), "out", "at once, not after so and so many seconds of silence");
  await until(c, "all groups are whole again", isWhole);
  await until(c, "the old one is forgotten", (status) => stateOf(status) === undefined);
  t.is(complaints(c), undefined);

  c.kill("storage-4");
  await compare(c, 3, "files");
  t.is(complaints(c), undefined);
});

repairTest(
  "while a majority of the nodes is gone nothing is repaired, and all goes on afterwards",
  { nodes: 4 },
  async (t, c) => {
    await fill(c, "files", 10, 6 * MB);
    const before = await until(c, "all groups are whole", isWhole);
    const survivor = nodeOf(c, before, "storage-1");
    const gone = ["storage-2", "storage-3", "storage-4"];
    for (const name of gone) c.kill(name);
    const end = performance.now() + (silence.outAfter + 5) * 1000;
    const late = c.sh(
      "head -c 5000000 /dev/urandom | tee late | md5sum > /var/tmp/dfs-late-$$; sync late; md5sum < late | cmp - /var/tmp/dfs-late-$$; rm /var/tmp/dfs-late-$$",
    );
    const failed = late.catch(() => undefined);

    await until(c, "repair waits", ({ repair }) => repair.state === "waiting");
    const told = c.dfs("status", `127.0.0.1:${String(c.port)}`).stdout;
    for (const name of gone) t.regex(told, new RegExp(`repair waits for .*${nodeOf(c, before, name).address}`));
    while (performance.now() < end) {
      const now = await look(c);
      t.is(now.repair.state, "waiting");
      t.is(now.repair.copiedBytes, 0);
      t.deepEqual(
        now.nodes.map(({ state, groups }) => [state, groups]),
        before.nodes.map(({ id, groups }) => [id === survivor.id ? "up" : "down", groups]),
      );
      t.true(nodeOf(c, now, "storage-1").blocks >= survivor.blocks, "nothing was deleted");
      await pause(250);
    }

    c.up();
    await failed;
    await t.notThrowsAsync(late, "what was written meanwhile waited");
    const after = await until(c, "all groups are whole again", isWhole);
    t.is(after.repair.copiedBytes, 0);
    t.deepEqual(
      after.nodes.map(({ state, groups }) => [state, groups]),
      before.nodes.map(({ groups }) => ["up", groups]),
    );
    await compare(c, 4, "files");
    t.is(complaints(c), undefined);
  },
);

repairTest("a node that returns keeps what is right and loses what others have", { nodes: 4 }, async (t, c) => {
  await fill(c, "files", 25, 6 * MB);
  await fill(c, "others", 4, 6 * MB);
  c.kill("storage-4");
  await until(
    c,
    "others took its place",
    (status) => isWhole(status) && nodeOf(c, status, "storage-4").state === "out",
  );
  await c.sh("rm -r others; sync .");
  const { repair } = await look(c);
  c.up();
  const back = await until(c, "it has its places again, and nobody more than he needs", (status) => {
    const blocks = status.nodes.reduce((sum, node) => sum + node.blocks, 0);
    // Until it has said how many it has, it counts for none.
    const hasTold = nodeOf(c, status, "storage-4").blocks > 0;
    return hasTold && isWhole(status) && status.repair.comparing === 0 && blocks === 2 * 25 * 2;
  });
  t.is(nodeOf(c, back, "storage-4").state, "up");
  t.true(
    nodeOf(c, back, "storage-4").blocks >= 10,
    `it kept its share: ${String(nodeOf(c, back, "storage-4").blocks)}`,
  );
  t.is(back.repair.copiedBytes, repair.copiedBytes, "nothing was copied for that");
  t.is(complaints(c), undefined);

  // The name server stands still while the node comes back: so that not everything is copied when it is there.
  const had = segmentBytes(c, "storage-3");
  t.true(had > 10 * MB);
  c.kill("storage-3");
  await until(c, "others copy", ({ repair: { state } }) => state === "copying", { everyMillis: 5 });
  c.kill("name");
  c.up();
  const whole = await until(c, "all groups are whole", isWhole);
  t.regex(
    c.log("name"),
    new RegExp(`"node":"${nodeOf(c, whole, "storage-3").id}".*is back in a group that it had left`),
  );
  // Deleted blocks are compacted away, after a while.
  await until(c, "the node holds no more than before", () => segmentBytes(c, "storage-3") <= had, { seconds: 60 });
  t.true(whole.repair.copiedBytes < 0.9 * had, "nor did others copy all of it");
  await compare(c, 4, "files");
  t.is(complaints(c), undefined);
});

function segmentBytes(cluster: Cluster, node: string): number {
  const folder = join(cluster.dir, node, "segments");
  return readdirSync(folder).reduce((sum, name) => sum + statSync(join(folder, name)).size, 0);
}
