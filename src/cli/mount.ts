/**
 * `dfs mount`: the client. In the foreground it serves until unmounted; else it starts itself in the background. Over
 * /dev/fuse it is two processes: a supervisor (supervise.ts) and the driver that it starts (mount-driver.ts).
 */
import { mkdirSync } from "node:fs";
import { resolve } from "node:path";
import { startDaemon } from "./daemon.ts";
import type { MountCommand } from "./mount-command.ts";
import { superviseMount } from "./supervise.ts";

const logFolder = "/var/log/dfs";

export async function runMount(command: MountCommand): Promise<number> {
  if (command.supervised || (command.foreground && command.options.driver !== "kernel")) {
    return (await import("./mount-driver.ts")).serveMount(command);
  }
  if (command.foreground) return superviseMount(command.mountPoint, ["mount", "-f", "--supervised", ...command.args]);
  const logFile = command.logFile ?? defaultLogFile(command.mountPoint);
  await startDaemon(["mount", "-f", ...command.args], { logFile });
  return 0;
}

function defaultLogFile(mountPoint: string): string {
  mkdirSync(logFolder, { recursive: true, mode: 0o755 });
  return `${logFolder}/mount${resolve(mountPoint).replaceAll("/", "-")}.log`;
}
