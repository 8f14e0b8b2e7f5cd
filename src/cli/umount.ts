/**
 * `dfs umount MNT`: everything written is at the servers before the mount goes, and the serving process has ended before
 * this returns. (umount(2) alone tells the driver nothing and waits for nothing.)
 */
import { spawnSync } from "node:child_process";
import { resolve } from "node:path";
import { ended } from "./daemon.ts";
import { CommandFailure } from "./failure.ts";
import { mountAt, mountServer } from "./mounts.ts";

/** umount(8)'s exit status for a failed unmount. */
const umountFailed = 32;
const flushMillis = 120_000;

export async function umount(mountPoint: string, options: { lazy: boolean }): Promise<void> {
  const path = resolve(mountPoint);
  const entry = mountAt(path);
  if (entry === undefined) throw new CommandFailure(`${path} is not mounted`, { status: umountFailed });
  if (!entry.type.startsWith("fuse.dfs")) {
    throw new CommandFailure(`${path} is a ${entry.type} filesystem, not dfs`, { status: umountFailed });
  }
  const server = mountServer(path);
  if (server !== undefined && !options.lazy) flush(path);
  const args = ["-i", ...(options.lazy || server === undefined ? ["-l"] : []), path];
  const result = spawnSync("umount", args, { stdio: ["ignore", "ignore", "pipe"], encoding: "utf8" });
  if (result.status !== 0) {
    throw new CommandFailure(result.stderr.trim() || `umount ${path} failed`, { status: umountFailed });
  }
  if (server !== undefined && !options.lazy && !(await ended(server, flushMillis))) {
    throw new CommandFailure(`unmounted, but process ${String(server.pid)} still writes to the servers`, {
      status: umountFailed,
    });
  }
}

/**
 * fsync of the root directory is the driver's sign to flush everything (see SEMANTICS.md). In a child process: this one
 * must not hang in the kernel when the servers are gone.
 */
function flush(path: string): void {
  const result = spawnSync("sync", [path], {
    stdio: ["ignore", "ignore", "pipe"],
    encoding: "utf8",
    timeout: flushMillis,
    killSignal: "SIGKILL",
  });
  if (result.status === 0) return;
  const why = result.error === undefined ? result.stderr.trim() : "the servers do not answer";
  throw new CommandFailure(`${path}: not everything could be written (${why}); still mounted`, {
    status: umountFailed,
  });
}
