/**
 * The name server killed at random moments while a client runs ahead: nothing that was answered is lost and nothing is
 * done twice. Each operation answers as if nothing had happened, and the folder is what all of them together make it:
 * seen by the client that did them, and by one that is mounted afterwards.
 *
 * DFS_AHEAD_SEEDS=100 does that many rounds; DFS_AHEAD_SEED=7 only the one of that seed, five times.
 */
import { mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import test, { type ExecutionContext } from "ava";
import { seededRandom, type Random } from "../../src/base/random.ts";
import { eventually } from "../mounted/acting.ts";
import { startCluster, type Cluster } from "../support/cluster.ts";
import { Actor, lookAt } from "./ahead/acting.ts";
import { check } from "./ahead/check.ts";
import { filling } from "./ahead/filling.ts";
import { readHistory, type Operation } from "./ahead/history.ts";

const only = process.env["DFS_AHEAD_SEED"];
const count = Number(process.env["DFS_AHEAD_SEEDS"] ?? 5);
const seeds = only === undefined ? Array.from({ length: count }, (_, i) => i + 1) : Array<number>(5).fill(Number(only));
const operations = 2_500;

interface Run {
  readonly seed: number;
  readonly folder: string;
  readonly operations: readonly Operation[];
}

test.serial("a name server killed while a client runs ahead loses nothing and does nothing twice", async (t) => {
  t.timeout(120_000 + count * 30_000);
  const cluster = await startCluster();
  const notes = mkdtempSync("/var/tmp/dfs-ahead-");
  const actor = new Actor();
  try {
    const runs: Run[] = [];
    for (const [i, seed] of seeds.entries()) {
      const folder = `run-${String(i)}`;
      await cluster.sh(`umask 022; mkdir ${folder}`, { seconds: 30 });
      const record = join(notes, folder);
      const task = { folder: join(cluster.mnt, folder), seed, record, operations, kill: undefined };
      const acting = actor.act(task, 100);
      await Promise.all([acting, killTwice(cluster, record, seededRandom(seed ^ 0xdead))]);
      const history = readHistory(readFileSync(record, "utf8"));
      t.is(history.died, undefined, `seed ${String(seed)}: an application saw an error`);
      runs.push({ seed, folder, operations: history.operations });
      await isComplete(t, cluster, runs.slice(-1));
    }
    t.is(cluster.dfs("umount", cluster.mnt).status, 0);
    cluster.up();
    await isComplete(t, cluster, runs);
    t.log(`${String(runs.length)} rounds of ${String(operations)} operations`);
  } finally {
    actor.close();
    cluster.down();
    rmSync(notes, { recursive: true, force: true });
  }
});

async function killTwice(cluster: Cluster, record: string, random: Random): Promise<void> {
  await eventually("the operations have begun", () => (statSync(record, { throwIfNoEntry: false })?.size ?? 0) > 3_000);
  for (let kill = 0; kill < 2; kill++) {
    await millis(random.below(500));
    cluster.kill("name");
    await millis(random.below(300));
    cluster.up();
  }
}

async function isComplete(t: ExecutionContext, cluster: Cluster, runs: readonly Run[]): Promise<void> {
  const found = await lookAt(
    runs.map(({ folder }) => join(cluster.mnt, folder)),
    60,
  );
  for (const [i, { seed, operations: done }] of runs.entries()) {
    const fill = (index: number, length: number): Buffer => filling(seed, index, length);
    const verdict = check(done, found[i] ?? { entries: [], unreadable: ["no answer"] }, { fill, complete: true });
    t.is(verdict.type, "consistent", `seed ${String(seed)}: ${verdict.type === "broken" ? verdict.reason : ""}`);
  }
}

function millis(wait: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, wait));
}
