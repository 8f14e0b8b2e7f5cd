import test from "ava";
import fc from "fast-check";
import type { GroupId } from "../../src/base/ids.ts";
import { limits } from "../../src/base/limits.ts";
import { clipExtent, cutExtents, extentEnd, joinExtents } from "../../src/protocol/extents.ts";
import type { Extent } from "../../src/protocol/types.ts";

const block = { group: 1 as GroupId, number: 5 };
const ofBlock = (offset: number, length: number, blockOffset = 0): Extent => ({
  kind: "block",
  offset,
  length,
  block,
  blockOffset,
});
const inline = (offset: number, content: Buffer): Extent => ({
  kind: "inline",
  offset,
  length: content.length,
  content,
});

/** Byte by byte: where each byte of the file comes from. */
function bytesOf(extents: readonly Extent[]): Map<number, number> {
  const bytes = new Map<number, number>();
  for (const extent of extents) {
    for (let i = 0; i < extent.length; i++) {
      bytes.set(extent.offset + i, extent.kind === "block" ? extent.blockOffset + i : (extent.content[i] as number));
    }
  }
  return bytes;
}

test("cutting a stretch leaves every other byte where it was", (t) => {
  const arbitrary = fc.record({
    offset: fc.nat(50),
    length: fc.integer({ min: 1, max: 50 }),
    isInline: fc.boolean(),
    start: fc.nat(100),
    size: fc.integer({ min: 1, max: 60 }),
  });
  fc.assert(
    fc.property(arbitrary, ({ offset, length, isInline, start, size }) => {
      const content = Buffer.from(Array.from({ length }, (_, i) => i + 7));
      const extent = isInline ? inline(offset, content) : ofBlock(offset, length, 7);
      const end = start + size;
      if (start >= extentEnd(extent) || end <= offset) return;
      const expected = new Map([...bytesOf([extent])].filter(([at]) => at < start || at >= end));
      t.deepEqual(bytesOf(cutExtents([extent], start, end)), expected);
      const clipped = bytesOf([clipExtent(extent, start, end)]);
      t.is(clipped.size + expected.size, length);
      for (const [at, byte] of clipped) t.true(at >= start && at < end && byte === at - offset + 7);
    }),
    { seed: 42 },
  );
});

test("neighbours join only where they go on", (t) => {
  t.deepEqual(joinExtents(ofBlock(0, 10), ofBlock(10, 5, 10)), ofBlock(0, 15));
  t.is(joinExtents(ofBlock(0, 10), ofBlock(11, 5, 10)), undefined);
  t.is(joinExtents(ofBlock(0, 10), ofBlock(10, 5, 11)), undefined);
  t.is(joinExtents(ofBlock(0, 10), inline(10, Buffer.alloc(1))), undefined);
  t.deepEqual(joinExtents(inline(0, Buffer.from("ab")), inline(2, Buffer.from("c"))), inline(0, Buffer.from("abc")));
  const half = Buffer.alloc(limits.inlineBytesMax / 2 + 1);
  t.is(joinExtents(inline(0, half), inline(half.length, half)), undefined);
});
