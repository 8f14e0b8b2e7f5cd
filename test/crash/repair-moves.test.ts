/** Blocks that move while programs work: to a new node, away from one that is drained, to another number of copies. */
import test, { type ExecutionContext } from "ava";
import { startCluster, type Cluster } from "../support/cluster.ts";
import { startLoad, type Load } from "./matrix/load.ts";
import {
  addressOf,
  compare,
  complaints,
  fill,
  isWhole,
  look,
  nodeOf,
  silence,
  until,
  usedBytes,
} from "./repair/acting.ts";

const MiB = 1_048_576;
/** The balance leaves nodes alone that are no farther apart than this. */
const toleranceBytes = 64 * MiB;

let cluster: Cluster;
let load: Load | undefined;

test.before(async () => {
  cluster = await startCluster({ ...silence });
  await fill(cluster, "files", 50, 4 * MiB);
});
test.after.always(() => {
  load?.remove();
  cluster.down();
});

function decide(t: ExecutionContext, decision: string, address: string): void {
  const { status, stderr } = cluster.dfs("node", decision, address, addressOf(cluster));
  t.is(status, 0, stderr);
}

test.serial("a new node takes its share, under load", async (t) => {
  t.timeout(400_000);
  load = await startLoad(`${cluster.mnt}/load`, cluster.dir, { seed: 7, strict: true });
  cluster.up(4);
  const shared = await until(
    cluster,
    "the new node has about as much as the others",
    (status) => {
      const used = status.nodes.map(({ usedBytes }) => usedBytes);
      return (
        isWhole(status) && Math.max(...used) - nodeOf(cluster, status, "storage-4").usedBytes <= 1.5 * toleranceBytes
      );
    },
    { seconds: 180 },
  );
  t.log(shared.nodes.map(({ usedBytes }) => Math.round(usedBytes / MiB)));
  // Two copies of 200 MiB on four nodes, and what the programs write.
  t.true(nodeOf(cluster, shared, "storage-4").usedBytes >= 36 * MiB);
  await load.progress(1, 120);
});

test.serial(
  "a drain under load, taken back, and drained to the end: nothing is lost, and nobody sees an error",
  async (t) => {
    t.timeout(400_000);
    const address = nodeOf(cluster, await look(cluster), "storage-1").address;
    decide(t, "drain", address);
    const { repair } = await look(cluster);
    await until(cluster, "others copy", ({ repair: { copiedBytes } }) => copiedBytes > repair.copiedBytes, {
      everyMillis: 5,
    });
    t.regex(cluster.dfs("node", "remove", address, addressOf(cluster)).stderr, /groups still need storage node/);
    decide(t, "undrain", address);
    const kept = await until(cluster, "what had begun is over", isWhole);
    t.true(nodeOf(cluster, kept, "storage-1").groups > 0, "it was in the middle");
    t.is(nodeOf(cluster, kept, "storage-1").state, "up");
    await load?.progress(1, 120);

    decide(t, "drain", address);
    await until(
      cluster,
      "it is drained",
      (status) => isWhole(status) && nodeOf(cluster, status, "storage-1").groups === 0,
      { seconds: 180 },
    );
    const id = nodeOf(cluster, await look(cluster), "storage-1").id;
    decide(t, "remove", address);
    t.is((await look(cluster)).nodes.find((node) => node.id === id)?.state, "removed");
    await load?.progress(1, 120);
    await load?.stop(120);
    t.log(await load?.verify());
    await compare(cluster, 4, "files");
    t.is(complaints(cluster), undefined);
  },
);

test.serial("another number of copies for what is there: the third copies are on the nodes' disks", async (t) => {
  t.timeout(400_000);
  const before = usedBytes(await look(cluster));
  const set = cluster.dfs("replicas", "set", "3", `${cluster.mnt}/files`);
  t.is(set.status, 0, set.stderr);
  // Half as much again of these files; what the programs wrote stays.
  const wanted = before + 50 * 4 * MiB;
  await until(cluster, "all is there three times", (status) => isWhole(status) && usedBytes(status) >= wanted, {
    seconds: 180,
  });
  await compare(cluster, 4, "files");
  t.is(complaints(cluster), undefined);
});
