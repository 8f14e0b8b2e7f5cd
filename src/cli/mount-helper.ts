#!/usr/bin/env node
/**
 * /sbin/mount.dfs, which mount(8) calls for a line of /etc/fstab: mount.dfs SOURCE DIRECTORY [-sfnv] [-o OPTIONS].
 * It says the same to `dfs mount`.
 */
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";

const [source, directory, ...flags] = process.argv.slice(2);
const main = fileURLToPath(new URL("./main.js", import.meta.url));
const at = flags.indexOf("-o");
const options = at < 0 ? [] : ["-o", flags[at + 1] ?? ""];
if (source === undefined || directory === undefined) {
  console.error("usage: mount.dfs HOST:PORT DIRECTORY [-o OPTIONS]");
  process.exit(1);
}
// -f: everything but the mount itself.
if (flags.includes("-f")) process.exit(0);
const { status } = spawnSync(process.execPath, [main, "mount", ...options, source, directory], { stdio: "inherit" });
// mount(8): 32 is "mount failure", 1 "incorrect invocation".
process.exit(status === 0 ? 0 : status === 2 ? 1 : 32);
