/** `dfs mount`: the client. In the foreground it serves until unmounted; else it starts itself in the background. */
import { mkdirSync } from "node:fs";
import { resolve } from "node:path";
import { systemClock } from "../base/clock.ts";
import { FsError } from "../base/errno.ts";
import type { Log } from "../base/log.ts";
import { mountFuse } from "../fuse/driver.ts";
import { checkMountPoint } from "../fuse/mount-point.ts";
import type { Operations } from "../fuse/operations.ts";
import { loadFuseNativeDriver } from "./fuse-native-mount.ts";
import type { Address } from "../rpc/types.ts";
import { connectClient } from "./client.ts";
import { reportReady, startDaemon } from "./daemon.ts";
import { CommandFailure } from "./failure.ts";
import { letHeapGrow } from "./heap-growth.ts";
import { createLifetime } from "./lifetime.ts";
import { createLog } from "./logging.ts";
import type { MountOptions } from "./mount-options.ts";
import { recordMount } from "./mounts.ts";
import { formatAddress } from "./usage.ts";

export interface MountCommand {
  readonly addresses: readonly Address[];
  readonly mountPoint: string;
  readonly options: MountOptions;
  readonly foreground: boolean;
  readonly debug: boolean;
  /** The command's own arguments, to start it again in the background. */
  readonly args: readonly string[];
  readonly logFile: string | undefined;
}

const logFolder = "/var/log/dfs";

export async function runMount(command: MountCommand): Promise<number> {
  if (command.foreground) return serveMount(command);
  const logFile = command.logFile ?? defaultLogFile(command.mountPoint);
  await startDaemon(["mount", "-f", ...command.args], { logFile });
  return 0;
}

function defaultLogFile(mountPoint: string): string {
  mkdirSync(logFolder, { recursive: true, mode: 0o755 });
  return `${logFolder}/mount${resolve(mountPoint).replaceAll("/", "-")}.log`;
}

async function serveMount(command: MountCommand): Promise<number> {
  const { addresses, mountPoint, options, debug } = command;
  letHeapGrow();
  const log = createLog("client", { debug });
  const lifetime = createLifetime(log);
  const fuseNative = options.driver === "fuse-native" ? await loadFuseNativeDriver() : undefined;
  // Before a session begins: servers may be long in coming, a mistake is told at once.
  if (fuseNative === undefined) await checkMountPoint(mountPoint, systemClock);
  const source = addresses.map(formatAddress).join(",");
  const operations = await connect(command, source, log);
  const driver = { mountPoint, source, operations, log };
  const mount =
    fuseNative === undefined
      ? await mountFuse({
          ...driver,
          clock: systemClock,
          options: { mountOptions: options.kernelOptions, locks: options.locks },
        })
      : await fuseNative({ ...driver, kernelOptions: options.kernelOptions });
  const record = recordMount(mountPoint);
  log.info({ mountPoint, source, driver: options.driver }, "mounted");
  reportReady();
  mount.ended.then(
    () => {
      lifetime.finish();
    },
    (error: unknown) => {
      lifetime.fail(error);
    },
  );
  const status = await lifetime.over;
  await mount.unmount();
  await mount.ended.catch(() => undefined);
  record.forget();
  log.info({ mountPoint, requests: mount.statistics.requests }, "unmounted");
  return status;
}

async function connect(
  { addresses, mountPoint, options }: MountCommand,
  source: string,
  log: Log,
): Promise<Operations> {
  try {
    return await connectClient({ addresses, label: resolve(mountPoint), options, log });
  } catch (cause) {
    if (!(cause instanceof FsError)) throw cause;
    throw new CommandFailure(`no session with the name server at ${source}: ${cause.message}`, { cause });
  }
}
