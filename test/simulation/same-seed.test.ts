/** A seed is a whole run: it can be repeated. (`make test-simulation` runs thousands.) */
import test from "ava";
import { runSeed } from "./run-seed.ts";

for (const seed of [3, 17, 31]) {
  // One world at a time: "the next turn" of the whole process is its own.
  test.serial(`seed ${String(seed)} gives the same trace twice, and nothing goes wrong`, async (t) => {
    const first = await runSeed(seed);
    const second = await runSeed(seed);
    t.deepEqual(first.problems, []);
    t.is(second.hash, first.hash);
    t.is(second.steps, first.steps);
    t.true(first.operations > 10);
  });
}
