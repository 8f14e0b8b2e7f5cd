/** Memory stays below its bounds whatever is written and read, and those who wait for it go on. */
import test from "ava";
import { toIno } from "../../src/base/ids.ts";
import { seededRandom } from "../../src/base/random.ts";
import { ByteBudget } from "../../src/cache/byte-budget.ts";
import { ChunkMemory } from "../../src/cache/chunk-memory.ts";
import { LayoutBudget } from "../../src/cache/layout-budget.ts";
import { at, joined, KiB, MiB, patterned, startClient, untilSettled } from "./support.ts";

const bounds = { clientDirtyBytesMax: 8 * MiB, clientCleanBytesMax: 8 * MiB };

for (const [kind, bytes] of [
  ["1 MiB", 1 * MiB],
  ["4 KiB", 4 * KiB],
  ["100 bytes", 100],
] as const) {
  test(`dirty memory stays below its bound while ${kind} pieces are written faster than they can leave`, async (t) => {
    const { cluster, clock, contents, open } = startClient({ limits: bounds });
    cluster.delay = () =>
      new Promise((resolve) => {
        clock.after(10, resolve);
      });
    const random = seededRandom(3);
    const content = patterned(bytes, 1);
    let most = 0;
    let waits = 0;
    const count = Math.min(12_000, Math.ceil((24 * MiB) / bytes));
    for (let i = 0; i < count; i++) {
      const file = open(toIno(10 + (i % 3)));
      const write = file.write(random.below(8_000) * 4 * KiB, content, at(i));
      if (write instanceof Promise) {
        waits++;
        await untilSettled(clock, write);
      }
      most = Math.max(most, contents.statistics.dirtyBytes + contents.statistics.pooledBytes);
    }
    t.true(most <= bounds.clientDirtyBytesMax, `${String(most)} bytes`);
    if (bytes > 100) t.true(waits > 0, "the bound was reached");
    await untilSettled(clock, contents.flushAll());
    t.is(contents.statistics.dirtyBytes, 0);
  });
}

test("writers that wait are let in first come, first served", async (t) => {
  const { cluster, clock, open } = startClient({ limits: bounds });
  cluster.delay = () =>
    new Promise((resolve) => {
      clock.after(10, resolve);
    });
  const file = open();
  const order: number[] = [];
  const writes = Array.from({ length: 20 }, (_, i) =>
    Promise.resolve(file.write(i * MiB, patterned(1 * MiB, i), at(i))).then(() => order.push(i)),
  );
  await untilSettled(clock, Promise.all(writes));
  t.deepEqual(
    order,
    Array.from({ length: 20 }, (_, i) => i),
  );
});

test("data that cannot be written gives way when others wait for its memory", async (t) => {
  const { cluster, clock, lost, open } = startClient({ limits: bounds });
  const stuck = open(toIno(20));
  cluster.faults.blockWrite = () => "ENOSPC";
  for (let i = 0; i < 7; i++) await stuck.write(i * MiB + 1, patterned(1 * MiB, i), at(i));
  await t.throwsAsync(stuck.flush(), { message: /ENOSPC/ });
  const other = open(toIno(21));
  const write = other.write(0, patterned(1 * MiB, 1), at(1));
  t.true(write instanceof Promise);
  await untilSettled(clock, Promise.resolve(write));
  t.is(lost.length, 1);
  await t.throwsAsync(stuck.flush(), { message: /ENOSPC/ });
  cluster.faults = {};
  await untilSettled(clock, other.flush());
});

test("at most eight blocks are being written at once", async (t) => {
  const { cluster, clock, open } = startClient();
  cluster.delay = () =>
    new Promise((resolve) => {
      clock.after(10, resolve);
    });
  const file = open();
  for (let i = 0; i < 64; i++) await file.write(i * MiB, patterned(1 * MiB, 1), at(i));
  await untilSettled(clock, file.flush());
  t.is(cluster.writesInFlightMost, 8);
});

test("clean memory stays below its bound, and reads go on", async (t) => {
  const { clock, cluster, contents, open } = startClient({ limits: { clientCleanBytesMax: 8 * MiB } });
  const file = open();
  for (let i = 0; i < 48; i++) await file.write(i * MiB, patterned(1 * MiB, i), at(i));
  await file.flush();
  cluster.delay = () =>
    new Promise((resolve) => {
      clock.after(1, resolve);
    });
  let most = 0;
  const random = seededRandom(4);
  for (let i = 0; i < 60; i++) {
    const reads = Array.from({ length: 8 }, async () => {
      const offset = random.below(47 * MiB);
      const index = Math.floor(offset / MiB);
      const bytes = joined(await file.read(offset, 200 * KiB));
      const expected = Buffer.concat([patterned(1 * MiB, index), patterned(1 * MiB, index + 1)]).subarray(offset % MiB);
      t.true(bytes.equals(expected.subarray(0, 200 * KiB)));
      most = Math.max(most, contents.statistics.cleanBytes);
    });
    await untilSettled(clock, Promise.all(reads));
  }
  for (let offset = 0; offset < 48 * MiB; offset += 1 * MiB) {
    await untilSettled(clock, Promise.resolve(file.read(offset, 1 * MiB)));
    most = Math.max(most, contents.statistics.cleanBytes);
  }
  t.true(most <= 8 * MiB, `${String(most)} bytes`);
  t.true(most > 5 * MiB, "the bound was reached");
});

test("memory of cached content goes back when it is dropped and nobody reads it, never before", async (t) => {
  const { cluster, open } = startClient({ limits: { clientCleanBytesMax: 8 * MiB } });
  const file = open();
  for (let i = 0; i < 24; i++) await file.write(i * MiB, patterned(1 * MiB, i), at(i));
  await file.flush();
  const kept = await file.read(0, 64 * KiB);
  for (let i = 1; i < 24; i++) joined(await file.read(i * MiB, 1 * MiB));
  t.true(cluster.returned > 10, String(cluster.returned));
  // Dropped long ago, and held by its reader: the fake overwrites what is given back.
  const before = cluster.returned;
  t.true(joined(kept).equals(patterned(1 * MiB, 0).subarray(0, 64 * KiB)));
  t.is(cluster.returned, before + 1);
});

test("chunks are used again, idle ones count, and give way to other sizes", (t) => {
  const memory = new ChunkMemory({ bytesMax: 4 * MiB, chunkBytesMax: 1 * MiB });
  const chunk = memory.take(1 * MiB, 0);
  memory.hold(chunk);
  memory.drop(chunk);
  t.is(memory.inUseBytes, 0);
  t.is(memory.heldBytes, 1 * MiB);
  t.is(memory.take(1 * MiB, 0).bytes, chunk.bytes);
  t.true(memory.fits(1 * MiB));
  const many = Array.from({ length: 500 }, () => memory.take(4 * KiB, 0));
  t.is(many.length, 500);
  t.true(memory.heldBytes <= 4 * MiB);
});

test("a write that waits for memory can be called off, and those behind it go on", async (t) => {
  const memory = new ChunkMemory({ bytesMax: 2 * MiB, chunkBytesMax: 1 * MiB });
  const chunk = memory.take(1 * MiB, 0);
  memory.hold(chunk);
  const aborting = new AbortController();
  const first = memory.waitFor(1 * MiB, aborting.signal);
  const second = memory.waitFor(4 * KiB);
  t.true(memory.isWaitedFor);
  aborting.abort(new Error("called off"));
  await t.throwsAsync(first, { message: "called off" });
  (await second).release();
  t.false(memory.isWaitedFor);
});

test("a byte budget lets the waiting go on in order", async (t) => {
  const budget = new ByteBudget(10);
  t.is(budget.take(8), undefined);
  const order: string[] = [];
  const large = budget.take(9)?.then(() => order.push("large"));
  const little = budget.take(1)?.then(() => order.push("little"));
  t.false(budget.tryTake(1), "nobody overtakes");
  budget.give(8);
  await Promise.all([large, little]);
  t.deepEqual(order, ["large", "little"]);
  t.is(budget.inUse, 10);
});

test("the layouts used longest ago are forgotten first", (t) => {
  const budget = new LayoutBudget(100);
  const forgotten: string[] = [];
  const layout = (name: string): { weight: number; forget: () => void } => {
    const self = {
      weight: 40,
      forget: () => {
        forgotten.push(name);
        self.weight = 0;
        budget.use(self);
      },
    };
    return self;
  };
  const [one, two, three] = [layout("one"), layout("two"), layout("three")];
  budget.use(one);
  budget.use(two);
  budget.use(one);
  budget.use(three);
  t.deepEqual(forgotten, ["two"]);
  t.is(budget.bytes, 80);
});
