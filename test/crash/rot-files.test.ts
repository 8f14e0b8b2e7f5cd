/**
 * One bit flips in a file of a storage node while that node is stopped: in the files that it has besides the blocks.
 * Two nodes, two copies; what is read afterwards is read from the node whose file it was.
 */
import { readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test, { type ExecutionContext } from "ava";
import { startCluster, type Cluster } from "../support/cluster.ts";
import { isAlive } from "../support/driver-process.ts";

let cluster: Cluster | undefined;

test.before(async (t) => {
  t.timeout(180_000);
  cluster = await startCluster({ nodes: 2, replicas: 2 });
  await cluster.sh(
    `for i in $(seq 30); do head -c 50000 /dev/urandom > small-$i; done; head -c 9000000 /dev/urandom > large
    md5sum small-* large > sums; sync .`,
  );
});
test.after.always(() => {
  cluster?.down();
});

const node = "storage-1";
const other = "storage-2";

function inNode({ dir }: Cluster, path: string): string {
  return join(dir, node, path);
}

/** In order, or as by the power switch. */
async function stop(c: Cluster, signal: NodeJS.Signals): Promise<void> {
  const pid = c.pid(node);
  c.kill(node, signal);
  await until("the node has ended", () => !isAlive(pid));
}

async function until(what: string, isSo: () => boolean): Promise<void> {
  for (let waited = 0; !isSo(); waited += 200) {
    if (waited > 60_000) throw new Error(`not within a minute: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}

/** Flips a bit of a byte; gives what was there. */
function flip(path: string, at: number): Buffer {
  const bytes = readFileSync(path);
  const before = Buffer.from(bytes);
  bytes.writeUInt8(bytes.readUInt8(at) ^ 4, at);
  writeFileSync(path, bytes);
  return before;
}

/** Everything is read from that node, by a client that has nothing in memory. */
async function readsEqual(c: Cluster): Promise<void> {
  // The node that has just returned lacks blocks until the name server has compared it; they come from the other one.
  await until("both nodes are up, and have everything", () => {
    const { nodes, groups, repair } = c.status();
    return nodes.every(({ state }) => state === "up") && groups.degraded + groups.lost + repair.comparing === 0;
  });
  c.kill(other);
  c.kill("client");
  const server = `127.0.0.1:${String(c.port)}`;
  c.dfs("umount", c.mnt);
  const mounted = c.dfs("mount", server, c.mnt);
  if (mounted.status !== 0) throw new Error(mounted.stderr);
  await c.sh("md5sum --quiet -c sums", { seconds: 100 });
  c.up();
}

const rots = (title: string, see: (t: ExecutionContext, c: Cluster) => Promise<void>): void => {
  test.serial(title, async (t) => {
    t.timeout(240_000);
    if (cluster === undefined) throw new Error("there is no cluster");
    await see(t, cluster);
  });
};

for (const signal of ["SIGTERM", "SIGKILL"] as const) {
  rots(`the block index, of a node that was ended with ${signal}, is built again`, async (t, c) => {
    await stop(c, signal);
    const path = inNode(c, "index/data.mdb");
    const file = readFileSync(path);
    // One key of a block in every page that has any: a key of 9 bytes, "b", group, number.
    for (let page = 2 * 4096; page < file.length; page += 4096) {
      const key = file.subarray(page, page + 4096).lastIndexOf(Buffer.from([9, 0, 0x62, 0]));
      if (key > 0) flip(path, page + key + 5);
    }
    const logged = c.log(node).length;
    c.up();
    t.regex(c.log(node).slice(logged), /the block index cannot be used: building it again from the segments/);
    await readsEqual(c);
  });
}

rots("the scrub's position begins again", async (t, c) => {
  await stop(c, "SIGTERM");
  flip(inNode(c, "scrub.json"), 40);
  const logged = c.log(node).length;
  c.up();
  t.regex(c.log(node).slice(logged), /the scrub's position cannot be read: it begins again/);
  const scrubbed = c.dfs("scrub", "--now", `127.0.0.1:${String(c.port)}`);
  t.is(scrubbed.status, 0, scrubbed.stdout + scrubbed.stderr);
  await readsEqual(c);
});

rots("a node whose identity is damaged refuses to start and says what to do; restored, it serves", async (t, c) => {
  await stop(c, "SIGTERM");
  const path = inNode(c, "node.json");
  const before = flip(path, 60);
  const refused = t.throws(() => {
    c.up();
  });
  t.regex(refused.message, /node\.json is damaged: restore it, or give the node an empty folder/);
  writeFileSync(path, before);
  c.up();
  await readsEqual(c);
});

rots("a damaged checksum over the index costs building it again, nothing more", async (t, c) => {
  await stop(c, "SIGTERM");
  flip(inNode(c, "index.sum"), 4);
  const logged = c.log(node).length;
  c.up();
  t.regex(c.log(node).slice(logged), /the block index cannot be used: building it again from the segments/);
  await readsEqual(c);
});

rots("a segment that somebody has deleted is found, and its blocks are copied again", async (t, c) => {
  await stop(c, "SIGTERM");
  const segments = readdirSync(inNode(c, "segments")).sort();
  rmSync(inNode(c, `segments/${segments[0] as string}`));
  const logged = c.log(node).length;
  c.up();
  t.regex(c.log(node).slice(logged), /the index knows segments\/[0-9a-f]{8}\.segment, which is not there/);
  // The name server compares the lists of a node that returns by itself: whichever of the two comes first.
  const repaired = c.dfs("fsck", "--data", "--repair", "--name-server", `127.0.0.1:${String(c.port)}`);
  t.true(repaired.status === 0 || repaired.status === 1, repaired.stdout + repaired.stderr);
  await readsEqual(c);
});
