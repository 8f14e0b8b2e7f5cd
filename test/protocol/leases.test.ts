/** Which grants still count when recalls overtake replies. */
import test from "ava";
import { toIno } from "../../src/base/ids.ts";
import { limits } from "../../src/base/limits.ts";
import { createGrantOrder, leaseGrant, leaseRecall, leaseScope } from "../../src/protocol/leases.ts";

const [one, two] = [toIno(1), toIno(2)];

test("a grant counts unless a recall that was decided later has arrived before it", (t) => {
  const order = createGrantOrder();
  order.sent();
  order.recalled(one, 5);
  t.false(order.counts({ ino: one, number: 4 }));
  t.true(order.counts({ ino: one, number: 6 }));
  t.true(order.counts({ ino: two, number: 4 }));
});

test("a recall is remembered until all requests are settled that were sent before it arrived", (t) => {
  const order = createGrantOrder();
  const [first, second] = [order.sent(), order.sent()];
  order.recalled(one, 5);
  const third = order.sent();
  order.settled(first);
  t.false(order.counts({ ino: one, number: 4 }));
  order.settled(second);
  t.is(order.size, 0);
  order.settled(third);
});

test("nothing is remembered of a recall when no request is under way", (t) => {
  const order = createGrantOrder();
  order.settled(order.sent());
  order.recalled(one, 5);
  t.is(order.size, 0);
});

test("an inode that is recalled again is remembered by its last recall", (t) => {
  const order = createGrantOrder();
  const first = order.sent();
  order.recalled(one, 5);
  const second = order.sent();
  order.recalled(two, 6);
  order.recalled(one, 9);
  order.settled(first);
  t.is(order.size, 2);
  t.false(order.counts({ ino: one, number: 8 }));
  order.settled(second);
  t.is(order.size, 0);
});

test("grants and recalls are checked when they come from outside", (t) => {
  t.true(leaseGrant.safeParse({ ino: 3, number: 1, level: "shared", open: false }).success);
  t.false(leaseGrant.safeParse({ ino: 3, number: 1, level: "all", open: false }).success);
  t.false(leaseScope.safeParse({ kind: "data", offset: 0, length: 0 }).success);
  const drop = Array.from({ length: limits.recallScopesMax + 1 }, () => ({ kind: "attributes" }));
  t.true(leaseRecall.safeParse({ ino: 3, number: 1, to: "none", drop: drop.slice(1) }).success);
  t.false(leaseRecall.safeParse({ ino: 3, number: 1, to: "none", drop }).success);
});
