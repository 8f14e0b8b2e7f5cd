import test from "ava";
import { blockChecksums } from "../../src/base/checksum.ts";
import { sleep, systemClock } from "../../src/base/clock.ts";
import { limits } from "../../src/base/limits.ts";
import { memoryBackend } from "../../src/block-store/memory-backend.ts";
import { content, holds, id, MiB, memoryDisk, openStore, put, rejectsWith, temporaryDisk } from "./support.ts";

for (const kind of ["real disk and LMDB", "simulated disk and memory"] as const) {
  const open = async (t: Parameters<typeof temporaryDisk>[0], capacityBytes = 64 * MiB) => {
    const disk = kind === "real disk and LMDB" ? await temporaryDisk(t) : memoryDisk();
    const backend = kind === "real disk and LMDB" ? {} : { backend: memoryBackend() };
    const again = () => openStore(disk, { capacityBytes, ...backend });
    return { disk, again, store: await again() };
  };

  test(`${kind}: blocks of all sizes come back whole, also after a restart`, async (t) => {
    const { store, again } = await open(t);
    const sizes = [1, 511, 4095, 4096, 4097, 100_000, MiB, 4 * MiB - 1, 4 * MiB];
    await Promise.all(sizes.map((length, i) => put(store, i, length)));
    for (const [i, length] of sizes.entries()) t.true(await holds(store, i, length), `${String(length)} bytes`);
    await store.close();
    const reopened = await again();
    for (const [i, length] of sizes.entries()) t.true(await holds(reopened, i, length), `${String(length)} bytes`);
    t.is(reopened.statistics.blocks, sizes.length);
    await reopened.close();
  });

  test(`${kind}: a range is given as the units that cover it`, async (t) => {
    const { store } = await open(t);
    await put(store, 7, 3 * MiB + 5);
    const all = content(7, 3 * MiB + 5);
    const sums = blockChecksums(id(7), all);
    for (const [offset, length] of [
      [0, 1],
      [4095, 2],
      [8192, 4096],
      [MiB + 17, MiB],
      [3 * MiB, 99],
      [3 * MiB + 4, 1],
      [0, 4 * MiB],
    ] as const) {
      const taken: number[] = [];
      const got = await store.get(id(7), offset, length, (bytes) => {
        taken.push(bytes);
        return Buffer.alloc(bytes);
      });
      const first = Math.floor(offset / 4096);
      const end = Math.min(all.length, Math.ceil((offset + length) / 4096) * 4096);
      t.is(got.start, first * 4096);
      t.true(got.bytes.equals(all.subarray(first * 4096, end)));
      t.true(got.checksums.equals(sums.subarray(first * 4, Math.ceil(end / 4096) * 4)));
      t.deepEqual(taken, [end - first * 4096]);
    }
    await rejectsWith(t, "EINVAL", store.get(id(7), 3 * MiB + 5, 1));
    await rejectsWith(t, "ENOENT", store.get(id(8), 0, 1));
    await store.close();
  });

  test(`${kind}: the same block again is fine, other content under its id is refused`, async (t) => {
    const { store } = await open(t);
    await Promise.all([put(store, 1, 10_000), put(store, 1, 10_000)]);
    const used = store.space().usedBytes;
    await put(store, 1, 10_000);
    t.is(store.space().usedBytes, used);
    const other = content(2, 10_000);
    await rejectsWith(t, "EEXIST", store.put(id(1), other, blockChecksums(id(1), other)));
    const shorter = content(1, 9_000);
    await rejectsWith(t, "EEXIST", store.put(id(1), shorter, blockChecksums(id(1), shorter)));
    const first = put(store, 3, 5_000);
    await rejectsWith(t, "EEXIST", store.put(id(3), other, blockChecksums(id(3), other)));
    await first;
    await store.close();
  });

  test(`${kind}: removed blocks stay removed, and greatest remembers them`, async (t) => {
    const { store, again } = await open(t);
    for (let i = 0; i < 20; i++) await put(store, i, 3_000);
    await store.remove([id(19), id(3), id(999)]);
    t.false(store.has(id(19)));
    await rejectsWith(t, "ENOENT", store.get(id(3), 0, 1));
    t.is(store.statistics.blocks, 18);
    await store.close();
    const reopened = await again();
    t.false(reopened.has(id(19)));
    t.true(reopened.has(id(18)));
    t.deepEqual(reopened.greatest(), [{ group: id(0).group, number: 19 }]);
    await put(reopened, 3, 3_000);
    t.true(await holds(reopened, 3, 3_000));
    await reopened.close();
  });

  test(`${kind}: lists a group in order, from a number on, up to a limit, durable or not`, async (t) => {
    const { store, again } = await open(t);
    const bytes = content(1, 100);
    const putIn = (group: number, number: number) =>
      store.put(id(number, group), bytes, blockChecksums(id(number, group), bytes));
    for (const number of [50, 10, 30]) await putIn(5, number);
    await putIn(6, 20);
    await store.remove([id(1234)]);
    for (const number of [40, 20, 60]) await putIn(5, number);
    const numbers = (from: number, limit: number, group = 5) =>
      store.list(id(0, group).group, from, limit).map(({ block }) => block.number);
    t.deepEqual(numbers(0, 100), [10, 20, 30, 40, 50, 60]);
    t.deepEqual(numbers(20, 3), [20, 30, 40]);
    t.deepEqual(numbers(61, 3), []);
    t.deepEqual(numbers(0, 100, 6), [20]);
    await store.remove([id(30, 5), id(60, 5)]);
    t.deepEqual(numbers(0, 100), [10, 20, 40, 50]);
    await store.close();
    const reopened = await again();
    t.deepEqual(
      reopened.list(id(0, 5).group, 11, 2),
      [20, 40].map((number) => ({ block: id(number, 5), length: 100 })),
    );
    await reopened.close();
  });

  test(`${kind}: a full store refuses, keeps what it has, and takes new blocks after removals`, async (t) => {
    const { store } = await open(t);
    let count = 0;
    for (; store.space().freeBytes > 2 * MiB; count++) await put(store, count, MiB);
    t.true(count >= 48, String(count));
    await put(store, count++, MiB);
    const results = await Promise.allSettled([100, 101, 102].map((number) => put(store, number, 4 * MiB)));
    t.true(results.every(({ status }) => status === "rejected"));
    await rejectsWith(t, "ENOSPC", put(store, 103, 4 * MiB));
    for (let i = 0; i < count; i++) t.true(await holds(store, i, MiB));
    await store.remove([0, 1, 2, 3, 4, 5, 6, 7].map((number) => id(number)));
    await put(store, 100, 4 * MiB);
    t.true(await holds(store, 100, 4 * MiB));
    for (let i = 8; i < count; i++) t.true(await holds(store, i, MiB));
    await store.close();
  });

  test(`${kind}: 50 overwrites go on in a capacity of three copies`, async (t) => {
    const { store } = await open(t, 40 * MiB);
    const perCopy = 9;
    const alive = new Set<number>();
    for (let round = 0; round < 50; round++) {
      const old = [...alive];
      for (let i = 0; i < perCopy; i++) {
        const number = round * perCopy + i;
        await put(store, number, MiB - 12_345);
        alive.add(number);
      }
      await store.remove(old.map((number) => id(number)));
      for (const number of old) alive.delete(number);
    }
    for (const number of alive) t.true(await holds(store, number, MiB - 12_345));
    t.is(store.statistics.blocks, perCopy);
    await store.close();
  });
}

test("puts that find too little space given back are refused, and do not wait for ever", async (t) => {
  const disk = await temporaryDisk(t);
  const store = await openStore(disk, { capacityBytes: 64 * MiB, backend: memoryBackend() });
  let count = 0;
  for (; store.space().freeBytes > 5 * MiB; count++) await put(store, count, 4 * MiB);
  for (let round = 0; round < 10; round++) {
    const removed = store.remove([id(round)]);
    const results = Promise.allSettled([1, 2, 3, 4, 5, 6].map((i) => put(store, 100 + 10 * round + i, 4 * MiB)));
    const ended = await Promise.race([results, sleep(systemClock, 20_000).then(() => undefined)]);
    t.true(
      ended?.some(({ status }) => status === "rejected"),
      `round ${String(round)}`,
    );
    await removed;
  }
  await store.close();
});

test("a store never takes more than its capacity, whatever is copied and removed", async (t) => {
  const disk = memoryDisk();
  const capacityBytes = 40 * MiB;
  const store = await openStore(disk, { capacityBytes, backend: memoryBackend() });
  let most = 0;
  const alive: number[] = [];
  for (let number = 0; number < 150; number++) {
    try {
      await put(store, number, 300_000 + (number % 7) * 50_000);
      alive.push(number);
    } catch {
      await store.remove(alive.filter((_, i) => i % 3 === 0).map((one) => id(one)));
      for (let i = alive.length - 1; i >= 0; i--) if (i % 3 === 0) alive.splice(i, 1);
    }
    most = Math.max(most, disk.usedBytes);
  }
  t.true(most <= capacityBytes + limits.checksumUnitBytes * 16, String(most));
  for (const number of alive) t.true(await holds(store, number, 300_000 + (number % 7) * 50_000));
  await store.close();
});

test("what is dead in the segment that grows is given back too, once it is most of it", async (t) => {
  const store = await openStore(memoryDisk(), { capacityBytes: 1_024 * MiB, backend: memoryBackend() });
  for (let number = 0; number < 8; number++) await put(store, number, 2 * MiB);
  const before = store.space().usedBytes;
  await store.remove([0, 1, 2].map((number) => id(number)));
  t.is(store.space().usedBytes, before, "too little");
  await store.remove([id(3), id(4)]);
  for (let i = 0; i < 1_000 && store.space().usedBytes > before / 2; i++) await sleep(systemClock, 10);
  t.true(store.space().usedBytes <= before / 2);
  for (const number of [5, 6, 7]) t.true(await holds(store, number, 2 * MiB));
  await put(store, 9, MiB);
  t.true(await holds(store, 9, MiB));
  await store.close();
});
