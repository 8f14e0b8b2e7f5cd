/**
 * The kill matrix: each of {name server, each storage node, the client's driver, all at once} x {killed, restarted at once,
 * restarted late, stopped for 45 s} while four ordinary programs work, and then every fsynced byte compared.
 *
 * CI plays a short set. DFS_MATRIX_ROUNDS=300 plays so many rounds from DFS_SEED (1) on and prints each with its seed and a
 * table at the end; DFS_MATRIX_ROUNDS=1 DFS_SEED=17 plays round 17 again.
 */
import { cpSync, mkdtempSync } from "node:fs";
import { join } from "node:path";
import test from "ava";
import { startCluster, type Cluster } from "../support/cluster.ts";
import { cellOf, faults, roundOf, shortSet, targets, type Round } from "./matrix/cells.ts";
import { playRound } from "./matrix/round.ts";

const roundCount = Number(process.env["DFS_MATRIX_ROUNDS"] ?? 0);
const firstSeed = Number(process.env["DFS_SEED"] ?? 1);
const rounds = roundCount === 0 ? shortSet : Array.from({ length: roundCount }, (_, i) => roundOf(firstSeed + i));
/** What one round leaves the next ones find; but a round alone should be like it was among others. */
const roundsOnOneCluster = 12;

test.serial("kill matrix: what was fsynced is there, and only who lost its client sees an error", async (t) => {
  t.timeout(600_000 + rounds.length * 600_000);
  const counts = new Map<string, { played: number; failed: number }>();
  const failures: string[] = [];
  let cluster: Cluster | undefined;
  let playedOnIt = 0;
  try {
    for (const round of rounds) {
      if (playedOnIt === roundsOnOneCluster) {
        cluster?.down();
        cluster = undefined;
      }
      if (cluster === undefined) playedOnIt = 0;
      cluster ??= await startCluster();
      playedOnIt += 1;
      const start = performance.now();
      const problem = await play(cluster, round, (text) => {
        t.log(text);
      });
      const count = counts.get(cellOf(round)) ?? { played: 0, failed: 0 };
      counts.set(cellOf(round), { played: count.played + 1, failed: count.failed + (problem === undefined ? 0 : 1) });
      const took = `${((performance.now() - start) / 1000).toFixed(0)} s`;
      if (roundCount > 0) console.log(`# round ${String(round.seed)} ${cellOf(round)} ${took} ${problem ?? "well"}`);
      if (problem === undefined) continue;
      failures.push(`round ${String(round.seed)} (${cellOf(round)}): ${problem}; logs: ${keepLogs(cluster)}`);
      cluster.down();
      cluster = undefined;
    }
  } finally {
    cluster?.down();
    t.log(table(counts));
  }
  t.deepEqual(failures, []);
});

/** Undefined, or what was wrong. */
async function play(cluster: Cluster, round: Round, say: (text: string) => void): Promise<string | undefined> {
  try {
    say(`round ${String(round.seed)} ${cellOf(round)}: ${await playRound(cluster, round)}`);
    return undefined;
  } catch (error) {
    return String(error);
  }
}

function keepLogs(cluster: Cluster): string {
  const folder = mkdtempSync("/tmp/dfs-matrix-failed-");
  for (const name of ["name", "storage-1", "storage-2", "storage-3", "client"]) {
    cpSync(join(cluster.dir, `${name}.log`), join(folder, `${name}.log`));
  }
  return folder;
}

function table(counts: ReadonlyMap<string, { played: number; failed: number }>): string {
  const cell = (target: string, fault: string): string => {
    const count = counts.get(`${target}/${fault}`);
    if (count === undefined) return "-";
    return count.failed === 0 ? String(count.played) : `${String(count.played)}, ${String(count.failed)} FAILED`;
  };
  const line = (head: string, cells: readonly string[]): string =>
    [head.padEnd(12), ...cells.map((text) => text.padEnd(18))].join("").trimEnd();
  return [
    line("rounds", faults),
    ...targets.map((target) =>
      line(
        target,
        faults.map((fault) => cell(target, fault)),
      ),
    ),
  ].join("\n");
}
