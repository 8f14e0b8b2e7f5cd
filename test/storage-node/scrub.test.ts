import test, { type ExecutionContext } from "ava";
import type { BlockId } from "../../src/base/ids.ts";
import { limits } from "../../src/base/limits.ts";
import { silentLog } from "../../src/base/log.ts";
import { memoryBackend } from "../../src/block-store/memory-backend.ts";
import { headBytes, recordBytes } from "../../src/block-store/record.ts";
import type { BlockStore } from "../../src/block-store/types.ts";
import { DamageList } from "../../src/storage-node/damage-list.ts";
import { Scrub } from "../../src/storage-node/scrub.ts";
import { id, openStore, put } from "../block-store/support.ts";
import { FaultyDisk } from "../support/faulty-disk.ts";
import { SimulatedClock } from "../support/simulated-clock.ts";

const first = "segments/00000001.segment";
const length = 20_000;
const dayMillis = 24 * 3_600_000;

interface World {
  disk: FaultyDisk;
  clock: SimulatedClock;
  store: BlockStore;
  scrub: Scrub;
  /** The numbers of the blocks in the order in which they were read. */
  read: number[];
  clients: number;
}

async function open(t: ExecutionContext, bytesPerSecond: number | undefined, disk = new FaultyDisk()): Promise<World> {
  const clock = new SimulatedClock();
  const store = await openStore(disk, { backend: memoryBackend(), clock });
  const world: World = { disk, clock, store, read: [], clients: 0, scrub: undefined as never };
  const watched: BlockStore = Object.create(store, {
    verify: {
      value: (block: BlockId) => {
        world.read.push(block.number);
        return store.verify(block);
      },
    },
    statistics: { get: () => store.statistics },
    failed: { get: () => store.failed },
  }) as BlockStore;
  for (const method of ["list", "greatest", "space"] as const) {
    Object.defineProperty(watched, method, { value: store[method].bind(store) });
  }
  world.scrub = await Scrub.open({ disk, store: watched, clock, log: silentLog, bytesPerSecond });
  t.teardown(() => Promise.race([world.scrub.close(), clock.advance(1_000)]));
  return world;
}

async function fill(world: World, count = 10): Promise<void> {
  for (let number = 0; number < count; number++) await put(world.store, number, length);
}

function spoil({ disk }: World, number: number): void {
  disk.flip(first, 4096 + number * recordBytes(length) + headBytes(length) + 9_000);
}

test("everything is read in order, at the set rate, and then again a day later", async (t) => {
  const world = await open(t, length);
  await fill(world);
  world.scrub.start(() => 0);
  await world.clock.advance(3_500);
  t.deepEqual(world.read, [0, 1, 2, 3]);
  t.is(world.scrub.report().bytes, 3 * length);
  t.true(world.scrub.report().isRunning);
  await world.clock.advance(10_000);
  t.deepEqual(world.read, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  t.false(world.scrub.report().isRunning);
  t.not(world.scrub.report().lastPassMillis, null);
  await world.clock.advance(dayMillis - 60_000);
  t.is(world.read.length, 10);
  await world.clock.advance(120_000);
  t.is(world.read.length, 20);
});

test("without a set rate it is 1 MiB a second, and with 0 only what is ordered", async (t) => {
  const world = await open(t, undefined);
  await fill(world);
  world.scrub.start(() => 0);
  await world.clock.advance(Math.ceil((9.5 * length * 1000) / 2 ** 20));
  t.is(world.read.length, 10);
  const off = await open(t, 0);
  await fill(off);
  off.scrub.start(() => 0);
  await off.clock.advance(2 * dayMillis);
  t.deepEqual(off.read, []);
  t.is(await off.scrub.order(), 1);
  await off.clock.advance(100);
  t.is(off.read.length, 10);
  t.is(off.scrub.report().orderedDone, 1);
});

test("an order begins from the beginning, at once and without pauses, and a second one joins it", async (t) => {
  const world = await open(t, 1);
  await fill(world);
  world.scrub.start(() => 0);
  await world.clock.advance(30_000);
  t.deepEqual(world.read, [0]);
  t.is(await world.scrub.order(), 1);
  t.is(await world.scrub.order(), 1);
  await world.clock.advance(100);
  t.deepEqual(world.read.slice(1), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  const { ordered, orderedDone, found, left } = world.scrub.report();
  t.deepEqual({ ordered, orderedDone, found, left }, { ordered: 1, orderedDone: 1, found: 0, left: 0 });
});

test("a restart goes on where it was, also with what was ordered; a damaged position begins again", async (t) => {
  const world = await open(t, length);
  await fill(world, 100);
  world.scrub.start(() => 0);
  await world.clock.advance(60_500);
  const restarted = await open(t, length, world.disk.crash());
  restarted.scrub.start(() => 0);
  await restarted.clock.advance(1_000);
  const [where] = restarted.read;
  t.true(where !== undefined && where >= 30 && where <= 61, String(where));
  await restarted.scrub.order();
  const ordered = await open(t, 0, restarted.disk.crash());
  ordered.scrub.start(() => 0);
  await ordered.clock.advance(1_000);
  t.is(ordered.read.length, 100);
  t.is(ordered.scrub.report().orderedDone, 1);
  for (const offset of [0, 5, 12, 40, 100]) {
    const spoilt = ordered.disk.kill();
    spoilt.flip("scrub.json", offset);
    const next = await open(t, 0, spoilt);
    t.is(next.scrub.report().orderedDone, 0);
    ordered.disk = next.disk;
    next.disk.flip("scrub.json", offset);
  }
});

test("damage is found, told until it is heard, and counted as repaired when the block is whole again", async (t) => {
  const world = await open(t, 0);
  await fill(world);
  spoil(world, 4);
  spoil(world, 7);
  world.scrub.start(() => 0);
  await world.scrub.order();
  await world.clock.advance(100);
  t.like(world.scrub.report(), { found: 2, repaired: 0, left: 2 });
  const told: BlockId[][] = [];
  await t.throwsAsync(world.scrub.tell(() => Promise.reject(new Error("the connection is down"))));
  await world.scrub.tell((blocks) => Promise.resolve(told.push(blocks)));
  await world.scrub.tell((blocks) => Promise.resolve(told.push(blocks)));
  t.deepEqual(told, [[id(4), id(7)]]);
  await world.clock.advance(61_000);
  await world.scrub.tell((blocks) => Promise.resolve(told.push(blocks)));
  t.is(told.length, 2);
  await put(world.store, 4, length);
  await world.store.remove([id(7)]);
  await world.clock.advance(5_000);
  t.like(world.scrub.report(), { found: 2, repaired: 1, left: 0 });
});

test("what is asked for is verified, and what is damaged of it is remembered", async (t) => {
  const world = await open(t, 0);
  await fill(world);
  spoil(world, 4);
  t.deepEqual(await world.scrub.check([id(3), id(4), id(77)]), { damaged: [id(4)], missing: [id(77)] });
  t.like(world.scrub.report(), { found: 1, left: 1 });
});

test("while clients are served an ordered pass rests twice as long as it reads", async (t) => {
  const world = await open(t, 0);
  await fill(world);
  const verify = world.store.verify.bind(world.store);
  // Each takes 100 ms.
  world.store.verify = async (block) => {
    world.clock.stall(100);
    return verify(block);
  };
  world.scrub.start(() => world.clients++);
  await world.scrub.order();
  await world.clock.advance(1_500);
  t.true(world.read.length >= 4 && world.read.length <= 8, String(world.read.length));
});

test("a full disk does not stop the scrub: only its position is not saved", async (t) => {
  const world = await open(t, 0);
  await fill(world);
  world.disk.capacity = world.disk.usedBytes;
  world.scrub.start(() => 0);
  await world.scrub.order();
  await world.clock.advance(1_000);
  t.is(world.scrub.report().orderedDone, 1);
});

test("only so many damaged blocks are remembered", (t) => {
  const list = new DamageList(new SimulatedClock());
  for (let number = 0; number < limits.damagedBlocksMax + 10; number++) list.note(id(number), "damaged");
  t.is(list.size, limits.damagedBlocksMax);
  t.is(list.toTell().length, limits.blocksPerOrderMax);
  t.is(list.note(id(0), "whole"), "repaired");
  t.is(list.note(id(limits.damagedBlocksMax + 5), "damaged"), "found");
});
