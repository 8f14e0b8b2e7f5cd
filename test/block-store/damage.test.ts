import { setTimeout as wait } from "node:timers/promises";
import test, { type ExecutionContext } from "ava";
import { blockChecksums, firstBadUnit } from "../../src/base/checksum.ts";
import type { NodeId } from "../../src/base/ids.ts";
import { memoryBackend } from "../../src/block-store/memory-backend.ts";
import { headBytes, recordBytes } from "../../src/block-store/record.ts";
import { SimulatedClock } from "../support/simulated-clock.ts";
import { content, holds, id, identity, MiB, memoryDisk, openStore, put, rejectsWith } from "./support.ts";

const first = "segments/00000001.segment";
const length = 20_000;

async function filled(t: ExecutionContext, count = 10) {
  const disk = memoryDisk();
  const backend = memoryBackend();
  const store = await openStore(disk, { backend });
  for (let number = 0; number < count; number++) await put(store, number, length);
  const headAt = (number: number) => 4096 + number * recordBytes(length);
  t.teardown(() => store.close());
  return { disk, backend, store, headAt, payloadAt: (number: number) => headAt(number) + headBytes(length) };
}

for (const [what, at] of [
  ["the magic", 0],
  ["the block's number", 24],
  ["the length", 33],
  ["the CRC", 61],
  ["a checksum", 64 + 9],
] as const) {
  test(`a flipped bit in ${what} of a head is EIO for that block, and for no other`, async (t) => {
    const { disk, store, headAt } = await filled(t);
    disk.flip(first, headAt(4) + at);
    await rejectsWith(t, "EIO", store.get(id(4), 0, length));
    await rejectsWith(t, "EIO", store.get(id(4), 8192, 1));
    t.true(await holds(store, 3, length));
    t.true(await holds(store, 5, length));
  });

  test(`a rebuild skips a flipped bit in ${what} of a head to the next record`, async (t) => {
    const { disk, store, headAt } = await filled(t);
    await store.close();
    disk.flip(first, headAt(4) + at);
    const rebuilt = await openStore(disk, { backend: memoryBackend() });
    t.false(rebuilt.has(id(4)));
    for (const number of [0, 1, 2, 3, 5, 6, 7, 8, 9]) t.true(await holds(rebuilt, number, length));
    await rebuilt.close();
  });
}

test("a flipped bit in the payload is given with checksums that do not match", async (t) => {
  const { disk, store, payloadAt } = await filled(t);
  disk.flip(first, payloadAt(4) + 9000);
  const { bytes, checksums } = await store.get(id(4), 0, length);
  t.is(firstBadUnit(id(4), bytes, checksums), 2);
});

test("a block whose stored copy is damaged is replaced by the next put of it", async (t) => {
  const { disk, store, payloadAt, headAt } = await filled(t);
  disk.flip(first, payloadAt(4) + 9000);
  disk.flip(first, headAt(5) + 70);
  await put(store, 4, length);
  await put(store, 5, length);
  t.true(await holds(store, 4, length));
  t.true(await holds(store, 5, length));
  t.is(store.statistics.blocks, 10);
});

test("a record at another place, or of another node, is not believed", async (t) => {
  const { disk, store, headAt } = await filled(t);
  const inode = disk.bytesOf(first);
  inode.copy(inode, headAt(4), headAt(6), headAt(7));
  await rejectsWith(t, "EIO", store.get(id(4), 0, length));
  await store.close();
  const other = { ...identity, node: "00000000000000bb" as NodeId };
  await rejectsWith(t, "EPERM", openStore(disk, { identity: other, backend: memoryBackend() }));
});

test("a failed read is that read's error only", async (t) => {
  const { disk, store } = await filled(t);
  disk.fault = (call) => (call === "read" ? "EIO" : undefined);
  await rejectsWith(t, "EIO", store.get(id(4), 0, length));
  disk.fault = () => undefined;
  t.true(await holds(store, 4, length));
  await put(store, 100, length);
});

for (const call of ["write", "sync"] as const) {
  test(`a failed ${call} ends the store: nothing more is taken, and failed tells why`, async (t) => {
    const { disk, store } = await filled(t);
    disk.fault = (made) => (made === call ? "EIO" : undefined);
    await rejectsWith(t, "EIO", put(store, 100, length));
    await rejectsWith(t, "EIO", store.failed);
    disk.fault = () => undefined;
    await rejectsWith(t, "EIO", put(store, 101, length));
    await rejectsWith(t, "EIO", store.remove([id(1)]));
    t.true(await holds(store, 4, length));
  });
}

test("a full disk refuses puts and loses nothing; when there is room again, it goes on", async (t) => {
  const { disk, store, backend } = await filled(t);
  disk.capacity = disk.usedBytes + 30_000;
  const results = await Promise.allSettled([100, 101, 102].map((number) => put(store, number, length)));
  for (const result of results) t.regex(String((result as PromiseRejectedResult).reason), /ENOSPC/);
  t.is(store.space().freeBytes <= 30_000, true);
  for (let number = 0; number < 10; number++) t.true(await holds(store, number, length));
  await store.remove([id(0)]);
  disk.capacity = Infinity;
  await put(store, 103, length);
  await store.close();
  const reopened = await openStore(disk, { backend });
  t.true(await holds(reopened, 103, length));
  t.false(reopened.has(id(100)));
  await reopened.close();
});

test("a segment with an unreadable live block is not compacted away", async (t) => {
  const disk = memoryDisk();
  const store = await openStore(disk, { backend: memoryBackend(), capacityBytes: 40 * MiB });
  // The first segment (4.5 MiB) takes blocks 0 to 7.
  for (let number = 0; number < 17; number++) await put(store, number, MiB / 2);
  disk.flip(first, 4096 + 3 * recordBytes(MiB / 2) + 30);
  disk.flip(first, 4096 + 3 * recordBytes(MiB / 2) + 24);
  await store.remove([0, 1, 2, 4, 5].map((number) => id(number)));
  for (let waited = 0; waited < 5_000 && store.space().liveBytes > 0; waited += 10) {
    await wait(10);
    if (disk.counts.remove > 0 || waited > 500) break;
  }
  t.true(disk.has(first));
  await rejectsWith(t, "EIO", store.get(id(3), 0, 1));
  t.true(await holds(store, 6, MiB / 2));
  await store.close();
});

test("blocks are read, removed and written while segments are compacted under them", async (t) => {
  const disk = memoryDisk();
  const store = await openStore(disk, { backend: memoryBackend(), capacityBytes: 40 * MiB });
  const alive = new Set<number>();
  let isDone = false;
  let reads = 0;
  const reader = async (): Promise<void> => {
    while (!isDone) {
      for (const number of [...alive]) {
        if (!alive.has(number)) continue;
        const bytes = content(number, 100_000);
        const got = await store.get(id(number), 0, 100_000).catch((error: unknown) => error as Error);
        if (got instanceof Error) {
          if (alive.has(number)) throw got;
        } else if (!got.bytes.equals(bytes)) throw new Error(`block ${String(number)} has other content`);
        reads += 1;
      }
      await new Promise<void>((resolve) => setImmediate(resolve));
    }
  };
  const reading = reader();
  for (let number = 0; number < 600; number++) {
    await put(store, number, 100_000);
    alive.add(number);
    if (alive.size > 120) {
      const victims = [...alive].filter((_, i) => i % 3 !== 0);
      for (const victim of victims) alive.delete(victim);
      await store.remove(victims.map((victim) => id(victim)));
    }
  }
  isDone = true;
  await reading;
  t.true(reads > 500, String(reads));
  t.true(disk.counts.remove >= 5, `${String(disk.counts.remove)} segments were removed`);
  for (const number of alive) t.true(await holds(store, number, 100_000));
  t.is(store.statistics.blocks, alive.size);
  await store.close();
});

test("one sync serves every put that waited for it", async (t) => {
  const disk = memoryDisk();
  const store = await openStore(disk, { backend: memoryBackend() });
  await put(store, 1000, 100);
  const before = disk.counts.sync;
  await Promise.all(Array.from({ length: 200 }, (_, number) => put(store, number, 3000)));
  t.true(disk.counts.sync - before <= 3, `${String(disk.counts.sync - before)} syncs`);
  const sums = blockChecksums(id(5), content(5, 3000));
  t.true((await store.get(id(5), 0, 3000)).checksums.equals(sums));
  await store.close();
});

test("others fill the disk: growing stops at the reserve, and removal and compaction give space back within it", async (t) => {
  const disk = memoryDisk();
  const clock = new SimulatedClock();
  const store = await openStore(disk, { backend: memoryBackend(), capacityBytes: 40 * MiB, clock });
  for (let number = 0; number < 30; number++) await put(store, number, MiB / 2);
  // 4 MiB are left: less than the reserve, and enough for the copies of a segment's living half.
  disk.capacity = disk.usedBytes + 4 * MiB;
  await clock.advance(1_000);
  store.space();
  await clock.advance(1);
  await rejectsWith(t, "ENOSPC", put(store, 100, MiB / 2));
  t.is(store.space().freeBytes, 0);
  t.true(await holds(store, 29, MiB / 2));
  const before = disk.usedBytes;
  await store.remove(Array.from({ length: 30 }, (_, number) => id(number)).filter(({ number }) => number % 3 !== 0));
  for (let waited = 0; waited < 5_000 && disk.usedBytes > before / 2; waited += 10) {
    await wait(10);
    await clock.advance(100);
  }
  t.true(disk.usedBytes < before / 2, `${String(disk.usedBytes)} of ${String(before)} bytes`);
  await put(store, 101, MiB / 2);
  for (let number = 0; number < 30; number += 3) t.true(await holds(store, number, MiB / 2));
  await store.close();
});

test("a flipped bit in a segment's file header costs nothing, also when the index is lost with it", async (t) => {
  for (const at of [0, 4, 9, 17, 24, 61]) {
    const { disk, backend, store } = await filled(t);
    await store.close();
    disk.flip(first, at);
    for (const index of [backend, memoryBackend()]) {
      const again = await openStore(disk, { backend: index });
      for (let number = 0; number < 10; number++) t.true(await holds(again, number, length));
      await again.close();
    }
  }
});
