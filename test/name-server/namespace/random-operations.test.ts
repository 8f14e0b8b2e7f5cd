import test from "ava";
import { violations } from "./invariants.ts";
import { RandomRun } from "./random-operations.ts";

const seeds = Number(process.env["NAMESPACE_SEEDS"] ?? 40);
const stepsPerSeed = 400;

test("random operations do what a simple model does, and every committed state is consistent", (t) => {
  const first = Number(process.env["NAMESPACE_SEED"] ?? 1);
  for (let seed = first; seed < first + seeds; seed++) {
    const run = new RandomRun(seed);
    try {
      for (let step = 0; step < stepsPerSeed; step++) {
        run.step();
        if (step % 20 === 19) run.compare();
        const wrong = step % 5 === 4 ? violations(run.namespace.store) : [];
        if (wrong.length > 0) throw new Error(wrong.join("\n"));
      }
    } catch (error) {
      t.log(`NAMESPACE_SEED=${String(seed)}, last steps:`, run.log.slice(-8).join("\n"));
      throw error;
    }
  }
  t.log(`seeds ${String(first)} to ${String(first + seeds - 1)}, ${String(stepsPerSeed)} steps each`);
  t.pass();
});
