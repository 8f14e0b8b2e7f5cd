import test from "ava";
import { memoryBackend } from "../../src/block-store/memory-backend.ts";
import { headBytes, recordBytes } from "../../src/block-store/record.ts";
import { id, MiB, memoryDisk, openStore, put, temporaryDisk } from "./support.ts";

const first = "segments/00000001.segment";
const length = 20_000;

test("a record is verified whole: head, payload, and only its own", async (t) => {
  const disk = memoryDisk();
  const store = await openStore(disk, { backend: memoryBackend() });
  for (let number = 0; number < 6; number++) await put(store, number, length);
  const at = (number: number): number => 4096 + number * recordBytes(length);
  disk.flip(first, at(1) + 24);
  disk.flip(first, at(2) + 70);
  disk.flip(first, at(3) + headBytes(length) + length - 1);
  // Nobody reads the padding.
  disk.flip(first, at(4) + headBytes(length) + length);
  const verdicts = await Promise.all([0, 1, 2, 3, 4, 5, 6].map((number) => store.verify(id(number))));
  t.deepEqual(verdicts, ["whole", "damaged", "damaged", "damaged", "whole", "whole", "missing"]);
  await put(store, 3, length);
  t.is(await store.verify(id(3)), "whole");
  disk.fault = (call) => (call === "read" ? "EIO" : undefined);
  t.is(await store.verify(id(0)), "damaged");
  await store.close();
});

test("a block that compaction moves under a verification is not called damaged", async (t) => {
  const disk = memoryDisk();
  const store = await openStore(disk, { backend: memoryBackend(), capacityBytes: 40 * MiB });
  for (let number = 0; number < 24; number++) await put(store, number, MiB / 2);
  await store.remove([0, 1, 2, 3, 4, 5].map((number) => id(number)));
  const verdicts = new Set<string>();
  for (let round = 0; round < 200; round++) for (const number of [6, 7]) verdicts.add(await store.verify(id(number)));
  t.true(disk.counts.remove > 0, "a segment was compacted away meanwhile");
  t.deepEqual([...verdicts], ["whole"]);
  await store.close();
});

test("on a real disk, past the page cache: blocks of all sizes", async (t) => {
  const store = await openStore(await temporaryDisk(t));
  const sizes = [1, 4096, 4097, 100_000, 4 * MiB];
  for (const [number, size] of sizes.entries()) await put(store, number, size);
  for (const number of sizes.keys()) t.is(await store.verify(id(number)), "whole");
  await store.close();
});
