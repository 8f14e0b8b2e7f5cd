/**
 * Random work, ended by random misfortune, and again on what that left. What was answered must be there, what was removed
 * must be gone, and what was neither may be there whole or not at all.
 */
import test from "ava";
import { errnoOf } from "../../src/base/errno.ts";
import { seededRandom, type Random } from "../../src/base/random.ts";
import { memoryBackend } from "../../src/block-store/memory-backend.ts";
import type { BlockStore } from "../../src/block-store/types.ts";
import { SimulatedClock } from "../support/simulated-clock.ts";
import { FaultyDisk } from "../support/faulty-disk.ts";
import { holds, id, MiB, openStore, put, randomSeed } from "./support.ts";

const capacityBytes = 40 * MiB;

class World {
  disk: FaultyDisk;
  backend = memoryBackend();
  clock = new SimulatedClock();
  readonly random: Random;
  /** Length by number. */
  readonly sure = new Map<number, number>();
  readonly doubtful = new Map<number, number>();
  readonly gone = new Map<number, number>();
  next = 0;

  constructor(seed: number) {
    this.random = seededRandom(seed);
    this.disk = new FaultyDisk(this.random);
  }

  open(): Promise<BlockStore> {
    this.clock = new SimulatedClock();
    this.disk.turns = () => 1 + this.random.below(6);
    return openStore(this.disk, { capacityBytes, backend: this.backend, clock: this.clock });
  }

  /** Starts some work; what is answered before the end is noted. */
  async work(store: BlockStore, steps: number): Promise<void> {
    const { random } = this;
    for (let step = 0; step < steps; step++) {
      const kind = random.below(10);
      if (kind < 6) this.put(store);
      else if (kind < 8) this.remove(store);
      else if (kind === 8) void this.clock.advance(random.below(1_500));
      else for (let turn = random.below(60); turn > 0; turn--) await turnOfTheLoop();
    }
  }

  put(store: BlockStore): void {
    const number = this.next++;
    const length = 1 + this.random.below(this.random.below(8) === 0 ? 2 * MiB : 40_000);
    this.doubtful.set(number, length);
    put(store, number, length).then(
      () => {
        this.doubtful.delete(number);
        this.sure.set(number, length);
      },
      () => undefined,
    );
  }

  remove(store: BlockStore): void {
    const victims = [...this.sure.keys()].filter(() => this.random.below(4) === 0);
    for (const number of victims) {
      this.doubtful.set(number, this.sure.get(number) as number);
      this.sure.delete(number);
    }
    store.remove(victims.map((number) => id(number))).then(
      () => {
        for (const number of victims) {
          this.gone.set(number, this.doubtful.get(number) as number);
          this.doubtful.delete(number);
        }
      },
      () => undefined,
    );
  }

  /** Compares, and from now on counts what is there as sure. */
  async check(store: BlockStore, mayResurrect: boolean): Promise<string | undefined> {
    for (const [number, length] of this.sure) {
      if (!store.has(id(number))) return `block ${String(number)} is lost`;
      if (!(await holds(store, number, length))) return `block ${String(number)} has other content`;
    }
    for (const [number, length] of this.doubtful) {
      if (!store.has(id(number))) {
        this.gone.set(number, length);
        continue;
      }
      if (!(await holds(store, number, length))) return `block ${String(number)}, unanswered, is torn`;
      this.sure.set(number, length);
    }
    this.doubtful.clear();
    for (const [number, length] of this.gone) {
      if (!store.has(id(number))) continue;
      if (!mayResurrect) return `block ${String(number)} is back`;
      this.sure.set(number, length);
      this.gone.delete(number);
    }
    const { usedBytes, liveBytes } = store.space();
    if (liveBytes > usedBytes) return `${String(liveBytes)} bytes alive of ${String(usedBytes)}`;
    if (store.statistics.blocks !== this.sure.size) return "the number of blocks is wrong";
    return undefined;
  }
}

function turnOfTheLoop(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

type End = "crash" | "kill" | "sync fails" | "write fails" | "disk is full" | "close";
const ends: readonly End[] = ["crash", "crash", "kill", "sync fails", "write fails", "disk is full", "close"];

async function finish(world: World, store: BlockStore): Promise<End> {
  const { random, disk } = world;
  const end = ends[random.below(ends.length)] as End;
  switch (end) {
    case "sync fails":
    case "write fails":
      // A full disk would refuse the write before.
      disk.capacity = Infinity;
      disk.fault = (call) => (call === (end === "sync fails" ? "sync" : "write") ? "EIO" : undefined);
      world.put(store);
      await store.failed.catch((error: unknown) => errnoOf(error));
      break;
    case "disk is full":
      disk.capacity = disk.usedBytes + random.below(30_000);
      await world.work(store, 10);
      break;
    case "close":
      await store.close();
      break;
    case "crash":
    case "kill":
  }
  world.disk = end === "crash" || random.below(4) === 0 ? disk.crash() : disk.kill();
  // Else the start finds the disk as full as it was.
  if (random.below(2) === 0) world.disk.capacity = Infinity;
  return end;
}

/** A full disk cut a record off, a crash brought it back, and the index was lost: it was taken for whole. */
const cutOffAndForgotten = 1_087_401_133;
/** The disk was full in the middle of a new segment's header: it was taken for one with a header. */
const halfAHeader = 1_070_934_314;
/** The disk was full, and a removal that waited for the block's refused put kept the process from hearing anything else. */
const removedWhileRefused = 2_020_077_891;

for (const [title, lose] of [
  ["what was answered survives whatever ends the process", () => false],
  ["what was answered survives the loss of the index, too", (random: Random) => random.below(2) === 0],
] as const) {
  test(title, async (t) => {
    const first = randomSeed(t);
    for (const seed of [
      cutOffAndForgotten,
      halfAHeader,
      removedWhileRefused,
      ...Array.from({ length: 12 }, (_, i) => first + i),
    ]) {
      const world = new World(seed);
      const story: string[] = [];
      for (let round = 0; round < 6; round++) {
        let store = await world.open();
        await world.work(store, 5 + world.random.below(80));
        story.push(await finish(world, store));
        const isLost = lose(world.random);
        if (isLost) {
          story.push("index lost");
          world.backend = memoryBackend();
        }
        store = await world.open();
        const problem = await world.check(store, isLost);
        t.is(problem, undefined, `seed ${String(seed)}: ${story.join(", ")}`);
        // Nothing of what it showed may depend on what is not durable yet.
        if (world.random.below(2) === 0) {
          world.disk = world.disk.crash();
          story.push("crash after start");
        } else await store.close();
      }
    }
  });
}
