#!/usr/bin/env node
/** /sbin/umount.fuse.dfs, which umount(8) calls for mounts of this type: umount.fuse.dfs DIRECTORY [-flnrv]. */
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";

const [directory, ...flags] = process.argv.slice(2);
if (directory === undefined) {
  console.error("usage: umount.fuse.dfs DIRECTORY");
  process.exit(1);
}
const main = fileURLToPath(new URL("./main.js", import.meta.url));
const lazy = flags.includes("-l") || flags.includes("-f") ? ["-l"] : [];
const { status } = spawnSync(process.execPath, [main, "umount", ...lazy, directory], { stdio: "inherit" });
process.exit(status ?? 32);
