/**
 * make bench [BENCH="speed memory repair"]: measures this filesystem on a cluster of its own, beside a directory of the local
 * disk in the same run, and the memory of its processes. Numbers of one run on one machine: compare the columns.
 */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { startCluster, type Cluster } from "../support/cluster.ts";
import { benchRepair } from "./repair.ts";
import { fillNameServer } from "./fill.ts";

const files = Number(process.env["FILES"] ?? 1_000_000);
const MiB = 2 ** 20;

function anonymousBytes(pid: number): number {
  const line = /RssAnon:\s+(\d+) kB/.exec(readFileSync(`/proc/${String(pid)}/status`, "utf8"));
  return Number(line?.[1] ?? 0) * 1024;
}

function measure(dir: string): Record<string, string> {
  const script = fileURLToPath(new URL("./workload.mjs", import.meta.url));
  const result = spawnSync(process.execPath, [script, dir], { encoding: "utf8", cwd: "/", timeout: 300_000 });
  if (result.status !== 0) throw new Error(result.stderr);
  return JSON.parse(result.stdout) as Record<string, string>;
}

function speed(cluster: Cluster): void {
  const local = mkdtempSync("/var/tmp/dfs-bench-");
  try {
    const here = measure(local);
    const mounted = measure(cluster.mnt);
    console.log(`${"".padEnd(28)}${"this disk".padStart(14)}${"dfs".padStart(14)}`);
    for (const [name, value] of Object.entries(here)) {
      console.log(`${name.padEnd(28)}${value.padStart(14)}${(mounted[name] ?? "-").padStart(14)}`);
    }
  } finally {
    rmSync(local, { recursive: true, force: true });
  }
}

async function memory(cluster: Cluster): Promise<void> {
  const show = (what: string): void => {
    const rows = ["name", "storage-1", "client"].map((name) => {
      return `${name} ${(anonymousBytes(cluster.pid(name)) / MiB).toFixed(0)} MiB`;
    });
    console.log(`${what.padEnd(28)} ${rows.join(", ")} (anonymous memory)`);
  };
  show("after start or workloads");
  // A client that writes and reads more than its bound (512 MiB of buffers and caches by default).
  await cluster.sh("dd if=/dev/zero of=big bs=1M count=1500 2> /dev/null; cat big > /dev/null; rm big", {
    seconds: 600,
  });
  show("after 1.5 GB written and read");
  const seconds = await fillNameServer(cluster.port, files);
  show(`with ${String(files)} files`);
  console.log(`(made in ${seconds.toFixed(0)} s by 512 parallel requests: ${(files / seconds).toFixed(0)} files/s)`);
}

const wanted = process.argv.slice(2);
const isWanted = (name: string): boolean => wanted.length === 0 || wanted.includes(name);
if (isWanted("speed") || isWanted("memory")) {
  const cluster = await startCluster();
  try {
    if (isWanted("speed")) speed(cluster);
    if (isWanted("memory")) await memory(cluster);
  } finally {
    cluster.down();
  }
}
// On a cluster of its own, with more nodes.
if (isWanted("repair")) await benchRepair();
