/**
 * A cluster of two storage nodes with two copies, of which one is enough while a node is away (`--min-replicas 1`): real
 * processes. What `dfs status` says is what happens.
 */
import test from "ava";
import { SecondMount } from "../mounted/acting.ts";
import { startCluster, type Cluster } from "../support/cluster.ts";

let cluster: Cluster | undefined;

test.before(async (t) => {
  t.timeout(180_000);
  cluster = await startCluster({ nodes: 2, replicas: 2, minReplicas: 1 });
});
test.after.always(() => {
  cluster?.down();
});

test("with one node dead blocks are stored once, and twice when it is back", async (t) => {
  t.timeout(400_000);
  const c = cluster;
  if (c === undefined) throw new Error("there is no cluster");
  await c.sh("head -c 9000000 /dev/urandom > before; sync before");
  c.kill("storage-2");
  await until("it is down", () => c.status().nodes.some(({ state }) => state !== "up"));
  await c.sh("head -c 30000000 /dev/urandom > during; sync during; md5sum before during > sums; sync sums .", {
    seconds: 150,
  });
  const { groups, warnings } = c.status();
  t.is(groups.healthy, 0);
  t.is(groups.lost, 0);
  t.regex(warnings.join("\n"), /fewer nodes than replicas: what is written now is stored fewer times/);
  t.notRegex(warnings.join("\n"), /block writes wait/);
  c.up();
  await until("everything is there twice", () => {
    const { groups: now, warnings: left, repair } = c.status();
    return now.degraded === 0 && now.lost === 0 && left.length === 0 && repair.state === "idle";
  });
  const { status, stdout, stderr } = c.dfs("fsck", "--data", "--name-server", `127.0.0.1:${String(c.port)}`);
  t.is(status, 0, `${stdout}${stderr}`);
  c.kill("storage-1");
  // By a client with nothing in its memory, of the node that was away.
  const mount = new SecondMount(c, "other");
  try {
    await mount.mount();
    await c.sh("md5sum --quiet -c sums", { cwd: mount.mnt, seconds: 120 });
  } finally {
    await mount.remove();
    c.up();
  }
});

async function until(what: string, holds: () => boolean): Promise<void> {
  const end = performance.now() + 120_000;
  while (!holds()) {
    if (performance.now() > end)
      throw new Error(
        `not after 120 s: ${what} ${JSON.stringify(cluster?.status())} ${String(cluster?.log("name").slice(-1_500))}`,
      );
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}
