/** `make up` after a storage node was drained and removed: real processes. */
import { rmSync } from "node:fs";
import { join } from "node:path";
import test from "ava";
import { startCluster, type Cluster } from "../support/cluster.ts";

let cluster: Cluster | undefined;

test.before(async (t) => {
  t.timeout(180_000);
  cluster = await startCluster({ nodes: 3, replicas: 2 });
});
test.after.always(() => {
  cluster?.down();
});

test("a removed node is not waited for, and joins as a new one once its folder is removed", async (t) => {
  t.timeout(300_000);
  const c = cluster;
  if (c === undefined) throw new Error("there is no cluster");
  const server = `127.0.0.1:${String(c.port)}`;
  const third = `127.0.0.1:${String(c.port + 102)}`;
  t.is(c.dfs("node", "drain", third, server).status, 0);
  for (let attempt = 0; c.dfs("node", "remove", third, server).status !== 0; attempt++) {
    if (attempt > 200) throw new Error(JSON.stringify(c.status()));
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
  const up = ["cluster", "up", "--dir", c.dir, "--mount", c.mnt, "--port", String(c.port), "--nodes", "3"];
  const first = c.dfs(...up);
  t.is(first.status, 0, `${first.stdout}${first.stderr}`);
  t.regex(first.stdout, /storage-3 +was removed from the cluster: remove \S+storage-3 to let it join as a new one/);
  t.throws(() => c.pid("storage-3"), { message: /ENOENT/ }, "it does not run");
  rmSync(join(c.dir, "storage-3"), { recursive: true });
  const second = c.dfs(...up);
  t.is(second.status, 0, `${second.stdout}${second.stderr}`);
  t.notRegex(second.stdout, /was removed/);
  t.is(c.status().nodes.filter(({ state }) => state === "up").length, 3);
});
