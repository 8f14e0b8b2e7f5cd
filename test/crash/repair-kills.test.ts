/**
 * Every process killed at once in the middle of work in the background: repair, a drain, a dump, cleaning of half-dead
 * blocks, compaction of segments. What was synced is there, and the work is taken up again.
 */
import { spawn } from "node:child_process";
import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import test, { type ExecutionContext } from "ava";
import { startCluster, type Cluster } from "../support/cluster.ts";
import { addressOf, compare, complaints, fill, isWhole, look, nodeOf, silence, until } from "./repair/acting.ts";

const MB = 1_000_000;
const main = fileURLToPath(new URL("../../dist/cli/main.js", import.meta.url));

let cluster: Cluster;

test.before(async () => {
  cluster = await startCluster({ nodes: 4, capacity: "1G", ...silence });
  await fill(cluster, "files", 25, 6 * MB);
  // More than what fits into pipes and buffers when it is dumped.
  await cluster.sh(
    "mkdir many; cd many; seq -f 'a-name-that-takes-its-place-in-a-dump-%.0f' 4000 | xargs touch; sync .",
  );
});
test.after.always(() => {
  cluster.down();
});

/** All at once; the first `nodes` storage nodes and the name server are started again, the driver by its supervisor. */
function killAll(nodes: number): void {
  process.kill(cluster.driverPid(), "SIGKILL");
  for (const name of ["name", "storage-1", "storage-2", "storage-3", "storage-4"].slice(0, 1 + nodes)) {
    cluster.kill(name);
  }
  cluster.up(nodes);
}

async function isAsBefore(t: ExecutionContext, nodes: number, ...folders: readonly string[]): Promise<void> {
  await compare(cluster, nodes, "files", ...folders);
  t.is(complaints(cluster), undefined);
}

test.serial("in the middle of repair and of a dump", async (t) => {
  t.timeout(300_000);
  cluster.kill("storage-4");
  // Nobody reads what it prints: it has begun, and cannot end.
  const dump = spawn(process.execPath, [main, "dump", addressOf(cluster)], { stdio: ["ignore", "pipe", "pipe"] });
  const ended = new Promise<number | null>((resolve) => dump.once("exit", resolve));
  await new Promise((resolve) => dump.stdout.once("readable", resolve));
  const { repair } = await until(cluster, "others copy", ({ repair: { bytesToGo } }) => bytesToGo > 0, {
    everyMillis: 5,
  });
  killAll(3);
  t.log("bytes to go when killed", repair.bytesToGo);
  dump.stdout.resume();
  t.not(await ended, 0, "a dump that was cut off says so");
  const whole = await until(
    cluster,
    "all groups are whole",
    (status) => isWhole(status) && nodeOf(cluster, status, "storage-4").groups === 0,
  );
  t.true(whole.repair.copiedBytes > 0, "copying was taken up again");
  await isAsBefore(t, 3);
});

test.serial("in the middle of a drain", async (t) => {
  t.timeout(300_000);
  cluster.up(4);
  await until(
    cluster,
    "nothing is left of before",
    ({ nodes, repair }) => nodes.every(({ state }) => state === "up") && repair.comparing === 0,
  );
  const before = nodeOf(cluster, await look(cluster), "storage-1");
  t.true(before.groups > 0);
  t.is(cluster.dfs("node", "drain", before.address, addressOf(cluster)).status, 0);
  await until(cluster, "others copy", ({ repair: { copiedBytes } }) => copiedBytes > 0, { everyMillis: 5 });
  killAll(4);
  const there = nodeOf(cluster, await look(cluster), "storage-1");
  t.is(there.state, "draining");
  t.true(there.groups > 0, "it was in the middle");
  await until(
    cluster,
    "it is drained",
    (status) => isWhole(status) && nodeOf(cluster, status, "storage-1").groups === 0,
  );
  await isAsBefore(t, 4);
  t.is(cluster.dfs("node", "undrain", before.address, addressOf(cluster)).status, 0);
});

test.serial("in the middle of cleaning half-dead blocks", async (t) => {
  t.timeout(300_000);
  await fill(cluster, "halves", 25, 4 * 1_048_576);
  await cluster.sh(
    `cd halves
    for f in large-*; do dd if=/dev/urandom of=$f bs=64k count=45 conv=notrunc,fsync status=none; done
    md5sum * > "${cluster.dir}/halves.md5"`,
  );
  const { rewrite: at } = await until(
    cluster,
    "blocks are cleaned",
    ({ rewrite }) => rewrite.rewrittenBytes > 0 && rewrite.halfDeadBlocks > 5,
    { everyMillis: 5 },
  );
  killAll(4);
  t.log("when killed", at);
  await isAsBefore(t, 4, "halves");
  const after = await until(
    cluster,
    "all are cleaned",
    ({ rewrite }) => rewrite.rewrittenBytes > 0 && rewrite.halfDeadBlocks === 0,
  );
  t.true(at.rewrittenBytes + after.rewrite.rewrittenBytes >= 20 * (4 * 1_048_576 - 45 * 65_536));
});

test.serial("in the middle of compaction", async (t) => {
  t.timeout(300_000);
  await fill(cluster, "kept", 4, 6 * MB);
  await cluster.sh("rm -r halves; sync .");
  const { rewrittenBytes } = (await look(cluster)).rewrite;
  let least = segmentBytes();
  let most = least;
  const { rewrite } = await until(
    cluster,
    "what lives is copied out of a segment that is mostly dead",
    () => {
      most = segmentBytes();
      least = Math.min(least, most);
      return most > least + 2 * MB;
    },
    { everyMillis: 1 },
  );
  t.is(rewrite.rewrittenBytes, rewrittenBytes, "nothing else writes");
  killAll(4);
  t.log("bytes of segments", least, "when killed", most);
  await isAsBefore(t, 4, "kept");
  await until(cluster, "it is taken up again, and gives space back", () => segmentBytes() < least);
});

function segmentBytes(): number {
  let sum = 0;
  for (const node of ["storage-1", "storage-2", "storage-3", "storage-4"]) {
    const folder = join(cluster.dir, node, "segments");
    for (const name of readdirSync(folder)) sum += statSync(join(folder, name), { throwIfNoEntry: false })?.size ?? 0;
  }
  return sum;
}
