import test from "ava";
import fc from "fast-check";
import { toGroupId } from "../../src/base/ids.ts";
import type { Extent } from "../../src/protocol/types.ts";
import { planRead } from "../../src/remote/plan-read.ts";
import { content } from "./support/fake-storage.ts";

const group = toGroupId(1);

function inBlock(offset: number, length: number, number: number, blockOffset: number): Extent {
  return { kind: "block", offset, length, block: { group, number }, blockOffset };
}

function inline(offset: number, bytes: Buffer): Extent {
  return { kind: "inline", offset, length: bytes.length, content: bytes };
}

test("a range without extents is one hole", (t) => {
  t.deepEqual(planRead([], 10, 90), { pieces: [{ kind: "hole", offset: 10, length: 90 }], reads: [] });
});

test("block, inline and holes follow each other in the file's order", (t) => {
  const plan = planRead([inBlock(0, 100, 7, 4_000), inline(150, Buffer.from("abcdef"))], 50, 150);
  t.deepEqual(plan, {
    pieces: [
      { kind: "block", offset: 50, length: 50, read: 0, from: 0 },
      { kind: "hole", offset: 100, length: 50 },
      { kind: "inline", offset: 150, length: 6, content: Buffer.from("abcdef") },
      { kind: "hole", offset: 156, length: 44 },
    ],
    reads: [{ block: { group, number: 7 }, offset: 4_050, length: 50 }],
  });
});

test("stretches of one block within a few KiB of each other are one read, farther ones are not", (t) => {
  const near = planRead([inBlock(0, 100, 7, 8_000), inBlock(100, 100, 8, 0), inBlock(200, 100, 7, 0)], 0, 300);
  t.deepEqual(near.reads, [
    { block: { group, number: 7 }, offset: 0, length: 8_100 },
    { block: { group, number: 8 }, offset: 0, length: 100 },
  ]);
  t.like(near.pieces, [
    { read: 0, from: 8_000 },
    { read: 1, from: 0 },
    { read: 0, from: 0 },
  ]);
  t.is(planRead([inBlock(0, 100, 7, 9_000), inBlock(200, 100, 7, 0)], 0, 300).reads.length, 2);
});

test("the same bytes of a block twice in a file are read once", (t) => {
  const plan = planRead([inBlock(0, 100, 7, 50), inBlock(100, 60, 7, 60)], 0, 160);
  t.deepEqual(plan.reads, [{ block: { group, number: 7 }, offset: 50, length: 100 }]);
  t.like(plan.pieces[1], { read: 0, from: 10 });
});

test("following a plan gives the file's bytes", (t) => {
  const blocks = new Map([1, 2, 3].map((number) => [number, content(50_000, number)]));
  const part = fc.record({
    gap: fc.oneof(fc.constant(0), fc.nat(3_000)),
    length: fc.integer({ min: 1, max: 9_000 }),
    number: fc.integer({ min: 0, max: 3 }),
    blockOffset: fc.nat(40_000),
  });
  fc.assert(
    fc.property(
      fc.array(part, { maxLength: 12 }),
      fc.nat(30_000),
      fc.integer({ min: 1, max: 60_000 }),
      (parts, offset, length) => {
        const file = Buffer.alloc(200_000);
        const extents: Extent[] = [];
        let at = 0;
        for (const { gap, length: bytes, number, blockOffset } of parts) {
          at += gap;
          const source = (blocks.get(number) ?? content(50_000, 9)).subarray(blockOffset, blockOffset + bytes);
          extents.push(number === 0 ? inline(at, source) : inBlock(at, bytes, number, blockOffset));
          source.copy(file, at);
          at += bytes;
        }
        const { pieces, reads } = planRead(extents, offset, length);
        const read = reads.map(({ block, offset: from, length: bytes }) =>
          (blocks.get(block.number) as Buffer).subarray(from, from + bytes),
        );
        let next = offset;
        const out = pieces.map((piece) => {
          t.is(piece.offset, next);
          t.true(piece.length > 0);
          next += piece.length;
          if (piece.kind === "hole") return Buffer.alloc(piece.length);
          if (piece.kind === "inline") return piece.content;
          return (read[piece.read] as Buffer).subarray(piece.from, piece.from + piece.length);
        });
        t.true(Buffer.concat(out).equals(file.subarray(offset, offset + length)));
      },
    ),
    { numRuns: 200 },
  );
});
