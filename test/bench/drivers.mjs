// What one system call costs on each driver: both on the same cluster, in turns, in one run.
//   node test/bench/drivers.mjs [--port 7950] [--rounds 3]
// The cluster is its own, in a folder under /tmp, removed at the end. Prints a table in Markdown: microseconds each, the
// best of the rounds. The workload runs in a child process: this one starts the mounts.
import { Buffer } from "node:buffer";
import { spawnSync } from "node:child_process";
import fs from "node:fs";
import { cpus, loadavg, release } from "node:os";
import { join } from "node:path";
import { performance } from "node:perf_hooks";
import { fileURLToPath, URL } from "node:url";
import { parseArgs } from "node:util";

const script = fileURLToPath(import.meta.url);
const dfs = fileURLToPath(new URL("../../dist/cli/main.js", import.meta.url));
const KiB = 1024;
const MiB = 1024 * KiB;

const { values } = parseArgs({
  options: {
    port: { type: "string", default: "7950" },
    rounds: { type: "string", default: "3" },
    workload: { type: "string" },
  },
});
if (values.workload !== undefined) console.log(JSON.stringify(workload(values.workload)));
else compare();

/** Microseconds per operation, by name. */
function workload(folder) {
  const small = Buffer.alloc(4 * KiB, "s");
  const large = Buffer.alloc(MiB, "l");
  const path = (name) => join(folder, name);
  const took = {};
  const measure = (name, count, operation) => {
    const start = performance.now();
    for (let i = 0; i < count; i++) operation(i);
    took[name] = ((performance.now() - start) * 1000) / count;
  };

  fs.mkdirSync(folder);
  measure("create an empty file (open, close)", 200, (i) => fs.closeSync(fs.openSync(path(`f${i}`), "w")));
  measure("stat", 4000, (i) => fs.statSync(path(`f${i % 200}`)));
  measure("stat a name that is not there", 2000, () => fs.statSync(path("nobody"), { throwIfNoEntry: false }));
  measure("open and close for reading", 1000, (i) => fs.closeSync(fs.openSync(path(`f${i % 200}`), "r")));
  measure("list a directory of 200 names", 50, () => fs.readdirSync(folder));
  const fd = fs.openSync(path("content"), "w+");
  measure("write 1 MiB", 32, (i) => fs.writeSync(fd, large, 0, MiB, i * MiB));
  measure("read 1 MiB", 64, (i) => fs.readSync(fd, large, 0, MiB, (i % 32) * MiB));
  measure("write 4 KiB", 2000, (i) => fs.writeSync(fd, small, 0, small.length, i * small.length));
  measure("read 4 KiB", 2000, (i) => fs.readSync(fd, small, 0, small.length, ((i * 7919) % 2000) * small.length));
  measure("fsync after 4 KiB", 20, (i) => {
    fs.writeSync(fd, small, 0, small.length, i * small.length);
    fs.fsyncSync(fd);
  });
  fs.closeSync(fd);
  measure("unlink", 200, (i) => fs.unlinkSync(path(`f${i}`)));
  fs.rmSync(folder, { recursive: true });
  return took;
}

function compare() {
  const base = fs.mkdtempSync("/tmp/dfs-drivers-");
  const [dir, mnt] = [join(base, "cluster"), join(base, "mnt")];
  fs.mkdirSync(mnt);
  const best = { kernel: {}, "fuse-native": {} };
  const load = loadavg()[0].toFixed(1);
  try {
    run("cluster", "up", "--dir", dir, "--mount", mnt, "--port", values.port);
    run("umount", mnt);
    for (let round = 0; round < Number(values.rounds); round++) {
      for (const [driver, costs] of Object.entries(best)) {
        run("mount", "--driver", driver, "--log", join(base, "client.log"), `127.0.0.1:${values.port}`, mnt);
        const took = JSON.parse(node([script, "--workload", join(mnt, "work")]));
        for (const [name, micros] of Object.entries(took)) costs[name] = Math.min(costs[name] ?? Infinity, micros);
        run("umount", mnt);
      }
    }
  } finally {
    spawnSync("umount", ["-i", "-l", mnt], { stdio: "ignore" });
    spawnSync(process.execPath, [dfs, "cluster", "down", "--dir", dir, "--mount", mnt], { stdio: "ignore" });
    fs.rmdirSync(mnt);
    fs.rmSync(base, { recursive: true });
  }
  const rows = Object.keys(best.kernel).map((name) => [name, best.kernel[name], best["fuse-native"][name]]);
  console.log(`${cpus().length} processors, Linux ${release()}, Node ${process.version}, load before ${load}\n`);
  console.log("| one operation, µs | kernel driver | fuse-native | ratio |\n| --- | ---: | ---: | ---: |");
  for (const [name, kernel, native] of rows) {
    console.log(`| ${name} | ${kernel.toFixed(0)} | ${native.toFixed(0)} | ${(native / kernel).toFixed(1)} |`);
  }
}

function run(...args) {
  return node([dfs, ...args]);
}

function node(args) {
  const { status, stdout, stderr } = spawnSync(process.execPath, args, {
    encoding: "utf8",
    cwd: "/",
    timeout: 300_000,
  });
  if (status !== 0) throw new Error(`${args.join(" ")}: status ${status}\n${stdout}${stderr}`);
  return stdout;
}
