/** Processes as /proc shows them: which serve a mount (whether or not one supervises the other), and whether one runs. */
import { readdirSync, readFileSync } from "node:fs";

interface DfsProcess {
  readonly pid: number;
  readonly parent: number;
  readonly args: readonly string[];
}

/** Whether it has not ended; one that nobody has waited for has. */
export function isAlive(pid: number): boolean {
  try {
    return !readFileSync(`/proc/${String(pid)}/stat`, "latin1").includes(") Z ");
  } catch {
    return false;
  }
}

/** Stops the driver of the mount until `thaw`, which is harmless when it has been killed meanwhile. */
export function freezeDriver(mountPoint: string): { thaw(): void } {
  const pid = driverOf(mountPoint);
  process.kill(pid, "SIGSTOP");
  return {
    thaw() {
      signal(pid, "SIGCONT");
    },
  };
}

/** Whatever serves the mount, stopped or not, ends at once. */
export function killServersOf(mountPoint: string): void {
  for (const { pid } of serversOf(mountPoint)) signal(pid, "SIGKILL");
}

/** The one that has started none of the others. */
function driverOf(mountPoint: string): number {
  const servers = serversOf(mountPoint);
  const parents = new Set(servers.map(({ parent }) => parent));
  const driver = servers.find(({ pid }) => !parents.has(pid));
  if (driver === undefined) throw new Error(`no process serves ${mountPoint}`);
  return driver.pid;
}

function serversOf(mountPoint: string): DfsProcess[] {
  return readdirSync("/proc").flatMap((entry) => {
    const found = /^\d+$/.test(entry) ? look(entry) : undefined;
    if (found?.args.some((arg) => arg.endsWith("/cli/main.js")) !== true) return [];
    return found.args.includes("mount") && found.args.includes(mountPoint) ? [found] : [];
  });
}

function look(pid: string): DfsProcess | undefined {
  try {
    const args = readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0");
    const parent = /^PPid:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, "latin1"))?.[1];
    return { pid: Number(pid), parent: Number(parent), args };
  } catch {
    // It has ended.
    return undefined;
  }
}

function signal(pid: number, name: "SIGCONT" | "SIGKILL"): void {
  try {
    process.kill(pid, name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}
