/** A seed is a whole run: it can be repeated. (`make test-simulation` runs thousands.) */
import test from "ava";
import { runSeed } from "./run-seed.ts";
import { shapeOf, type Kind } from "./shape.ts";

/** One of each kind, in which what the kind is about happens. */
const runs: readonly { readonly kind: Kind; readonly seed: number; readonly happens: RegExp }[] = [
  { kind: "plain", seed: 14, happens: /loses power|is killed/ },
  { kind: "rot", seed: 8, happens: /flips a bit/ },
  { kind: "failover", seed: 16, happens: /takes over from/ },
  { kind: "members", seed: 3, happens: /operator: / },
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
    t.true(trace.some((line) => happens.test(line)));
  });
}
