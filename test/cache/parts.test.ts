/** The pure parts: packing into flights, known stretches, recognising streams. */
import test from "ava";
import fc from "fast-check";
import { limits } from "../../src/base/limits.ts";
import { packPieces, payloadOf, type DirtyPiece } from "../../src/cache/flight.ts";
import { KnownStretches } from "../../src/cache/known-stretches.ts";
import { ReadStreams } from "../../src/cache/read-streams.ts";
import { KiB, MiB } from "./support.ts";

function piece(offset: number, length: number): DirtyPiece {
  return { offset, length, chunk: { bytes: Buffer.alloc(0), used: 0, references: 1, readers: 0 }, at: 0 };
}

const kinds = test.macro({
  exec: (t, pieces: DirtyPiece[], bytes: number, expected: string[], isFull?: boolean) => {
    t.deepEqual(
      packPieces(pieces, { bytes, isFull: isFull === true }, limits).map(
        ({ kind, pieces: own }) => `${kind} ${String(own.length)}`,
      ),
      expected,
    );
  },
  title: (name) => `packing: ${name ?? ""}`,
});

test("a small file is one inline flight", kinds, [piece(0, 10 * KiB)], 10 * KiB, ["inline 1"]);
test("a page of a large file is inline", kinds, [piece(8 * MiB, 4 * KiB)], 100 * MiB, ["inline 1"]);
test("sixteen scattered pages are inline", kinds, pages(16), 100 * MiB, ["inline 16"]);
test("seventeen scattered pages share a block", kinds, pages(17), 100 * MiB, ["block 17"]);
test("a range beyond the inline limit is a block", kinds, [piece(0, 16_300)], 16_300, ["block 1"]);
test("neighbours count as one range", kinds, [piece(0, 10 * KiB), piece(10 * KiB, 10 * KiB)], 20 * KiB, ["block 2"]);
test("a block ends at 1,024 extents", kinds, pages(1_025), 100 * MiB, ["block 1024", "block 1"]);
test("a page of a large file is a block when nodes are full", kinds, [piece(0, 4 * KiB)], 1 * MiB, ["block 1"], true);
test("a small file is inline also then", kinds, [piece(0, 10 * KiB)], 10 * KiB, ["inline 1"], true);
test(
  "a block ends at 4 MiB",
  kinds,
  Array.from({ length: 5 }, (_, i) => piece(i * MiB, 1 * MiB)),
  5 * MiB,
  ["block 4", "block 1"],
);

function pages(count: number): DirtyPiece[] {
  return Array.from({ length: count }, (_, i) => piece(i * 8 * KiB, 4 * KiB));
}

test("a payload has its pieces in order, and neighbours in memory as one", (t) => {
  const chunk = { bytes: Buffer.from("abcdefgh"), used: 8, references: 1, readers: 0 };
  const payload = payloadOf([
    { offset: 0, length: 2, chunk, at: 0 },
    { offset: 9, length: 2, chunk, at: 2 },
    { offset: 20, length: 2, chunk, at: 6 },
  ]);
  t.deepEqual(payload.map(String), ["abcd", "gh"]);
});

test("known stretches are those that were added", (t) => {
  const interval = fc.tuple(fc.nat(40), fc.integer({ min: 1, max: 10 }));
  fc.assert(
    fc.property(fc.array(interval), (intervals) => {
      const known = new KnownStretches();
      const model = new Set<number>();
      for (const [start, length] of intervals) {
        known.add(start, start + length);
        for (let i = start; i < start + length; i++) model.add(i);
      }
      for (let i = 0; i < 55; i++) {
        let missing = i;
        while (model.has(missing)) missing++;
        t.is(known.firstMissing(i), missing);
        t.is(known.has(i, i + 1), model.has(i));
      }
    }),
    { seed: 1 },
  );
});

test("a reader from the start is a stream at once, whose window doubles up to 16 MiB", (t) => {
  const streams = new ReadStreams();
  const windows = [0, 1, 2, 3, 4, 5].map((i) => streams.note(i * 128 * KiB, 128 * KiB).windowBytes / MiB);
  t.deepEqual(windows, [1, 2, 4, 8, 16, 16]);
});

test("a glance at the header and random reads are no streams; a second read behind another is one", (t) => {
  const streams = new ReadStreams();
  t.is(streams.note(0, 4 * KiB).windowBytes, 0);
  for (const offset of [50, 3, 77, 12, 60]) t.is(streams.note(offset * MiB, 4 * KiB).windowBytes, 0);
  t.is(streams.note(60 * MiB + 4 * KiB, 4 * KiB).windowBytes, 1 * MiB);
});

test("a stream survives reads a little out of order", (t) => {
  const streams = new ReadStreams();
  for (const i of [0, 1, 2, 4, 3, 6, 5, 7]) {
    t.true(streams.note(i * 128 * KiB, 128 * KiB).windowBytes > 0, `read ${String(i)}`);
  }
  t.is(streams.note(8 * 128 * KiB, 128 * KiB).next, 9 * 128 * KiB);
});
