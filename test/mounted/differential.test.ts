/**
 * Random operations from seeds, each done on a local directory and on the mount: every result, every errno and the whole
 * trees are equal. DFS_SEEDS=301-400 runs others than those that always run, DFS_STEPS=1000 longer ones.
 */
import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { fileURLToPath } from "node:url";
import test from "ava";
import { runSeeds } from "../differential/run-seeds.ts";
import { startCluster, type Cluster } from "../support/cluster.ts";

const main = fileURLToPath(new URL("../../dist/cli/main.js", import.meta.url));
/** On the disk of the temporary folder: tmpfs knows fewer calls than ext4. */
const local = mkdtempSync("/var/tmp/dfs-differential-");
const steps = process.env["DFS_STEPS"] ?? "250";
const [first = 1, last = 200] = (process.env["DFS_SEEDS"] ?? "1-200").split("-").map(Number);
const seedsPerTest = 20;
const secondsPerTest = 120;

let cluster: Cluster;
const kindsDone = new Set<string>();

test.before(async () => {
  cluster = await startCluster();
  // Steps are done by users without privileges too.
  chmodSync(local, 0o755);
  await cluster.sh("chmod 755 $MNT/..", { cwd: "/" });
});
test.after.always(() => {
  cluster.down();
  rmSync(local, { recursive: true, force: true });
});

function remounting(): string[][] {
  const { mnt, dir, port } = cluster;
  return [
    [process.execPath, main, "umount", mnt],
    [process.execPath, main, "cluster", "up", "--dir", dir, "--mount", mnt, "--port", String(port)],
  ];
}

for (let from = first; from <= last; from += seedsPerTest) {
  const to = Math.min(last, from + seedsPerTest - 1);
  test.serial(`the mount does what ext4 does, seeds ${String(from)} to ${String(to)}`, async (t) => {
    t.timeout(Math.max(secondsPerTest, Number(steps)) * 1000);
    const mounts = [cluster.mnt];
    const results = await runSeeds({ local, mounts, first: from, last: to, steps, remount: remounting() });
    for (const { kinds } of results) for (const kind of Object.keys(kinds)) kindsDone.add(kind);
    t.is(results.length, to - from + 1);
    const errors = results.flatMap(({ error }) => (error === null ? [] : [error]));
    t.deepEqual(errors, [], errors.join("\n"));
  });
}

test.serial("the steps were of at least 50 kinds", (t) => {
  t.true(kindsDone.size >= 50, [...kindsDone].join(", "));
});

test.serial("the client's log has no error after all of that", (t) => {
  const errors = cluster
    .log("client")
    .split("\n")
    .filter((line) => line.includes('"level":50'));
  t.deepEqual(errors, []);
});
