/**
 * One seed: a cluster, its clients' work, what goes wrong meanwhile, and then the questions. Once everything is whole again
 * nothing hangs, every client sees the same, and one order explains everything that was seen.
 */
import { checkHistory } from "../histories/check-history.ts";
import { prepare } from "./acting.ts";
import { Faults } from "./faults.ts";
import { nameServerHosts } from "./servers.ts";
import { checkStores, copyHosts, settle } from "./settle.ts";
import { shapeOf, type Shape } from "./shape.ts";
import { Workload } from "./workload.ts";
import { World, type MountedClient } from "./world.ts";

export interface Outcome {
  readonly seed: number;
  /** Empty: the seed passed. */
  readonly problems: readonly string[];
  /** Files and sets of names whose history was too hard to explain or to refuse in the time for one. */
  readonly undecided: number;
  /** Equal for equal runs. */
  readonly hash: number;
  readonly steps: number;
  readonly operations: number;
  readonly simulatedMillis: number;
}

const startMillis = 60_000;
/** However much went wrong, so long after the last fault everything has ended. */
const quietMillis = 400_000;
const roomAgainMillis = 10_000;
const checkStepsMax = 200_000;

export async function runSeed(seed: number, onNote?: (line: string) => void): Promise<Outcome> {
  const shape = shapeOf(seed);
  const world = new World({ seed, ...shape, onNote });
  let undecided = 0;
  const problems = world.problems;
  const stray = (error: unknown): void => {
    problems.push(`an error that nobody handled: ${String((error as Error).stack)}`);
  };
  process.on("unhandledRejection", stray);
  const giveImmediatesBack = world.events.takeImmediates();
  try {
    await live(world, shape);
    if (problems.length === 0) await checkStores(world);
  } catch (error) {
    stray(error);
  } finally {
    giveImmediatesBack();
    process.off("unhandledRejection", stray);
  }
  if (problems.length === 0) {
    for (const verdict of checkHistory(world.recording.history(), checkStepsMax)) {
      if (verdict.type === "refused") problems.push(verdict.report);
      if (verdict.type === "too hard") undecided += 1;
    }
  }
  const { hash, steps, now } = world.events;
  return { seed, problems, undecided, hash, steps, operations: world.recording.entries.length, simulatedMillis: now };
}

async function live(world: World, shape: Shape): Promise<void> {
  const { events, problems, random } = world;
  for (const host of world.hosts()) world.start(host);
  if (!(await events.runUntil(() => world.isWhole, startMillis))) {
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
  const operations = 10 + random.below(26);
  // Where servers leave, that has to be noticed meanwhile.
  const pauses = ["members", "failover"].includes(shape.kind) ? [500, 1_000, 2_000, 4_000] : [5, 50, 500, 2_000];
  const pauseMillis = pauses[random.below(4)] ?? 5;
  const workload = new Workload(world, { processesPerClient: 1 + random.below(3), operations, pauseMillis });
  world.onMounted = (client) => {
    workload.begin(client);
  };
  for (const client of world.clients) workload.begin(client);
  const faults = new Faults(world, shape);
  const spanMillis = 200 + (operations * pauseMillis) / 2;
  const count = random.below(9) + (shape.kind === "members" ? 4 : 0);
  if (shape.kind === "failover") faults.beginFailover(spanMillis / 2);
  faults.begin(count, (2 * spanMillis) / (count + 1));
  await events.runUntil(() => workload.unfinished.length === 0, 20_000 + 2 * spanMillis);
  faults.end();
  const isQuiet = (): boolean => world.isWhole && workload.unfinished.length === 0;
  if (!(await events.runUntil(isQuiet, quietMillis))) {
    problems.push(`not over after ${String(quietMillis)} ms: ${describeUnfinished(world, workload)}`);
    return;
  }
  problems.push(...workload.locks.problems());
  world.onMounted = () => undefined;
  // The name server looks at its disk's space every few seconds: until then nothing grows on one that was full.
  await events.runUntil(() => false, roomAgainMillis);
  retireFormer(world);
  const look = async (): Promise<boolean> => {
    for (const client of world.clients) workload.lookAtAll(client);
    if (await events.runUntil(isQuiet, quietMillis)) return problems.length === 0;
    problems.push(`at the end: ${describeUnfinished(world, workload)}`);
    return false;
  };
  // All that was synced is there again when the power is.
  const losePower = async (): Promise<boolean> => {
    for (const host of world.hosts()) world.powerOff(host, { restartMillis: random.below(1_000) });
    if (await events.runUntil(isQuiet, quietMillis)) return true;
    problems.push(`after the power was lost: ${describeUnfinished(world, workload)}`);
    return false;
  };
  switch (shape.kind) {
    case "plain":
      if ((await look()) && random.below(2) === 0 && (await losePower())) await look();
      return;
    case "rot":
      faults.rot("segments");
      if ((await losePower()) && (await look()) && (await settle(world))) await look();
      return;
    case "rotten-copy":
      if ((await settle(world)) && (await haveCopies(world, shape))) {
        faults.rot("journal");
        world.failOver();
        world.retire(nameServerHosts[0]);
        // A storage node sees the damage as it starts, or as its copy is read.
        if ((random.below(2) === 0 || (await losePower())) && (await look()) && (await settle(world))) await look();
      }
      return;
    case "failover":
    case "members":
      if ((await settle(world)) && (await look()) && (await losePower())) await look();
      return;
  }
}

/** Waits until there are as many complete copies of the journal as there can be. */
async function haveCopies(world: World, { replicas }: Shape): Promise<boolean> {
  const areThere = (): boolean => copyHosts(world).length === replicas - 1;
  if (await world.events.runUntil(areThere, startMillis)) return true;
  world.problems.push("the journal's copies are not complete");
  return false;
}

/** A name server whose cluster was taken over serves nobody any more; there is nothing else for it to do. */
function retireFormer(world: World): void {
  for (const host of world.formerNameServers) {
    const running = world.running(host);
    if (running?.kind === "name-server" && running.server.status().copies?.serving === true)
      world.problems.push(`${host} still serves, after ${world.nameServer} has taken over`);
    world.retire(host);
  }
}

function describeUnfinished(world: World, workload: Workload): string {
  const absent = world.hosts().filter((host) => !world.isUp(host));
  return [...absent.map((host) => `${host} is not up`), ...workload.unfinished].join("; ");
}
