/**
 * Runs many seeds on all cores, and prints TAP: one test for each hundred seeds. `SEEDS=1-500` is another range;
 * `SEED=7` runs that one here, and prints its trace.
 */
import { fork, type ChildProcess } from "node:child_process";
import { availableParallelism } from "node:os";
import { fileURLToPath } from "node:url";
import { runSeed, type Outcome } from "./run-seed.ts";

const seedsPerTest = 100;
/** Given to a worker at once. */
const seedsPerTurn = 10;
/** Far more than the slowest seed on a busy machine: a worker that is silent for so long turns in a circle. */
const silentMillisMax = 120_000;
/** Of the seeds, that have a history which could not be decided: what is not decided is not tested. */
const undecidedShareMax = 0.03;

type FromWorker =
  { readonly type: "begun"; readonly seed: number } | { readonly type: "outcome"; readonly outcome: Brief };
type Brief = Pick<Outcome, "seed" | "problems" | "undecided" | "operations">;

const { SEED, SEEDS = "1-2000", DFS_SIMULATION_WORKER } = process.env;
if (DFS_SIMULATION_WORKER !== undefined) work();
else if (SEED !== undefined && SEED !== "") await show(Number(SEED));
else await runAll(SEEDS);

async function show(seed: number): Promise<void> {
  const { problems, undecided, hash, steps, operations, simulatedMillis } = await runSeed(seed, (line) => {
    console.log(line);
  });
  const seconds = (simulatedMillis / 1_000).toFixed(1);
  console.log(`seed ${String(seed)}: ${String(operations)} operations in ${seconds} simulated seconds,`);
  console.log(`${String(steps)} events, hash of the trace ${hash.toString(16)}`);
  if (undecided > 0) console.log(`${String(undecided)} histories are too hard to decide`);
  for (const problem of problems) console.log(`FAILED: ${problem}`);
  if (problems.length > 0) process.exitCode = 1;
}

function work(): void {
  const tell = (news: FromWorker): void => void process.send?.(news);
  process.on("message", (seeds: readonly number[]) => {
    void (async () => {
      for (const seed of seeds) {
        tell({ type: "begun", seed });
        const { problems, undecided, operations } = await runSeed(seed);
        tell({ type: "outcome", outcome: { seed, problems, undecided, operations } });
      }
    })();
  });
}

async function runAll(range: string): Promise<void> {
  const [from = 1, to = from] = range.split("-").map(Number);
  const turns: number[][] = [];
  for (let seed = from; seed <= to; seed += seedsPerTurn) {
    turns.push(Array.from({ length: Math.min(seedsPerTurn, to - seed + 1) }, (_, i) => seed + i));
  }
  const outcomes = new Map<number, Brief>();
  await Promise.all(Array.from({ length: availableParallelism() }, () => workThrough(turns, outcomes)));
  let failed = 0;
  console.log("TAP version 13");
  for (let first = from, test = 1; first <= to; first += seedsPerTest, test++) {
    const last = Math.min(first + seedsPerTest - 1, to);
    const here = [...outcomes.values()].filter(({ seed }) => seed >= first && seed <= last);
    const bad = here.filter(({ problems }) => problems.length > 0).sort((a, b) => a.seed - b.seed);
    const operations = here.reduce((sum, outcome) => sum + outcome.operations, 0);
    const title = `seeds ${String(first)} to ${String(last)} (${String(operations)} operations)`;
    console.log(`${bad.length === 0 ? "ok" : "not ok"} ${String(test)} - ${title}`);
    for (const { seed, problems } of bad) {
      failed += 1;
      console.log(`    make test-simulation SEED=${String(seed)}`);
      for (const problem of problems.slice(0, 3)) console.log(problem.replace(/^/gm, "      "));
    }
  }
  const seeds = to - from + 1;
  const tests = Math.ceil(seeds / seedsPerTest) + 1;
  const undecided = [...outcomes.values()].filter((outcome) => outcome.undecided > 0).map(({ seed }) => seed);
  const areFew = undecided.length <= Math.max(1, undecidedShareMax * seeds);
  const title = `histories of ${String(undecided.length)} of ${String(seeds)} seeds are too hard to decide`;
  console.log(`${areFew ? "ok" : "not ok"} ${String(tests)} - ${title}`);
  if (undecided.length > 0) console.log(`# too hard: ${undecided.sort((a, b) => a - b).join(" ")}`);
  console.log(`1..${String(tests)}`);
  if (failed > 0 || !areFew) process.exitCode = 1;
}

/** Takes turns until there are none left, in a worker, and in a new one after that has died. */
async function workThrough(turns: number[][], outcomes: Map<number, Brief>): Promise<void> {
  while (turns.length > 0) {
    const worker = fork(fileURLToPath(import.meta.url), [], {
      env: { ...process.env, DFS_SIMULATION_WORKER: "1" },
      // Nearly all that a seed makes is garbage soon.
      execArgv: ["--import=tsx", "--max-semi-space-size=32"],
      stdio: ["ignore", "inherit", "inherit", "ipc"],
    });
    for (let turn = turns.shift(); turn !== undefined; turn = turns.shift()) {
      const left = await oneTurn(worker, turn, outcomes);
      if (left === undefined) continue;
      if (left.length > 0) turns.unshift(left);
      break;
    }
    worker.kill();
  }
}

/** Undefined: all are done. Otherwise the worker is dead, and these are left. */
function oneTurn(
  worker: ChildProcess,
  seeds: readonly number[],
  outcomes: Map<number, Brief>,
): Promise<number[] | undefined> {
  return new Promise((resolve) => {
    let current = seeds[0] ?? 0;
    let timer: NodeJS.Timeout | undefined;
    const isLeft = (seed: number): boolean => !outcomes.has(seed);
    const finish = (left: number[] | undefined): void => {
      clearTimeout(timer);
      worker.off("message", onMessage);
      worker.off("exit", onExit);
      resolve(left);
    };
    const fail = (problem: string): void => {
      outcomes.set(current, { seed: current, problems: [problem], undecided: 0, operations: 0 });
      finish(seeds.filter(isLeft));
    };
    const onExit = (code: number | null, signal: string | null): void => {
      fail(`the worker ended with ${String(code ?? signal)}`);
    };
    const watch = (): void => {
      clearTimeout(timer);
      timer = setTimeout(() => {
        worker.off("exit", onExit);
        worker.kill("SIGKILL");
        fail(`not over after ${String(silentMillisMax / 1000)} s`);
      }, silentMillisMax);
    };
    const onMessage = (news: FromWorker): void => {
      watch();
      if (news.type === "begun") current = news.seed;
      else {
        outcomes.set(news.outcome.seed, news.outcome);
        if (!seeds.some(isLeft)) finish(undefined);
      }
    };
    worker.on("message", onMessage);
    worker.on("exit", onExit);
    watch();
    worker.send(seeds);
  });
}
