/**
 * Mistakes that small distributed filesystems are known to make, each by its name, on a cluster of two nodes with two copies:
 * real processes, killed with SIGKILL. The tests stand in their order: one cluster goes through all of them, and those that cut
 * writes short come last, because what they leave behind on a node is deleted some time later, as it should be.
 */
import test, { type ExecutionContext } from "ava";
import type { StatusReply } from "../../src/protocol/status.ts";
import { SecondMount } from "../mounted/acting.ts";
import { startCluster, type Cluster } from "../support/cluster.ts";

let cluster: Cluster | undefined;

test.before(async (t) => {
  t.timeout(180_000);
  cluster = await startCluster({ nodes: 2, replicas: 2 });
  await cluster.sh(
    "for i in 1 2 3; do head -c 6000000 /dev/urandom > $i; done; md5sum 1 2 3 > sums; sync 1 2 3 sums .",
  );
});
test.after.always(() => {
  cluster?.down();
});

function mistake(title: string, avoid: (t: ExecutionContext, c: Cluster) => Promise<void>): void {
  test.serial(title, async (t) => {
    t.timeout(300_000);
    if (cluster === undefined) throw new Error("there is no cluster");
    try {
      await avoid(t, cluster);
    } catch (error) {
      t.log(JSON.stringify(cluster.status()), cluster.log("name").slice(-1_500));
      throw error;
    } finally {
      // For the next one.
      cluster.up();
    }
  });
}

mistake("a two-node cluster really holds two copies", async (t, c) => {
  for (const node of ["storage-1", "storage-2"]) {
    c.kill(node);
    await withOtherClient(c, [], (mnt) => c.sh("md5sum --quiet -c sums", { cwd: mnt, seconds: 60 }));
    c.up();
    await settled(c, ["up", "up"]);
  }
  checked(t, c);
});

mistake("a node that restarts quickly registers again and keeps its blocks", async (t, c) => {
  const before = held(c.status());
  c.kill("storage-1");
  c.up();
  await settled(c, ["up", "up"]);
  await until("its blocks are counted again", () => keepsAll(before, held(c.status())));
  await withOtherClient(c, [], (mnt) => c.sh("md5sum --quiet -c sums", { cwd: mnt, seconds: 60 }));
  t.pass();
});

mistake("a name server restarted forgets nothing and orders no deletion", async (t, c) => {
  const before = c.status();
  c.kill("name");
  c.up();
  await settled(c, ["up", "up"]);
  // Longer than the nodes take to report and the name server to order what it has decided.
  await pause(8_000);
  const after = c.status();
  t.is(after.cluster, before.cluster);
  t.is(after.files, before.files);
  t.true(keepsAll(held(before), held(after)), `${JSON.stringify(held(before))} ${JSON.stringify(held(after))}`);
  await withOtherClient(c, [], (mnt) => c.sh("md5sum --quiet -c sums", { cwd: mnt, seconds: 60 }));
  checked(t, c);
});

mistake("binary, empty, whitespace-ended and larger-than-memory files are byte-identical", async (t, c) => {
  const make = `mkdir kinds; cd kinds
    python3 -c "import sys; sys.stdout.buffer.write(bytes(range(256)) * 5000)" > binary
    : > empty; head -c 100000 /dev/zero > zeros
    printf 'text \\t \\n\\n \\r\\n  ' > whitespace; printf 'no line end' > 'name with blanks  '
    head -c 200000000 /dev/urandom > large; md5sum * > ../kinds.sums; cat empty >> ../kinds.sums`;
  const small = ["-o", "memory=64M"];
  await withOtherClient(c, small, (mnt) => c.sh(`${make}; sync *`, { cwd: mnt, seconds: 120 }));
  await withOtherClient(c, small, async (mnt) => {
    await c.sh("cd kinds; md5sum --quiet -c ../kinds.sums", { cwd: mnt, seconds: 120 });
    const sizes = await c.sh("cd kinds; stat -c %s binary empty zeros whitespace name* | tr '\\n' ' '", { cwd: mnt });
    t.is(sizes, "1280000 0 100000 14 11 ");
    t.is(await c.sh("cat kinds/whitespace", { cwd: mnt }), "text \t \n\n \r\n  ");
  });
});

mistake("a two-node cluster with one node dead: what dfs status says is what happens", async (t, c) => {
  c.kill("storage-2");
  await settled(c, ["down", "up"]);
  const { groups, warnings } = c.status();
  t.is(groups.healthy, 0);
  t.is(groups.lost, 0);
  t.true(groups.degraded > 0);
  t.regex(warnings.join("\n"), /block writes wait/);
  await withOtherClient(c, [], (mnt) => c.sh("md5sum --quiet -c sums", { cwd: mnt, seconds: 60 }));
  let done = false;
  const writing = c.sh("dd if=/dev/zero of=waiting bs=1M count=8 conv=fsync 2>&1", { seconds: 120 }).then(() => {
    done = true;
  });
  writing.catch(() => undefined);
  await pause(5_000);
  t.false(done, "a write that has to wait has not been done");
  c.up();
  await writing;
  await settled(c, ["up", "up"]);
  t.is(c.status().groups.degraded, 0);
  checked(t, c);
});

mistake("a failed replica write is never recorded as stored", async (t, c) => {
  const writing = c.sh("dd if=/dev/urandom of=cut bs=1M count=40 conv=fsync 2>&1", { seconds: 150 });
  writing.catch(() => undefined);
  await pause(300);
  c.kill("storage-2");
  await pause(1_000);
  c.up();
  await writing;
  await settled(c, ["up", "up"]);
  // Every block that a file names is on both nodes, with its bytes.
  checked(t, c);
});

/** A client with nothing in its memory. */
async function withOtherClient<T>(c: Cluster, options: string[], act: (mnt: string) => Promise<T>): Promise<T> {
  const mount = new SecondMount(c, "other");
  try {
    await mount.mount(...options);
    return await act(mount.mnt);
  } finally {
    await mount.remove();
  }
}

function checked(t: ExecutionContext, c: Cluster): void {
  const { status, stdout, stderr } = c.dfs("fsck", "--data", "--name-server", `127.0.0.1:${String(c.port)}`);
  t.is(status, 0, `${stdout}${stderr}`);
}

/** Address of a node -> its blocks. */
function held({ nodes }: StatusReply): Record<string, number> {
  return Object.fromEntries(nodes.map(({ address, id, blocks }) => [`${address} ${id}`, blocks]));
}

function keepsAll(before: Record<string, number>, after: Record<string, number>): boolean {
  return Object.entries(before).every(([node, blocks]) => (after[node] ?? -1) >= blocks);
}

/** @param states in any order; when all are up, then with everything that they should have */
function settled(c: Cluster, states: readonly string[]): Promise<void> {
  const wanted = [...states].sort().join();
  const isAllUp = states.every((state) => state === "up");
  return until(`nodes are ${wanted}`, () => {
    const { nodes, groups, repair } = c.status();
    const have = nodes.map(({ state }) => (state === "up" ? "up" : "down")).sort();
    return have.join() === wanted && (!isAllUp || groups.degraded + groups.lost + repair.comparing === 0);
  });
}

async function until(what: string, holds: () => boolean): Promise<void> {
  const end = performance.now() + 60_000;
  while (!holds()) {
    if (performance.now() > end) throw new Error(`not after 60 s: ${what}`);
    await pause(200);
  }
}

function pause(millis: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, millis));
}
