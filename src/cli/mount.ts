/** `dfs mount`: the client. In the foreground it serves until unmounted; else it starts itself in the background. */
import { mkdirSync } from "node:fs";
import { resolve } from "node:path";
import { systemClock } from "../base/clock.ts";
import { mountFuse } from "../fuse/driver.ts";
import { loadFuseNativeDriver } from "./fuse-native-mount.ts";
import type { Address } from "../rpc/types.ts";
import { connectClient } from "./client.ts";
import { reportReady, startDaemon } from "./daemon.ts";
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

async function serveMount({ addresses, mountPoint, options, debug }: MountCommand): Promise<number> {
  letHeapGrow();
  const log = createLog("client", { debug });
  const lifetime = createLifetime(log);
  const fuseNative = options.driver === "fuse-native" ? await loadFuseNativeDriver() : undefined;
  const operations = await connectClient({ addresses, label: resolve(mountPoint), options, log });
  const source = addresses.map(formatAddress).join(",");
  const driver = { mountPoint, source, operations, log };
  const mount =
    fuseNative === undefined
      ? await mountFuse({ ...driver, clock: systemClock, options: { mountOptions: options.kernelOptions } })
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
