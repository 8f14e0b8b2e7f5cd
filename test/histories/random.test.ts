/** Random histories: right ones are accepted, and refused as soon as one read says what was true before or will be later. */
import test from "ava";
import fc from "fast-check";
import { seededRandom } from "../../src/base/random.ts";
import { checkHistory } from "./check-history.ts";
import type { Operation } from "./history.ts";
import { simulate } from "./simulator.ts";
import { spoil } from "./spoiling.ts";

const simulation = fc.record({
  seed: fc.nat(),
  processes: fc.integer({ min: 1, max: 6 }),
  operations: fc.integer({ min: 1, max: 150 }),
  oneLostOf: fc.constantFrom(0, 0, 200, 60),
});

function reports(history: readonly Operation[]): string[] {
  return checkHistory(history).flatMap(({ report }) => (report === "" ? [] : [report]));
}

test("what a right simulation did is accepted", (t) => {
  fc.assert(
    fc.property(simulation, ({ seed, ...options }) => {
      const found = reports(simulate(seededRandom(seed), options));
      if (found.length > 0) throw new Error(found.join("\n"));
    }),
    { numRuns: 300 },
  );
  t.pass();
});

/** Once accepted: a create without a result may have made the inode that a later one, of another name, is said to make. */
const examples: Record<string, [{ seed: number; processes: number; operations: number; oneLostOf: number }][]> = {
  lookup: [[{ seed: 778_863_409, processes: 5, operations: 6, oneLostOf: 60 }]],
};

for (const kind of ["read", "readLog", "lookup"] as const) {
  test(`a ${kind} of what is not true any more, or not yet, is refused`, (t) => {
    let spoiled = 0;
    fc.assert(
      fc.property(simulation, ({ seed, ...options }) => {
        const random = seededRandom(seed);
        const history = spoil(random, kind, simulate(random, options));
        if (history === undefined) return;
        spoiled += 1;
        const [report] = checkHistory(history).filter(({ type }) => type === "refused");
        if (report?.report.includes("<-- cannot be") !== true) throw new Error("accepted");
      }),
      { numRuns: 150, examples: examples[kind] ?? [] },
    );
    t.true(spoiled > 30, `only ${String(spoiled)} of 150 histories were spoiled`);
  });
}

test("a long history of five processes is decided quickly", (t) => {
  const history = simulate(seededRandom(5), { processes: 5, operations: 10_000, oneLostOf: 0 });
  const start = performance.now();
  t.deepEqual(reports(history), []);
  t.true(performance.now() - start < 20_000);
});

test("the report on one stale read in a long history is short", (t) => {
  const random = seededRandom(6);
  const history = spoil(random, "read", simulate(random, { processes: 5, operations: 3_000, oneLostOf: 0 }));
  const [report = ""] = reports(history ?? []);
  t.true(report.includes("<-- cannot be"));
  t.true(report.split("\n").length <= 7, report);
});

test("reports on wrong lookups in long histories can be read", (t) => {
  const found = [1, 2, 3, 4, 5, 6].map((seed) => {
    const random = seededRandom(seed);
    const history = spoil(random, "lookup", simulate(random, { processes: 5, operations: 1_500, oneLostOf: 0 }));
    return reports(history ?? []).join("\n");
  });
  for (const report of found) {
    t.true(report.includes("<-- cannot be"));
    t.true(report.split("\n").length <= 43, report);
  }
  t.true(found.some((report) => report.includes("operations on other names or earlier")));
});
