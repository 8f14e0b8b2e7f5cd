/**
 * The random operations of differential.test.ts, each through one of two mounts of one cluster: what one of them did is
 * seen through the other by the very next call. DFS_SEEDS=301-400 and DFS_STEPS=1000 run others and longer ones.
 */
import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { fileURLToPath } from "node:url";
import test from "ava";
import { runSeeds } from "../differential/run-seeds.ts";
import { shell, startCluster, type Cluster } from "../support/cluster.ts";
import { SecondMount } from "./acting.ts";

const main = fileURLToPath(new URL("../../dist/cli/main.js", import.meta.url));
/** On the disk of the temporary folder: tmpfs knows fewer calls than ext4. */
const local = mkdtempSync("/var/tmp/dfs-differential-");
const steps = process.env["DFS_STEPS"] ?? "200";
const [first = 1, last = 8] = (process.env["DFS_SEEDS"] ?? "1-8").split("-").map(Number);
const secondsPerTest = 120;

let cluster: Cluster;
let second: SecondMount;

test.before(async () => {
  cluster = await startCluster();
  second = new SecondMount(cluster);
  await second.mount();
  // Steps are done by users without privileges too.
  chmodSync(local, 0o755);
  await shell(`chmod 755 ${cluster.mnt} ${second.mnt}`, { seconds: 20, cwd: "/" });
});
test.after.always(async () => {
  await second.remove();
  cluster.down();
  rmSync(local, { recursive: true, force: true });
});

test.serial(`two mounts do what ext4 does, seeds ${String(first)} to ${String(last)}`, async (t) => {
  t.timeout(Math.max(secondsPerTest, ((last - first + 1) * Number(steps)) / 10) * 1000);
  const remount = [
    [process.execPath, main, "umount", second.mnt],
    [process.execPath, main, "mount", "--log", second.logFile, second.address, second.mnt],
  ];
  const results = await runSeeds({ local, mounts: [cluster.mnt, second.mnt], first, last, steps, remount });
  t.is(results.length, last - first + 1);
  const errors = results.flatMap(({ error }) => (error === null ? [] : [error]));
  t.deepEqual(errors, [], errors.join("\n"));
});

test.serial("what one mount has moved, the other moves on without having looked at it (seed 15)", async (t) => {
  const script = `
    mkdir -p $A/moving/old $A/moving/new $A/moving/third; stat $B/moving/old >/dev/null
    mkdir $A/moving/old/folder; ls -l $B/moving/old
    mv $A/moving/old/folder $A/moving/new; mv $B/moving/new/folder $B/moving/old
    mv $A/moving/old/folder $A/moving/new; mv $B/moving/new/folder $B/moving/third
    ls $A/moving/third`;
  const env = { ...process.env, A: cluster.mnt, B: second.mnt };
  const output = await shell(script, { seconds: 30, cwd: "/", env });
  t.regex(output, /^folder$/m);
});
