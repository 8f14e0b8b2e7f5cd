/** Cutting a range around the pages that unanswered WRITEs may keep locked. */
import test from "ava";
import fc from "fast-check";
import type { ByteRange } from "../../src/vfs/inode.ts";
import { aroundPages } from "../../src/vfs/page-pieces.ts";

const pageBytes = 4096;

interface Piece {
  readonly start: number;
  readonly end: number;
  readonly locked: boolean;
}

/** Both kinds by where they start; what is open at its end goes to Infinity. */
function piecesOf({ free, locked }: ReturnType<typeof aroundPages>): Piece[] {
  const piece =
    (isLocked: boolean) =>
    ({ offset, length }: ByteRange): Piece => ({
      start: offset,
      end: length === 0 ? Infinity : offset + length,
      locked: isLocked,
    });
  return [...free.map(piece(false)), ...locked.map(piece(true))].sort((a, b) => a.start - b.start);
}

/** The first and the last page of each write. */
function lockedPages(writes: readonly ByteRange[]): Set<number> {
  const pages = writes.flatMap(({ offset, length }) => [offset, offset + length - 1]);
  return new Set(pages.map((byte) => Math.floor(byte / pageBytes)));
}

const someBytes = fc.oneof(
  fc.integer({ min: 0, max: 6 * pageBytes }),
  // On the borders of pages, and next to them.
  fc.tuple(fc.nat(6), fc.integer({ min: -1, max: 1 })).map(([page, by]) => Math.max(0, page * pageBytes + by)),
);
const write = fc.record({ offset: someBytes, length: someBytes.map((bytes) => Math.max(1, bytes)) });
const range = fc.record({ offset: someBytes, length: someBytes });

test("free and locked pieces cover the range exactly once, in order, cut at page borders", (t) => {
  fc.assert(
    fc.property(range, fc.array(write, { maxLength: 5 }), (whole, writes) => {
      const cut = aroundPages(whole, writes);
      const pieces = piecesOf(cut);
      const end = whole.length === 0 ? Infinity : whole.offset + whole.length;
      let position = whole.offset;
      for (const piece of pieces) {
        t.is(piece.start, position, "each begins where the one before it ended");
        t.true(piece.end > piece.start, "none is empty");
        if (piece.start !== whole.offset) t.is(piece.start % pageBytes, 0);
        position = piece.end;
      }
      t.is(position, end);
      for (const kind of [cut.free, cut.locked]) {
        const offsets = kind.map(({ offset }) => offset);
        t.deepEqual(
          offsets,
          offsets.toSorted((a, b) => a - b),
          "in order",
        );
      }
    }),
  );
});

test("locked are exactly the first and the last pages of the writes, as far as they are in the range", (t) => {
  fc.assert(
    fc.property(range, fc.array(write, { maxLength: 5 }), (whole, writes) => {
      const pieces = piecesOf(aroundPages(whole, writes));
      const pages = lockedPages(writes);
      const end = whole.length === 0 ? Infinity : whole.offset + whole.length;
      const expected = [...pages].filter((page) => page * pageBytes < end && (page + 1) * pageBytes > whole.offset);
      const locked = pieces.filter((piece) => piece.locked);
      t.deepEqual(
        locked.map(({ start }) => Math.floor(start / pageBytes)),
        expected.toSorted((a, b) => a - b),
      );
      for (const { start, end: after } of locked) t.true(after - start <= pageBytes, "one page each");
    }),
  );
});

test("length 0 means to the end: what is behind the last locked page is one piece without an end", (t) => {
  t.deepEqual(aroundPages({ offset: 0, length: 0 }, []), { free: [{ offset: 0, length: 0 }], locked: [] });
  t.deepEqual(aroundPages({ offset: 100, length: 0 }, [{ offset: 2 * pageBytes, length: 10 }]), {
    free: [
      { offset: 100, length: 2 * pageBytes - 100 },
      { offset: 3 * pageBytes, length: 0 },
    ],
    locked: [{ offset: 2 * pageBytes, length: pageBytes }],
  });
});

test("of a long write only the pages at its ends are locked, of a range within one of them nothing is free", (t) => {
  const long = [{ offset: pageBytes, length: 4 * pageBytes }];
  t.deepEqual(aroundPages({ offset: 0, length: 6 * pageBytes }, long), {
    free: [
      { offset: 0, length: pageBytes },
      { offset: 2 * pageBytes, length: 2 * pageBytes },
      { offset: 5 * pageBytes, length: pageBytes },
    ],
    locked: [
      { offset: pageBytes, length: pageBytes },
      { offset: 4 * pageBytes, length: pageBytes },
    ],
  });
  t.deepEqual(aroundPages({ offset: pageBytes + 5, length: 7 }, long), {
    free: [],
    locked: [{ offset: pageBytes + 5, length: 7 }],
  });
});
