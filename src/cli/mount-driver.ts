/** The process that serves a mount: alone (fuse-native), or under a supervisor, from which it may take a mount over. */
import { resolve } from "node:path";
import { systemClock } from "../base/clock.ts";
import { FsError } from "../base/errno.ts";
import type { Log } from "../base/log.ts";
import { mountFuse } from "../fuse/driver.ts";
import { checkMountPoint, probeMount } from "../fuse/mount-point.ts";
import type { Operations } from "../fuse/operations.ts";
import type { FuseMount } from "../fuse/serve.ts";
import { takeOverFuse } from "../fuse/take-over.ts";
import { connectClient, succeedClient, type ClientParts } from "./client.ts";
import { reportReady } from "./daemon.ts";
import { CommandFailure } from "./failure.ts";
import { loadFuseNativeDriver } from "./fuse-native-mount.ts";
import { letHeapGrow } from "./heap-growth.ts";
import { createLifetime, type Lifetime } from "./lifetime.ts";
import { createLog } from "./logging.ts";
import type { MountCommand } from "./mount-command.ts";
import { mountAt, mountServer, recordMount } from "./mounts.ts";
import { meetSupervisor, type Supervisor } from "./supervised.ts";
import { driverFds, type Estate } from "./supervision.ts";
import { umount } from "./umount.ts";
import { formatAddress } from "./usage.ts";

/** A mount command with what its process has by now. */
interface Serving {
  readonly command: MountCommand;
  readonly source: string;
  readonly log: Log;
  readonly lifetime: Lifetime;
}

export async function serveMount(command: MountCommand): Promise<number> {
  letHeapGrow();
  const log = createLog("client", { debug: command.debug });
  const lifetime = createLifetime(log);
  const serving = { command, source: command.addresses.map(formatAddress).join(","), log, lifetime };
  return command.supervised ? serveSupervised(serving, await meetSupervisor(systemClock)) : serveAlone(serving);
}

async function serveAlone(serving: Serving): Promise<number> {
  const { command, source, log } = serving;
  const { mountPoint, options } = command;
  const fuseNative = await loadFuseNativeDriver();
  const operations = await connect(serving);
  const mount = await fuseNative({ mountPoint, source, operations, log, kernelOptions: options.kernelOptions });
  const record = recordMount(mountPoint);
  log.info({ mountPoint, source, driver: options.driver }, "mounted");
  reportReady();
  const status = await untilOver(mount, serving);
  record.forget();
  return status;
}

async function serveSupervised(serving: Serving, supervisor: Supervisor): Promise<number> {
  const { log, lifetime } = serving;
  void supervisor.lost.then(() => {
    log.error({}, "the supervisor has died: nobody would notice if this process stood still; unmounting");
    lifetime.finish();
  });
  void lifetime.over.then(() => {
    supervisor.ending();
  });
  const { estate, generation } = supervisor.start;
  const mount =
    estate === undefined
      ? await mountSupervised(serving, supervisor)
      : takeOver(serving, supervisor, estate, generation);
  return untilOver(mount, serving);
}

async function mountSupervised(serving: Serving, supervisor: Supervisor): Promise<FuseMount> {
  const { command, source, log } = serving;
  const { mountPoint, options } = command;
  // Before a session begins: servers may be long in coming, a mistake is told at once.
  await replaceDeadMount(mountPoint, log);
  await checkMountPoint(mountPoint, systemClock);
  const operations = await connect(serving, supervisor);
  const mount = await mountFuse({
    mountPoint,
    source,
    operations,
    log,
    clock: systemClock,
    options: { mountOptions: options.kernelOptions, locks: options.locks },
    replaceable: {
      fd: driverFds.device,
      notes: driverFds.notes,
      onConnected: (negotiated, device) => {
        supervisor.connected(negotiated, device);
      },
      onDisconnected: () => {
        supervisor.over();
      },
    },
  });
  log.info({ mountPoint, source, driver: options.driver }, "mounted");
  supervisor.ready();
  return mount;
}

function takeOver(serving: Serving, supervisor: Supervisor, estate: Estate, generation: number): FuseMount {
  const { command, source, log } = serving;
  const mountPoint = resolve(command.mountPoint);
  log.warn({ mountPoint, generation }, "taking a mount over from a driver that has died");
  return takeOverFuse({
    mountPoint,
    fd: driverFds.device,
    notes: driverFds.notes,
    negotiated: estate.negotiated,
    locks: command.options.locks,
    generation,
    connect: (firstHandle, signal) =>
      succeedClient(clientParts(serving, supervisor), {
        sessions: estate.sessions,
        servers: estate.servers,
        firstHandle,
        signal,
      }),
    waitMillis: command.options.timeoutMillis,
    onServing() {
      log.info({ mountPoint, source, generation }, "the mount goes on");
      supervisor.ready();
    },
    onFailed(error) {
      log.error({ err: error }, "the mount could not be taken over");
      // Not in order, which would unmount it: the supervisor starts another one.
      process.kill(process.pid, "SIGKILL");
    },
    onDisconnected() {
      supervisor.over();
    },
    log,
    clock: systemClock,
  });
}

/** Unmounts when this process has to end, and waits until the connection is over and everything is flushed. */
async function untilOver(mount: FuseMount, { command, log, lifetime }: Serving): Promise<number> {
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
  log.info({ mountPoint: command.mountPoint, requests: mount.statistics.requests }, "unmounted");
  return status;
}

/** One whose processes have all died: nobody can use it, and it keeps the place. */
async function replaceDeadMount(mountPoint: string, log: Log): Promise<void> {
  const isOurs = mountAt(mountPoint)?.type === "fuse.dfs" && mountServer(mountPoint) === undefined;
  if (!isOurs || (await probeMount(resolve(mountPoint), systemClock)) !== "dead") return;
  log.warn({ mountPoint }, "a dead mount is replaced");
  await umount(mountPoint, { lazy: true });
}

async function connect(serving: Serving, supervisor?: Supervisor): Promise<Operations> {
  try {
    return await connectClient(clientParts(serving, supervisor));
  } catch (cause) {
    if (!(cause instanceof FsError)) throw cause;
    throw new CommandFailure(`no session with the name server at ${serving.source}: ${cause.message}`, { cause });
  }
}

function clientParts({ command, log }: Serving, supervisor: Supervisor | undefined): ClientParts {
  return {
    addresses: command.addresses,
    label: resolve(command.mountPoint),
    options: command.options,
    log,
    onSession: (session) => supervisor?.session(session),
    onServers: (servers) => {
      supervisor?.servers(servers);
    },
  };
}
