/** What is said about leases, as it is checked when it comes from outside. */
import test from "ava";
import { limits } from "../../src/base/limits.ts";
import { leaseGrant, leaseNews, leaseRecall, leaseScope } from "../../src/protocol/leases.ts";

test("a grant says which inode, and is of a level that lets something be kept", (t) => {
  t.true(leaseGrant.safeParse({ ino: 3, number: 1, level: "shared" }).success);
  t.true(leaseGrant.safeParse({ ino: 3, number: 2, level: "exclusive" }).success);
  t.false(leaseGrant.safeParse({ ino: 3, number: 1, level: "none" }).success);
  t.false(leaseGrant.safeParse({ ino: 0, number: 1, level: "shared" }).success);
});

test("a recall names a bounded number of parts", (t) => {
  t.false(leaseScope.safeParse({ kind: "data", offset: 0, length: 0 }).success);
  const drop = Array.from({ length: limits.recallScopesMax + 1 }, () => ({ kind: "attributes" }));
  t.true(leaseRecall.safeParse({ ino: 3, number: 1, to: "none", drop: drop.slice(1) }).success);
  t.false(leaseRecall.safeParse({ ino: 3, number: 1, to: "none", drop }).success);
  t.false(leaseRecall.safeParse({ ino: 3, number: 1, to: "exclusive", drop: [] }).success);
});

test("what is told of a lease or a recall names the inode and the number", (t) => {
  for (const kind of ["flushed", "acknowledged", "lowered"]) {
    t.true(leaseNews.safeParse({ kind, ino: 3, number: 1 }).success, kind);
    t.false(leaseNews.safeParse({ kind, ino: 3 }).success, kind);
  }
  t.true(leaseNews.safeParse({ kind: "forgotten", ino: 3 }).success);
  t.true(leaseNews.safeParse({ kind: "blocked" }).success);
  t.false(leaseNews.safeParse({ kind: "lost" }).success);
});
