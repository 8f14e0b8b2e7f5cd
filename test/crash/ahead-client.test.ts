/**
 * The client killed at a random moment while it runs ahead: what is there afterwards is a prefix of its changes of names
 * and attributes, and for each file a state that it has been in, with everything fsynced (test/crash/ahead/check.ts says
 * what exactly). A seed is one mount, one folder, one kill.
 *
 * DFS_AHEAD_SEEDS=500 tries that many seeds; DFS_AHEAD_SEED=7 only that one, five times: the operations are the same
 * each time, what the machine does between them is not.
 */
import { mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import test from "ava";
import { seededRandom } from "../../src/base/random.ts";
import { eventually } from "../mounted/acting.ts";
import { startCluster, type Cluster } from "../support/cluster.ts";
import { Actor, lookAt } from "./ahead/acting.ts";
import { check, type Verdict } from "./ahead/check.ts";
import { filling } from "./ahead/filling.ts";
import { readHistory, type History } from "./ahead/history.ts";
import { KillableMount } from "./ahead/killable-mount.ts";

const only = process.env["DFS_AHEAD_SEED"];
const count = Number(process.env["DFS_AHEAD_SEEDS"] ?? 25);
const seeds = only === undefined ? Array.from({ length: count }, (_, i) => i + 1) : Array<number>(5).fill(Number(only));
/** Folders that are looked at together: the first look waits until the killed sessions have expired. */
const together = 100;
const operationsMax = 100_000;
const actingSeconds = 40;

interface Run {
  readonly seed: number;
  /** Name of the folder. */
  readonly folder: string;
  readonly history: History;
}

test.serial(
  "a client killed while it runs ahead leaves a prefix of what it did, with all that was fsynced",
  async (t) => {
    t.timeout(120_000 + count * 8_000);
    const cluster = await startCluster();
    const notes = mkdtempSync("/var/tmp/dfs-ahead-");
    const actor = new Actor();
    try {
      for (let first = 0; first < seeds.length; first += together) {
        const runs: Run[] = [];
        const batch = seeds
          .slice(first, first + together)
          .map((seed, i) => ({ seed, folder: `run-${String(first + i)}` }));
        // Made before the first kill: later the top directory may be leased by sessions that are dead and not yet over.
        await cluster.sh(`umask 022; mkdir ${batch.map(({ folder }) => folder).join(" ")}`, { seconds: 60 });
        for (const each of batch) runs.push(await runSeed(cluster, actor, { ...each, notes }));
        const found = await lookAt(
          runs.map(({ folder }) => join(cluster.mnt, folder)),
          60 + 2 * runs.length,
        );
        for (const [i, run] of runs.entries()) {
          const { operations } = run.history;
          const fill = (index: number, length: number): Buffer => filling(run.seed, index, length);
          const verdict = check(operations, found[i] ?? { entries: [], unreadable: ["no answer"] }, {
            fill,
            complete: false,
          });
          t.is(verdict.type, "consistent", `seed ${String(run.seed)}: ${told(verdict)}`);
          t.true(
            (run.history.died?.at ?? Infinity) >= (run.history.killedAt ?? Infinity),
            `seed ${String(run.seed)}: failed before the kill`,
          );
          t.log(`seed ${String(run.seed)}: ${String(operations.length)} operations, ${told(verdict)}`);
        }
      }
    } finally {
      actor.close();
      cluster.down();
      rmSync(notes, { recursive: true, force: true });
    }
  },
);

function told(verdict: Verdict): string {
  if (verdict.type === "broken") return verdict.reason;
  const { there, made } = verdict.prefix;
  return `${String(there)} of ${String(made)} changes there, ${String(verdict.writesMissing)} writes missing`;
}

async function runSeed(
  cluster: Cluster,
  actor: Actor,
  { seed, folder, notes }: { seed: number; folder: string; notes: string },
): Promise<Run> {
  const random = seededRandom(seed ^ 0x5eed);
  const address = `127.0.0.1:${String(cluster.port)}`;
  const mount = new KillableMount(address, `${dirname(cluster.dir)}-killed`, join(cluster.dir, "killed.log"));
  try {
    await mount.ready();
    const record = join(notes, folder);
    const task = { folder: join(mount.mnt, folder), seed, record, operations: operationsMax };
    // Half of them right behind an operation, before anything else can happen; half of them by the clock.
    if (random.below(2) === 0) {
      const kill = { after: 1 + random.below(20 + random.below(1_500)), pids: mount.pids() };
      await actor.act({ ...task, kill }, actingSeconds);
      return { seed, folder, history: readHistory(readFileSync(record, "utf8")) };
    }
    const acting = actor.act({ ...task, kill: undefined }, actingSeconds);
    // Told by the await below, also when what comes first fails.
    acting.catch(() => undefined);
    await eventually(
      "the first operations are done",
      () => (statSync(record, { throwIfNoEntry: false })?.size ?? 0) > 3_000,
    );
    await new Promise((resolve) => setTimeout(resolve, random.below(1_000)));
    const killedAt = Date.now();
    mount.kill();
    await acting;
    return { seed, folder, history: { ...readHistory(readFileSync(record, "utf8")), killedAt } };
  } finally {
    await mount.remove();
  }
}
