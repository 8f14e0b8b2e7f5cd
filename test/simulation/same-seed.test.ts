/** A seed is a whole run: it can be repeated. (`make test-simulation` runs thousands.) */
import test from "ava";
import { runSeed } from "./run-seed.ts";
import { shapeOf, type Kind } from "./shape.ts";

/** One of each kind; what happens in every run of that kind. */
const runs: readonly { readonly kind: Kind; readonly seed: number; readonly happens?: RegExp }[] = [
  { kind: "plain", seed: 14 },
  { kind: "rot", seed: 15, happens: /flips a bit of segments/ },
  { kind: "rotten-copy", seed: 540, happens: /flips a bit of journal/ },
  { kind: "failover", seed: 16 },
  { kind: "members", seed: 3 },
];

for (const { kind, seed, happens } of runs) {
  // One world at a time: "the next turn" of the whole process is its own.
  test.serial(`seed ${String(seed)} (${kind}) gives the same trace twice, and nothing goes wrong`, async (t) => {
    t.is(shapeOf(seed).kind, kind);
    const trace: string[] = [];
    const first = await runSeed(seed, (line) => trace.push(line));
    const second = await runSeed(seed);
    t.deepEqual(first.problems, []);
    t.is(second.hash, first.hash);
    t.is(second.steps, first.steps);
    t.true(first.operations > 10);
    if (happens !== undefined) t.true(trace.some((line) => happens.test(line)));
  });
}
