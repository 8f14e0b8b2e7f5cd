/**
 * Three mounts that run ahead change the same few directories at the same time, each one step after the other and mostly
 * in folders of its own. Leases go to and fro; nothing that was answered is lost, and at the end all of them show the
 * same, to the nanosecond.
 */
import test, { type ExecutionContext } from "ava";
import fc from "fast-check";
import { isRegular, type Attributes } from "../../src/base/attributes.ts";
import type { AheadEntry } from "../../src/protocol/ahead.ts";
import { startCluster, type Client } from "./cluster.ts";
import { readGroups, root, step } from "./ahead-random.ts";
import { Walker, type Step } from "./ahead-steps.ts";

/** What a step may be answered where others change the same. */
const errnos = new Set([
  ...["EACCES", "EEXIST", "EINVAL", "EISDIR", "ENODATA", "ENOENT", "ENOTDIR", "ENOTEMPTY", "EOPNOTSUPP", "EPERM"],
  ...["ESTALE", "EXDEV"],
]);

/** Each mount works mostly in one of these, sometimes in the first. */
const homes = ["/0", "/1", "/2"];

function within(step: Step, home: string): Step {
  const moved = { ...step };
  if ("path" in moved) Object.assign(moved, { path: home + moved.path });
  if ("to" in moved) Object.assign(moved, { to: home + moved.to });
  return moved;
}

let runs = 0;
/** How many changes run ahead there. */
function count({ nameServer }: Client): () => number {
  const { ahead } = nameServer;
  const add = ahead.add.bind(ahead);
  let ranAhead = 0;
  Object.assign(ahead, {
    add: (entry: AheadEntry, bytes: number) => {
      ranAhead++;
      add(entry, bytes);
    },
  });
  return () => ranAhead;
}

async function together(
  t: ExecutionContext,
  mounts: readonly Client[],
  all: readonly (readonly [Step, number])[][],
  cut: () => void,
): Promise<void> {
  const base = `/run${String(runs++)}`;
  const [first] = mounts;
  if (first === undefined) throw new Error("no mount");
  const maker = new Walker(first, "");
  await maker.run({ kind: "mkdir", who: root, path: base, mode: 0o777, umask: 0 });
  for (const home of homes) {
    for (const folder of ["", "/d", "/s", "/d/e"]) {
      await maker.run({ kind: "mkdir", who: root, path: base + home + folder, mode: 0o777, umask: 0 });
    }
  }
  const walkers = mounts.map((mount) => new Walker(mount, base));
  const told: string[] = [];
  await Promise.all(
    walkers.map(async (walker, which) => {
      for (const [step, visits] of all[which] ?? []) {
        const one = within(step, visits === 0 ? "/0" : `/${String(which)}`);
        const coming = walker.run(one);
        if (visits === 1) cut();
        const result = await coming;
        told.push(`${String(which)}: ${fc.stringify(one)}: ${typeof result === "string" ? result : "made"}`);
        const isLegal = typeof result !== "string" || result === "done" || errnos.has(result);
        t.true(isLegal, told.join("\n"));
      }
    }),
  );
  for (const walker of walkers) await walker.closeAll();
  const what = told.join("\n");
  for (const { nameServer } of mounts) t.true(nameServer.ahead.isOpen, what);
  // All is sent before anything is compared.
  for (const walker of walkers) await walker.settle();
  const trees: [string, Attributes][][] = [];
  for (const walker of walkers) trees.push([...(await walker.tree())].sort(([one], [other]) => (one < other ? -1 : 1)));
  for (const tree of trees.slice(1)) t.deepEqual(tree, trees[0], what);
  for (const [path, { mode }] of trees[0] ?? []) {
    if (!isRegular(mode)) continue;
    const contents: string[] = [];
    for (const walker of walkers) contents.push(await walker.content(path));
    t.true(
      contents.every((one) => one === contents[0]),
      `${path}\n${what}`,
    );
  }
  for (const { nameServer } of mounts) t.true(nameServer.ahead.isOpen, what);
}

/** DFS_SEED and DFS_RUNS for others than those that always run. */
const seed = Number(process.env["DFS_SEED"] ?? 1);
const runsAsked = Number(process.env["DFS_RUNS"] ?? 20);

async function check(t: ExecutionContext, numRuns: number, breaks: boolean): Promise<void> {
  t.timeout(300_000);
  const cluster = await startCluster(t, seed);
  const mounts: Client[] = [];
  for (const client of ["one", "two", "three"]) mounts.push(await cluster.mount(client, { readGroups }));
  const ranAhead = mounts.map(count);
  let cuts = 0;
  const cut = (): void => {
    cuts++;
    if (breaks) cluster.cut();
  };
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.array(fc.tuple(step, fc.nat(19)), { minLength: 10, maxLength: 120, size: "max" }), {
        minLength: 3,
        maxLength: 3,
      }),
      async (steps) => {
        await together(t, mounts, steps, cut);
      },
    ),
    { seed, numRuns, endOnFailure: process.env["DFS_SHRINK"] === undefined },
  );
  const total = ranAhead.reduce((sum, one) => sum + one(), 0);
  t.true(total > numRuns, `${String(total)} changes ran ahead`);
  t.true(cuts > 0);
}

test("mounts that run ahead in the same directories lose nothing and end up with one truth", async (t) => {
  await check(t, runsAsked, false);
});

test("nor do they when connections break now and then: what ran ahead happens exactly once", async (t) => {
  // Connecting again takes its time.
  await check(t, Math.ceil(runsAsked / 7), true);
});
