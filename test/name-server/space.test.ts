import test from "ava";
import fc from "fast-check";
import { contentBytes, storableBytes } from "../../src/name-server/space.ts";

function naive(free: readonly number[], replicas: number): number {
  const fits = (u: number): boolean => free.reduce((sum, each) => sum + Math.min(each, u), 0) >= replicas * u;
  let best = 0;
  for (let u = 0; u <= 600; u++) if (fits(u)) best = u;
  return best;
}

test("what can be stored is the largest U whose copies fit on distinct nodes", (t) => {
  fc.assert(
    fc.property(fc.array(fc.nat(100), { maxLength: 6 }), fc.integer({ min: 1, max: 5 }), (free, replicas) => {
      t.is(storableBytes(free, replicas), naive(free, replicas));
    }),
  );
  t.pass();
});

test("one large node does not help a second copy", (t) => {
  t.is(storableBytes([1_000, 10], 2), 10);
  t.is(storableBytes([1_000, 10, 10], 2), 20);
});

test("nothing can be stored on fewer nodes than replicas", (t) => {
  t.is(storableBytes([1_000], 2), 0);
  t.is(storableBytes([], 1), 0);
});

test("content leaves room for the header of each block", (t) => {
  t.true(contentBytes([1e12, 1e12], 2) < storableBytes([1e12, 1e12], 2));
  t.true(contentBytes([1e12, 1e12], 2) > 0.99e12);
});
