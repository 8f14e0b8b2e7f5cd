/** Every conformance case on a local directory and on the mount: what passes on ext4 must pass here. */
import { spawn } from "node:child_process";
import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import test from "ava";
import { allCases } from "../conformance/cases/index.ts";
import { startCluster, type Cluster } from "../support/cluster.ts";

const runner = fileURLToPath(new URL("../conformance/run.ts", import.meta.url));
/** On the disk of the temporary folder: tmpfs knows fewer calls than ext4. */
const local = mkdtempSync("/var/tmp/dfs-conformance-");
chmodSync(local, 0o755);
const results = { local: new Map<string, string | null>(), mounted: new Map<string, string | null>() };
/** Several times what the mounted ones take beside two other tests. */
const secondsMax = 900;
let cluster: Cluster | undefined;

function runAll(dir: string, into: Map<string, string | null>): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [`--import=${import.meta.resolve("tsx")}`, runner, dir], {
      stdio: ["ignore", "pipe", "inherit"],
      cwd: "/",
    });
    let isLate = false;
    const timer = setTimeout(() => {
      isLate = true;
      child.kill("SIGKILL");
    }, secondsMax * 1000);
    createInterface({ input: child.stdout }).on("line", (line) => {
      const { title, error } = JSON.parse(line) as { title: string; error: string | null };
      into.set(title, error);
    });
    child.on("error", reject);
    child.on("close", () => {
      clearTimeout(timer);
      if (!isLate) resolve();
      else {
        const last = [...into.keys()].at(-1) ?? "none";
        reject(new Error(`${dir}: not done after ${String(secondsMax)} s; the last case that ended: ${last}`));
      }
    });
  });
}

test.before(async (t) => {
  t.timeout(2 * secondsMax * 1000 + 60_000);
  cluster = await startCluster();
  await runAll(local, results.local);
  await runAll(cluster.mnt, results.mounted);
});

test.after.always(() => {
  cluster?.down();
  rmSync(local, { recursive: true, force: true });
});

for (const { title } of allCases) {
  test(title, (t) => {
    t.is(results.local.get(title), null, "on the local directory");
    t.is(results.mounted.get(title), null, "on the mount");
  });
}

test("there are at least 600 cases", (t) => {
  t.true(allCases.length >= 600, String(allCases.length));
});
