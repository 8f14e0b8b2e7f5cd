import test from "ava";
import { limits } from "../../src/base/limits.ts";
import { fileHeaderBytes, decodeFileHeader } from "../../src/block-store/record.ts";
import { SegmentFiles } from "../../src/block-store/segment-files.ts";
import { capacityBytesMin, growthLimit, segmentBytesFor } from "../../src/block-store/space.ts";
import { FaultyDisk } from "../support/faulty-disk.ts";
import { identity, MiB, openStore, rejectsWith } from "./support.ts";

const owner = { node: identity.node, cluster: identity.cluster as NonNullable<typeof identity.cluster> };

test("only so many segments are kept open, and all can be read at once", async (t) => {
  const disk = new FaultyDisk();
  let open = 0;
  const reallyOpen = disk.open.bind(disk);
  disk.open = async (path, mode) => {
    const file = await reallyOpen(path, mode);
    open += 1;
    return { ...file, close: () => Promise.resolve(void (open -= 1)) };
  };
  const files = new SegmentFiles(disk);
  await files.list();
  const numbers = Array.from({ length: limits.openSegmentsMax + 50 }, (_, i) => i + 1);
  for (const segment of numbers) await (await files.create(segment, owner)).close();
  t.is(open, 0);
  const headers = await Promise.all(
    numbers.map(async (segment) => {
      const header = Buffer.alloc(fileHeaderBytes);
      await files.read(segment, header, 0);
      return decodeFileHeader(header)?.segment;
    }),
  );
  t.deepEqual(headers, numbers);
  await new Promise<void>((resolve) => setImmediate(resolve));
  t.is(open, limits.openSegmentsMax);
  t.deepEqual(await files.list(), numbers);
  await files.close();
  await new Promise<void>((resolve) => setImmediate(resolve));
  t.is(open, 0);
});

test("a segment that is removed while it is read can be read to the end", async (t) => {
  const files = new SegmentFiles(new FaultyDisk());
  await files.list();
  await (await files.create(1, owner)).close();
  const header = Buffer.alloc(fileHeaderBytes);
  const reading = files.read(1, header, 0);
  await files.remove(1);
  t.is(await reading, fileHeaderBytes);
  await rejectsWith(t, "ENOENT", files.read(1, header, 0));
  await files.close();
});

test("segments fit small capacities, and hold a whole block", (t) => {
  for (const capacity of [capacityBytesMin, 64 * MiB, 100 * MiB + 5, 1024 * MiB, 10_000 * MiB]) {
    const bytes = segmentBytesFor(capacity);
    t.is(bytes % 4096, 0);
    t.true(bytes >= 4.5 * MiB && bytes <= limits.segmentBytes);
    t.true(growthLimit(capacity) >= 2 * limits.blockBytesMax);
    t.true(growthLimit(capacity) + 2 * bytes <= capacity);
  }
});

test("a capacity that is too small is refused with a sentence", async (t) => {
  await rejectsWith(t, "EINVAL", openStore(new FaultyDisk(), { capacityBytes: MiB }));
});
