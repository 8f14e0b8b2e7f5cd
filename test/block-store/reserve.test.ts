/** The reserve of a full store: how much of it each may use, so that what is dead can always be given back. */
import test from "ava";
import { blockChecksums } from "../../src/base/checksum.ts";
import { sleep, systemClock } from "../../src/base/clock.ts";
import { memoryBackend } from "../../src/block-store/memory-backend.ts";
import { growthLimit, replacingBytes, segmentBytesFor } from "../../src/block-store/space.ts";
import type { BlockStore } from "../../src/block-store/types.ts";
import { content, holds, id, MiB, memoryDisk, openStore, put, rejectsWith } from "./support.ts";

function replacing(store: BlockStore, number: number, length: number): Promise<void> {
  const bytes = content(number, length);
  return store.put(id(number), bytes, blockChecksums(id(number), bytes), { replaces: true });
}

/** Puts blocks until one is refused. Returns how many there are then. */
async function fill(store: BlockStore, from: number, length: number, how = put): Promise<number> {
  for (let number = from; ; number++) {
    try {
      await how(store, number, length);
    } catch {
      return number;
    }
  }
}

for (const [capacity, length] of [
  [32 * MiB, 300_000],
  [64 * MiB, 4 * MiB],
] as const) {
  test(`of ${String(capacity / MiB)} MiB what replaces others takes one segment of the reserve, and compaction still has room`, async (t) => {
    const disk = memoryDisk();
    const store = await openStore(disk, { capacityBytes: capacity, backend: memoryBackend() });
    const plain = await fill(store, 0, length);
    const before = store.space().usedBytes;
    t.true(before <= growthLimit(capacity));
    const all = await fill(store, plain, length, replacing);
    t.true(all > plain, "a block at least");
    const most = store.space().usedBytes;
    t.true(most <= growthLimit(capacity) + replacingBytes(capacity));
    t.true(most + segmentBytesFor(capacity) <= capacity, "a segment is left");
    await rejectsWith(t, "ENOSPC", put(store, all, 4096));
    t.is(store.space().freeBytes, 0);

    // Of the blocks that are alive compaction copies as many as it ever does: it needs all that is left.
    const isDead = (number: number): boolean => number % (length === 4 * MiB ? 2 : 5) === 0;
    const dead = Array.from({ length: all }, (_, number) => number).filter(isDead);
    let highest = 0;
    await store.remove(dead.map((number) => id(number)));
    for (let i = 0; i < 500 && store.space().usedBytes > most - (dead.length * length) / 2; i++) {
      highest = Math.max(highest, store.space().usedBytes);
      await sleep(systemClock, 10);
    }
    t.true(store.space().usedBytes <= most - (dead.length * length) / 2, String(store.space().usedBytes));
    t.true(highest <= capacity, String(highest));
    for (let number = 0; number < all; number++) if (!isDead(number)) t.true(await holds(store, number, length));
    await put(store, all, length);
    await store.close();
  });
}

test("on a disk that others have filled nothing is taken from what compaction needs there", async (t) => {
  const disk = memoryDisk();
  const capacityBytes = 64 * MiB;
  const store = await openStore(disk, { capacityBytes, backend: memoryBackend() });
  for (let number = 0; number < 8; number++) await put(store, number, MiB);
  disk.capacity = disk.usedBytes + 3 * segmentBytesFor(capacityBytes);
  await sleep(systemClock, 1_100);
  store.space();
  await sleep(systemClock, 50);
  const plain = await fill(store, 8, 200_000);
  const all = await fill(store, plain, 200_000, replacing);
  t.true(all - plain > 10);
  t.true((await disk.space()).freeBytes >= segmentBytesFor(capacityBytes));
  await store.close();
});
