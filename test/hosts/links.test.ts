/**
 * Storage nodes, the name server and two clients on machines of their own (network namespaces), with links that are cut, slow
 * or lossy: who is cut off counts as down, work goes on where it may, and nothing is lost when they meet again.
 *
 * Four nodes in two racks, two copies. The tests stand in their order: one cluster goes through all of them.
 */
import test, { type ExecutionContext } from "ava";
import { limits } from "../../src/base/limits.ts";
import { shell } from "../support/cluster.ts";
import { startHosts, type Hosts, type StorageHost } from "../support/hosts.ts";
import { cannotBuildNetworks } from "../support/network.ts";

const racks = ["rack-a", "rack-a", "rack-b", "rack-b"];
/** Until a silent node counts as down; on a busy machine. */
const downSeconds = 60;

let cluster: Hosts | undefined;

test.before(async (t) => {
  t.timeout(180_000);
  if (cannotBuildNetworks === undefined) cluster = await startHosts(2, { storageLabels: racks });
});
test.after.always(async (t) => {
  t.timeout(180_000);
  await cluster?.down();
});

function linkTest(title: string, act: (t: ExecutionContext, c: Hosts) => Promise<void>): void {
  if (cannotBuildNetworks !== undefined) {
    test.serial.skip(`${title} (${cannotBuildNetworks})`, () => undefined);
    return;
  }
  test.serial(title, async (t) => {
    t.timeout(300_000);
    if (cluster === undefined) throw new Error("there is no cluster");
    try {
      await act(t, cluster);
    } catch (error) {
      t.log(JSON.stringify(cluster.status().nodes), cluster.log().slice(-1_500));
      throw error;
    }
  });
}

linkTest("a rack that is cut off: every block has a copy in the other one", async (t, c) => {
  await write(c, 0, "before", 6);
  for (const { machine } of nodes(c, 0, 1)) machine.cut();
  try {
    // By the other client, which has nothing of them in its memory.
    await compare(c, 1, "before", 6);
    await states(c, ["down", "down", "up", "up"]);
    await compare(c, 1, "before", 6);
  } finally {
    for (const { machine } of nodes(c, 0, 1)) machine.reconnect();
  }
  await states(c, ["up", "up", "up", "up"]);
  await write(c, 0, "after", 2);
  t.is(c.status().groups.lost, 0);
});

linkTest("a node that is cut off counts as down, is written without, and comes back as who it was", async (t, c) => {
  const before = c.status().nodes.map(({ id }) => id);
  const [lonely] = nodes(c, 1);
  const writing = write(c, 0, "during", 8);
  lonely?.machine.cut();
  try {
    await writing;
    await states(c, ["up", "down", "up", "up"]);
    await compare(c, 1, "during", 8);
  } finally {
    lonely?.machine.reconnect();
  }
  await states(c, ["up", "up", "up", "up"]);
  t.deepEqual(
    c.status().nodes.map(({ id }) => id),
    before,
  );
});

linkTest("the name server parted from one node: the others take what is written", async (t, c) => {
  const [parted] = nodes(c, 2);
  parted?.machine.partFromHub();
  try {
    await states(c, ["up", "up", "down", "up"]);
    await write(c, 0, "minority", 4);
    await compare(c, 1, "minority", 4);
  } finally {
    parted?.machine.meetHub();
  }
  await states(c, ["up", "up", "up", "up"]);
  t.is(c.status().groups.lost, 0);
});

linkTest("the name server parted from most nodes: everything waits, and goes on when they meet again", async (t, c) => {
  const before = c.status().nodes.map(({ id }) => id);
  const parted = nodes(c, 0, 1, 2);
  for (const { machine } of parted) machine.partFromHub();
  let working: Promise<unknown>;
  try {
    // Until they count as down, and nothing is confirmed any more.
    await pause(limits.nodeDownMillis + 2_000);
    working = Promise.all([write(c, 1, "majority", 3), compare(c, 0, "minority", 4)]);
    // Whatever comes of it, it is said below.
    working.catch(() => undefined);
    await pause(4_000);
  } finally {
    for (const { machine } of parted) machine.meetHub();
  }
  await working;
  await states(c, ["up", "up", "up", "up"]);
  await compare(c, 0, "majority", 3);
  t.deepEqual(
    c.status().nodes.map(({ id }) => id),
    before,
    "they are the nodes that they were",
  );
  t.is(c.status().groups.lost, 0);
});

linkTest("a client with a slow and lossy link reads and writes without an error", async (t, c) => {
  const client = c.hosts[1]?.machine;
  client?.impair({ kilobits: 8_000, lossPercent: 2 });
  try {
    await write(c, 1, "slow", 2);
  } finally {
    client?.mend();
  }
  await compare(c, 0, "slow", 2);
  t.is(c.status().sessions.filter(({ connected }) => connected).length, 2);
});

linkTest("a storage node behind a lossy link: writers see no error, and every byte is right", async (t, c) => {
  const [lossy] = nodes(c, 3);
  lossy?.machine.impair({ lossPercent: 3 });
  try {
    await write(c, 0, "lossy", 4);
    await compare(c, 1, "lossy", 4);
  } finally {
    lossy?.machine.mend();
  }
  await states(c, ["up", "up", "up", "up"]);
  t.is(c.status().groups.lost, 0);
});

linkTest("a client that is cut off for a moment goes on where it was", async (t, c) => {
  const client = c.hosts[1]?.machine;
  const writing = write(c, 1, "moment", 12);
  await pause(1_000);
  client?.cut();
  await pause(5_000);
  client?.reconnect();
  await writing;
  await compare(c, 0, "moment", 12);
  t.pass();
});

function nodes(c: Hosts, ...which: number[]): StorageHost[] {
  return which.map((i) => c.storage[i] as StorageHost);
}

/** So many files of 1 MB and a few bytes, each synced before its checksum is written. */
function write(c: Hosts, host: number, folder: string, count: number): Promise<string> {
  return run(
    c,
    host,
    `mkdir -p ${folder}
    for i in $(seq ${String(count)}); do
      head -c 1000017 /dev/urandom > ${folder}/$i; sync ${folder}/$i; md5sum ${folder}/$i >> ${folder}/sums
    done; sync ${folder}/sums`,
  );
}

async function compare(c: Hosts, host: number, folder: string, count: number): Promise<void> {
  await run(c, host, `md5sum --quiet -c ${folder}/sums; [ $(wc -l < ${folder}/sums) -eq ${String(count)} ]`);
}

function run(c: Hosts, host: number, script: string): Promise<string> {
  return shell(script, { seconds: 120, cwd: c.hosts[host]?.mnt ?? "" });
}

/** Waits until they are so, in the order of the racks. */
async function states(c: Hosts, wanted: readonly ("up" | "down")[]): Promise<void> {
  const end = performance.now() + downSeconds * 1000;
  for (;;) {
    const all = c.status().nodes;
    const have = c.storage.map(({ address }) => all.find((node) => node.address === address)?.state ?? "unknown");
    if (have.every((state, i) => (state === "up") === (wanted[i] === "up"))) return;
    if (performance.now() > end)
      throw new Error(`not after ${String(downSeconds)} s: ${wanted.join()}, but ${have.join()}`);
    await pause(200);
  }
}

function pause(millis: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, millis));
}
