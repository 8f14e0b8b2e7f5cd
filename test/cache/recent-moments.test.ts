import test from "ava";
import { toIno } from "../../src/base/ids.ts";
import { RecentMoments } from "../../src/cache/recent-moments.ts";

test("the latest are known one by one, of older ones what can be said of all of them", (t) => {
  const moments = new RecentMoments(2);
  const [a, b, c, d] = [2, 3, 4, 5].map(toIno) as [never, never, never, never];
  t.is(moments.of(a), 0);
  moments.note(a, 5);
  moments.note(b, 7);
  t.deepEqual(
    [a, b, c].map((ino) => moments.of(ino)),
    [5, 7, 0],
  );
  moments.note(a, 4);
  t.is(moments.of(a), 5);
  moments.note(c, 6);
  // b is the one that was noted first.
  t.deepEqual(
    [a, b, c, d].map((ino) => moments.of(ino)),
    [5, 7, 6, 7],
  );
  moments.note(d, 8);
  t.deepEqual(
    [a, b, c, d].map((ino) => moments.of(ino)),
    [7, 7, 6, 8],
  );
  moments.noteAll(9);
  t.deepEqual(
    [a, d].map((ino) => moments.of(ino)),
    [9, 9],
  );
});
