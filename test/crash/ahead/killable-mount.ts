/**
 * A mount whose client is to be killed: all of its processes, also one that would start another one again. Nothing here
 * touches the mount.
 */
import { spawn, spawnSync, type ChildProcess } from "node:child_process";
import { closeSync, mkdirSync, openSync, readdirSync, readFileSync, rmdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { mountServer } from "../../../src/cli/mounts.ts";
import { eventually, isMounted, isRunning } from "../../mounted/acting.ts";

const main = fileURLToPath(new URL("../../../dist/cli/main.js", import.meta.url));

export class KillableMount {
  readonly mnt: string;
  readonly #child: ChildProcess;

  constructor(address: string, mnt: string, logFile: string) {
    this.mnt = mnt;
    mkdirSync(mnt, { recursive: true });
    const log = openSync(logFile, "a");
    this.#child = spawn(process.execPath, [main, "mount", "-f", address, mnt], {
      cwd: "/",
      stdio: ["ignore", log, log],
    });
    closeSync(log);
  }

  async ready(): Promise<void> {
    const isServed = (): boolean => isMounted(this.mnt) && mountServer(this.mnt) !== undefined;
    await eventually(`${this.mnt} is mounted`, isServed);
  }

  /** The one that was started and the one that serves, with those that they started: parents first. */
  pids(): number[] {
    const serving = mountServer(this.mnt)?.pid;
    const roots = [this.#child.pid, serving].filter((pid) => pid !== undefined);
    return [...new Set(roots.flatMap(withDescendants))];
  }

  kill(): void {
    for (const pid of this.pids()) if (isRunning(pid)) process.kill(pid, "SIGKILL");
  }

  /** After its processes have been killed, or whatever state it is in. */
  async remove(): Promise<void> {
    const pids = this.pids();
    this.kill();
    await eventually(`the client of ${this.mnt} has ended`, () => !pids.some(isRunning));
    if (isMounted(this.mnt)) spawnSync("umount", ["-i", "-l", this.mnt], { stdio: "ignore" });
    rmdirSync(this.mnt);
  }
}

function withDescendants(pid: number): number[] {
  const parents = new Map<number, number>();
  for (const name of readdirSync("/proc")) {
    if (/^\d+$/.test(name)) parents.set(Number(name), parentOf(Number(name)));
  }
  const found = [pid];
  for (const parent of found) for (const [child, of] of parents) if (of === parent) found.push(child);
  return found;
}

/** 0: it has just ended. */
function parentOf(pid: number): number {
  try {
    return Number(/^PPid:\s+(\d+)$/m.exec(readFileSync(`/proc/${String(pid)}/status`, "latin1"))?.[1] ?? 0);
  } catch {
    return 0;
  }
}
