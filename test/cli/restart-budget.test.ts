import test from "ava";
import { limits } from "../../src/base/limits.ts";
import { createRestartBudget } from "../../src/cli/restart-budget.ts";
import { manualClock } from "../fuse/manual-clock.ts";

test("the first restart is at once, later ones wait, and too many within a minute are refused", (t) => {
  const clock = manualClock();
  const budget = createRestartBudget(clock);
  const pauses = Array.from({ length: limits.driverRestartsMax + 1 }, () => {
    clock.advance(1_000);
    return budget.next();
  });
  t.deepEqual(pauses, [0, 500, 1_000, 1_500, 2_000, undefined]);
});

test("a death now and then is forgiven for ever", (t) => {
  const clock = manualClock();
  const budget = createRestartBudget(clock);
  for (let i = 0; i < 100; i++) {
    clock.advance(limits.driverRestartsMillis);
    t.is(budget.next(), 0);
  }
});

test("what was refused can be granted again when the oldest is a minute old", (t) => {
  const clock = manualClock();
  const budget = createRestartBudget(clock);
  for (let i = 0; i < limits.driverRestartsMax; i++) budget.next();
  t.is(budget.next(), undefined);
  clock.advance(limits.driverRestartsMillis);
  t.is(budget.next(), 0);
});
