/**
 * Random operations, from a seed, on a local directory and on the vfs over a whole cluster in memory: every result,
 * every errno and the tree at the end are equal. With two mounts each operation goes through one of them at random, so
 * that anything stale in the other shows.
 */
import test, { type ExecutionContext } from "ava";
import { seededRandom } from "../../src/base/random.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";
import { startCluster } from "./cluster.ts";
import { Pair } from "./differential-pair.ts";
import { PathClient } from "./path-client.ts";

async function compare(t: ExecutionContext, options: { seed: number; steps: number; mounts: number }): Promise<void> {
  const { seed, steps, mounts } = options;
  const label = `seed ${String(seed)}, ${String(mounts)} mounts`;
  const cluster = await startCluster(t, seed);
  const random = seededRandom(seed);
  const clients: PathClient[] = [];
  for (let i = 0; i < mounts; i++) {
    const { operations } = await cluster.mount(`mount ${String(i)}`);
    clients.push(new PathClient(operations, random));
  }
  const pair = new Pair(await temporaryFolder(t), clients, random);
  for (let i = 0; i < steps; i++) await pair.step(t, `${label}, step ${String(i)}`);
  await pair.compareTrees(t, label);
  await pair.closeAll();
  await pair.compareTrees(t, `${label}, all closed`);
}

/** DFS_SEEDS=100-120 runs others than those that always run. */
const asked = /^(\d+)-(\d+)$/.exec(process.env["DFS_SEEDS"] ?? "");
const seeds =
  asked === null
    ? [1, 2, 3, 4, 5, 6]
    : Array.from({ length: Number(asked[2]) - Number(asked[1]) + 1 }, (_, i) => Number(asked[1]) + i);

for (const seed of seeds) {
  test(`one mount does what a local directory does, seed ${String(seed)}`, async (t) => {
    await compare(t, { seed, steps: 400, mounts: 1 });
  });
  test(`two mounts are one filesystem, seed ${String(seed)}`, async (t) => {
    await compare(t, { seed, steps: 250, mounts: 2 });
  });
}
