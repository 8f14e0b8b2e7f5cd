import test from "ava";
import { FsError } from "../../src/base/errno.ts";
import { ByteBudget } from "../../src/storage-node/byte-budget.ts";

test("what fits is taken at once, the rest waits in order until something is given back", async (t) => {
  const budget = new ByteBudget({ bytesMax: 100, waitingBytesMax: 1_000 });
  const order: string[] = [];
  t.is(budget.take(60), undefined);
  const large = budget.take(80)?.then(() => order.push("large"));
  // It would fit, but nobody overtakes.
  const small = budget.take(10)?.then(() => order.push("small"));
  t.is(budget.usedBytes, 60);
  budget.give(60);
  await Promise.all([large, small]);
  t.deepEqual(order, ["large", "small"]);
  t.is(budget.usedBytes, 90);
});

test("more than the whole budget is taken alone", async (t) => {
  const budget = new ByteBudget({ bytesMax: 100, waitingBytesMax: 1_000 });
  t.is(budget.take(500), undefined);
  const next = budget.take(1);
  budget.give(500);
  await next;
  t.is(budget.usedBytes, 1);
});

test("a line that is too long refuses", (t) => {
  const budget = new ByteBudget({ bytesMax: 100, waitingBytesMax: 200 });
  t.is(budget.take(100), undefined);
  void budget.take(150);
  const error = t.throws(() => budget.take(60), { instanceOf: FsError });
  t.is(error.errno, "EAGAIN");
  t.not(budget.take(50), undefined);
});
