/** The name server's disk is gone: everything that was acknowledged comes back from the storage nodes, with real processes. */
import { spawn, spawnSync, type ChildProcess } from "node:child_process";
import { existsSync, mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import test from "ava";
import type { StatusReply } from "../../src/protocol/status.ts";
import { startCluster, type Cluster } from "../support/cluster.ts";

const dfs = fileURLToPath(new URL("../../dist/cli/main.js", import.meta.url));

test.serial("a name server with a wiped disk is recovered with everything, and the one before ends", async (t) => {
  t.timeout(240_000);
  const c = await startCluster();
  const started: ChildProcess[] = [];
  const recover = (folder: string, port: number, nodes: string): ChildProcess => {
    const args = ["--data", folder, "--listen", `127.0.0.1:${String(port)}`, "--recover", "--nodes", nodes];
    const child = spawn(process.execPath, [dfs, "name-server", ...args], { stdio: ["ignore", "pipe", "pipe"] });
    started.push(child);
    return child;
  };
  try {
    const nodes = nodesOf(c);
    await c.sh(
      "for i in $(seq 30); do echo content $i > f$i; done; mkdir d; ln f1 d/g; head -c 3000000 /dev/urandom > big; sync; md5sum big f* > /dev/shm/dfs-recover-sums",
      {
        seconds: 60,
      },
    );
    const before = c.status();
    const generation = before.copies?.generation ?? 0;
    t.true(before.copies?.members.some(({ complete }) => complete));

    c.kill("name");
    const folder = join(c.dir, "name");
    rmSync(folder, { recursive: true });
    // Only one of three nodes answers: refused, by name.
    const [first, second] = nodes.split(",") as [string, string];
    c.kill("storage-2", "SIGSTOP");
    c.kill("storage-3", "SIGSTOP");
    const refused = spawnSync(
      process.execPath,
      [dfs, "name-server", "--data", folder, "--listen", `127.0.0.1:${String(c.port)}`, "--recover", "--nodes", first],
      { encoding: "utf8", timeout: 60_000 },
    );
    c.kill("storage-2", "SIGCONT");
    c.kill("storage-3", "SIGCONT");
    t.not(refused.status, 0);
    t.regex(
      refused.stdout + refused.stderr,
      new RegExp(`1 of 3 storage nodes answer, 2 are needed; missing: .*${second}`),
    );

    recover(folder, c.port, nodes);
    await until("it serves", () => statusAt(c.port)?.copies?.serving === true);
    const recovered = statusAt(c.port) as StatusReply;
    t.is(recovered.cluster, before.cluster);
    t.true(recovered.epoch > before.epoch);
    t.true((recovered.copies?.generation ?? 0) > generation);
    t.true(recovered.uptimeSeconds >= 15, "the one before may believe itself confirmed for a while");
    await c.sh("md5sum --quiet -c /dev/shm/dfs-recover-sums; cmp f1 d/g; echo after > after; sync", { seconds: 100 });

    // Once more, elsewhere, and this time the server before still runs.
    const [old] = started as [ChildProcess];
    const elsewhere = join(c.dir, "elsewhere");
    mkdirSync(elsewhere);
    const otherPort = c.port + 50;
    recover(elsewhere, otherPort, nodes);
    await until("the one before has ended", () => old.exitCode !== null);
    t.not(old.exitCode, 0);
    await until("the other one serves", () => statusAt(otherPort)?.copies?.serving === true);
    t.is(statusAt(otherPort)?.nodes.filter(({ state }) => state === "up").length, 3);
    t.is(statusAt(otherPort)?.files, recovered.files + 1);
    // The old folder does not start again.
    const again = spawnSync(
      process.execPath,
      [dfs, "name-server", "--data", elsewhere, "--listen", "127.0.0.1:1", "--recover", "--nodes", nodes],
      {
        encoding: "utf8",
        timeout: 30_000,
      },
    );
    t.not(again.status, 0);
    t.true(existsSync(join(folder, "epoch")));
  } finally {
    for (const child of started) child.kill("SIGKILL");
    rmSync("/dev/shm/dfs-recover-sums", { force: true });
    c.down();
  }
});

function nodesOf(c: Cluster): string {
  return c
    .status()
    .nodes.map(({ address }) => address)
    .sort()
    .join(",");
}

function statusAt(port: number): StatusReply | undefined {
  const { stdout, status } = spawnSync(process.execPath, [dfs, "status", `127.0.0.1:${String(port)}`, "--json"], {
    encoding: "utf8",
    timeout: 10_000,
  });
  return status === 0 ? (JSON.parse(stdout) as StatusReply) : undefined;
}

async function until(what: string, isSo: () => boolean): Promise<void> {
  for (const end = performance.now() + 90_000; !isSo();) {
    if (performance.now() > end) throw new Error(`waited too long: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 250));
  }
}
