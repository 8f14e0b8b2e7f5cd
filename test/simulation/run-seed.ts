/**
 * One seed: a cluster, its clients' work, what goes wrong meanwhile, and then the questions. Once everything is whole again
 * nothing hangs, every client sees the same, and one order explains everything that was seen.
 */
import { checkHistory } from "../histories/check-history.ts";
import { prepare } from "./acting.ts";
import { Faults } from "./faults.ts";
import { fsck } from "./operator.ts";
import { Workload } from "./workload.ts";
import { World, type MountedClient } from "./world.ts";

export interface Outcome {
  readonly seed: number;
  /** Empty: the seed passed. */
  readonly problems: readonly string[];
  /** Equal for equal runs. */
  readonly hash: number;
  readonly steps: number;
  readonly operations: number;
  readonly simulatedMillis: number;
}

const startMillis = 60_000;
/** However much went wrong, so long after the last fault everything has ended. */
const quietMillis = 400_000;
const checkStepsMax = 200_000;

export async function runSeed(seed: number, onNote?: (line: string) => void): Promise<Outcome> {
  const world = new World({ seed, ...shapeOf(seed), onNote });
  const problems = world.problems;
  const stray = (error: unknown): void => {
    problems.push(`an error that nobody handled: ${String((error as Error).stack)}`);
  };
  process.on("unhandledRejection", stray);
  const giveImmediatesBack = world.events.takeImmediates();
  try {
    await live(world);
    if (problems.length === 0) await checkStore(world);
  } catch (error) {
    stray(error);
  } finally {
    giveImmediatesBack();
    process.off("unhandledRejection", stray);
  }
  if (problems.length === 0) {
    for (const verdict of checkHistory(world.recording.history(), checkStepsMax)) {
      if (verdict.type === "refused") problems.push(verdict.report);
    }
  }
  const { hash, steps, now } = world.events;
  return { seed, problems, hash, steps, operations: world.recording.entries.length, simulatedMillis: now };
}

function shapeOf(seed: number): { nodes: number; clients: number; replicas: number } {
  return { nodes: 2 + (seed % 3), clients: 1 + (seed % 4 === 0 ? 0 : 1 + (seed % 2)), replicas: 2 };
}

async function live(world: World): Promise<void> {
  const { events, problems, random } = world;
  for (const host of world.hosts()) world.start(host);
  const areAllUp = (): boolean => world.hosts().every((host) => world.isUp(host));
  if (!(await events.runUntil(areAllUp, startMillis))) {
    problems.push("the cluster did not start");
    return;
  }
  const [first] = world.clients as [MountedClient];
  let isPrepared = false;
  void prepare(first.operations, first.machine.random).then(() => {
    isPrepared = true;
  });
  if (!(await events.runUntil(() => isPrepared, startMillis))) {
    problems.push("the first files could not be made");
    return;
  }
  const operations = 15 + random.below(40);
  const pauseMillis = [5, 50, 500, 2_000][random.below(4)] ?? 5;
  const workload = new Workload(world, { processesPerClient: 1 + random.below(3), operations, pauseMillis });
  world.onMounted = (client) => {
    workload.begin(client);
  };
  for (const client of world.clients) workload.begin(client);
  const faults = new Faults(world);
  const spanMillis = 200 + (operations * pauseMillis) / 2;
  const count = random.below(9);
  faults.begin(count, (2 * spanMillis) / (count + 1));
  await events.runUntil(() => workload.unfinished.length === 0, 20_000 + 2 * spanMillis);
  faults.end();
  const isQuiet = (): boolean => areAllUp() && workload.unfinished.length === 0;
  if (!(await events.runUntil(isQuiet, quietMillis))) {
    problems.push(`not over after ${String(quietMillis)} ms: ${describeUnfinished(world, workload)}`);
    return;
  }
  problems.push(...workload.locks.problems());
  world.onMounted = () => undefined;
  for (let look = 0; look < 2; look++) {
    for (const client of world.clients) workload.lookAtAll(client);
    if (!(await events.runUntil(isQuiet, quietMillis))) {
      problems.push(`at the end: ${describeUnfinished(world, workload)}`);
      return;
    }
    if (look > 0 || random.below(2) === 0) return;
    // All of that was synced: it is there again when the power is.
    for (const host of world.hosts()) world.powerOff(host, { restartMillis: random.below(1_000) });
    if (!(await events.runUntil(isQuiet, quietMillis))) {
      problems.push(`after the power was lost: ${describeUnfinished(world, workload)}`);
      return;
    }
  }
}

/** Once everything is at rest: names, links, extents and blocks agree, and every copy is there. */
async function checkStore(world: World): Promise<void> {
  const state = { isOver: false };
  void fsck(world).then(
    (found) => {
      state.isOver = true;
      for (const one of found.filter(({ state: kind }) => kind === "error"))
        world.problems.push(`fsck: ${JSON.stringify(one)}`);
    },
    (error: unknown) => {
      state.isOver = true;
      world.problems.push(`fsck: ${String((error as Error).stack)}`);
    },
  );
  if (!(await world.events.runUntil(() => state.isOver, quietMillis))) world.problems.push("fsck does not end");
}

function describeUnfinished(world: World, workload: Workload): string {
  const absent = world.hosts().filter((host) => !world.isUp(host));
  return [...absent.map((host) => `${host} is not up`), ...workload.unfinished].join("; ");
}
