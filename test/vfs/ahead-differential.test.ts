/**
 * Random changes on two whole clusters in memory: through a mount that runs ahead, and through one that asks for every
 * change. Every result is the same, and what the first mount showed before it had told the server is exactly what the
 * server has afterwards, as a second mount sees it.
 */
import test, { type ExecutionContext } from "ava";
import fc from "fast-check";
import { isDirectory, type Attributes } from "../../src/base/attributes.ts";
import type { AheadEntry } from "../../src/protocol/ahead.ts";
import { startCluster, type Client } from "./cluster.ts";
import { readGroups, root, step, user } from "./ahead-random.ts";
import { shape, Walker, type Step } from "./ahead-steps.ts";

/** Mostly the same mount: who changes alone runs ahead. */
const through = fc.constantFrom("ahead" as const, ...Array<"ahead">(30).fill("ahead"), "other" as const);

/** What is not known before the server has it: blocks, and the size of a directory. */
function early(attributes: Attributes): unknown {
  const size = isDirectory(attributes.mode) ? 0 : attributes.size;
  return { ...attributes, size, blocks: 0 };
}

function mapped(tree: ReadonlyMap<string, Attributes>, of: (attributes: Attributes) => unknown): unknown {
  return Object.fromEntries(Array.from(tree, ([at, attributes]) => [at, of(attributes)]));
}

interface Mounts {
  readonly ahead: Client;
  readonly other: Client;
  readonly asking: Client;
}

let runs = 0;
let ranAhead = 0;

/** Counts what runs ahead there. */
function count({ nameServer }: Client): void {
  const { ahead } = nameServer;
  const add = ahead.add.bind(ahead);
  Object.assign(ahead, {
    add: (entry: AheadEntry, bytes: number) => {
      ranAhead++;
      add(entry, bytes);
    },
  });
}

async function compare(
  t: ExecutionContext,
  { ahead, other, asking }: Mounts,
  steps: readonly (readonly ["ahead" | "other", Step])[],
): Promise<void> {
  const base = `/run${String(runs++)}`;
  for (const mount of [ahead, asking]) {
    const walker = new Walker(mount, "");
    await walker.run({ kind: "mkdir", who: root, path: base, mode: 0o777, umask: 0 });
    await walker.run({ kind: "mkdir", who: root, path: `${base}/d`, mode: 0o777, umask: 0 });
    await walker.run({ kind: "mkdir", who: root, path: `${base}/s`, mode: 0o1777, umask: 0 });
    await walker.run({ kind: "mkdir", who: root, path: `${base}/d/e`, mode: 0o2777, umask: 0 });
    for (const file of ["/a", "/d/a", "/d/e/a", "/s/a"]) {
      await walker.run({ kind: "create", who: user, path: `${base}${file}`, mode: 0o644, umask: 0 });
    }
    // Leases of the directories are at hand after some changes.
    for (let i = 0; i < 3; i++) {
      for (const folder of ["", "/d", "/s"]) {
        await walker.run({ kind: "mkdir", who: root, path: `${base}${folder}/x`, mode: 0o777, umask: 0 });
        await walker.run({ kind: "rmdir", who: root, path: `${base}${folder}/x` });
      }
    }
  }
  const first = new Walker(ahead, base);
  const elsewhere = new Walker(other, base);
  const second = new Walker(asking, base);
  const told: string[] = [];
  for (const [mount, one] of steps) {
    const before = ranAhead;
    const [here, there] = [await (mount === "ahead" ? first : elsewhere).run(one), await second.run(one)];
    const ran = ranAhead > before;
    told.push(`${mount}: ${ran ? "ran ahead" : "asked"}: ${fc.stringify(one)}`);
    t.deepEqual(here, there, told.join("\n"));
  }
  await first.closeAll();
  await elsewhere.closeAll();
  await second.closeAll();
  const all = told.join("\n");
  const atOnce = await first.tree();
  await first.settle();
  const settled = await first.tree();
  const seen = await elsewhere.tree();
  const after = await first.tree();
  t.deepEqual(mapped(atOnce, early), mapped(seen, early), `before and after the server knew it\n${all}`);
  t.deepEqual(
    mapped(settled, (one) => one),
    mapped(seen, (one) => one),
    `when all was durable\n${all}`,
  );
  t.deepEqual(
    mapped(after, (one) => one),
    mapped(seen, (one) => one),
    `after a look from elsewhere\n${all}`,
  );
  t.deepEqual(mapped(seen, shape), mapped(await second.tree(), shape), `without running ahead\n${all}`);
}

/** DFS_SEED and DFS_RUNS for others than those that always run. */
const seed = Number(process.env["DFS_SEED"] ?? 1);
const numRuns = Number(process.env["DFS_RUNS"] ?? 40);

test("what a mount that runs ahead shows is what the server makes of it, and what asking would have made", async (t) => {
  t.timeout(300_000);
  const cluster = await startCluster(t, seed);
  const reference = await startCluster(t, seed + 1);
  const mounts = {
    ahead: await cluster.mount("ahead", { readGroups }),
    other: await cluster.mount("other", { readGroups }),
    asking: await reference.mount("asking", { runsAhead: false, readGroups }),
  };
  count(mounts.ahead);
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(through, step), { minLength: 20, maxLength: 80, size: "max" }),
      async (steps) => {
        await compare(t, mounts, steps);
      },
    ),
    { seed, numRuns, endOnFailure: process.env["DFS_SHRINK"] === undefined },
  );
  t.log(`${String(ranAhead)} changes ran ahead`);
  t.true(ranAhead > numRuns * 5, `${String(ranAhead)} changes ran ahead`);
});
