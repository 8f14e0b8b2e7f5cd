/** `dfs name-server`: the process that owns the metadata. */
import { statfsSync } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { openSystemDisk } from "../base/system-disk.ts";
import { systemClock } from "../base/clock.ts";
import { limits } from "../base/limits.ts";
import type { Store } from "../metadata-store/open.ts";
import { createNameServer } from "../name-server/name-server.ts";
import { peerMethods } from "../name-server/types.ts";
import { nameServerMethods } from "../protocol/name-server.ts";
import { serve } from "../rpc/open.ts";
import type { Address, Listener } from "../rpc/types.ts";
import { reportReady } from "./daemon.ts";
import { acceptedLoss } from "./accepted-loss.ts";
import { CommandFailure } from "./failure.ts";
import { lockFolder } from "./folder-lock.ts";
import { refuseHalfLoaded } from "./half-loaded.ts";
import { knownCopiesWriter } from "./known-copies.ts";
import { createLifetime, type Lifetime } from "./lifetime.ts";
import { createLog } from "./logging.ts";
import { openMended, type Mending } from "./mend-folder.ts";
import { nodeConnections } from "./node-connections.ts";
import { programVersion } from "./program-info.ts";
import { hasServed, recoverInto, refuseUnfinished, takeoverWaitMillis, type RecoverCommand } from "./recover-folder.ts";
import { serveRefusals } from "./refusing-server.ts";
import { readServerId } from "./server-id.ts";
import { createSurroundings } from "./surroundings.ts";

export interface NameServerCommand {
  readonly data: string;
  readonly listen: Address;
  /** Where others reach it; absent: where it listens. */
  readonly advertise?: Address;
  readonly replicas: number;
  /** Absent: as many as `replicas`. */
  readonly minReplicas?: number;
  /** Seconds of silence after which a storage node is down, and out. */
  readonly downAfter: number;
  readonly outAfter: number;
  /** Make the folder anew from these storage nodes' copies. */
  readonly recover?: RecoverCommand;
  readonly secretFile?: string;
  readonly debug: boolean;
}

export async function runNameServer(command: NameServerCommand): Promise<number> {
  if (command.minReplicas !== undefined && command.minReplicas > command.replicas)
    throw new CommandFailure("--min-replicas must not be more than --replicas");
  const log = createLog("name-server", { debug: command.debug });
  const lifetime = createLifetime(log);
  const surroundings = createSurroundings(log, { secretFile: command.secretFile, serving: command.listen });
  const lock = await lockFolder(command.data);
  const sayIfFull = (): void => {
    if (isDiskFull(command.data))
      log.error(
        { data: command.data },
        "the name server's disk is full: make room on it, then start again; nothing that was acknowledged is lost",
      );
  };
  // LMDB also throws what it could not write where nobody can catch it, sometimes before it rejects.
  process.on("uncaughtExceptionMonitor", sayIfFull);
  refuseHalfLoaded(command.data);
  const disk = await openSystemDisk(command.data);
  const address = command.advertise ?? (isAnywhere(command.listen) ? null : command.listen);
  if (address === null)
    log.warn({}, "storage nodes cannot tell anybody where this name server is: give it --advertise HOST:PORT");
  if (command.recover === undefined) await refuseUnfinished(disk);
  else {
    const clear = (path: string): Promise<void> => rm(join(command.data, path), { recursive: true });
    await recoverInto(disk, { ...command.recover, ...{ address, surroundings, log, clear } });
  }
  const serverId = await readServerId(disk, surroundings.random);
  const store = await openStore(command, { ...{ disk, server: serverId, address, surroundings, log }, lifetime });
  if (store === undefined) return lifetime.over;
  store.failed.catch((error: unknown) => {
    sayIfFull();
    lifetime.fail(error);
  });
  const server = createNameServer({
    store,
    clock: systemClock,
    random: surroundings.random,
    log,
    options: {
      replicas: command.replicas,
      minReplicas: command.minReplicas,
      version: programVersion(),
      nodeDownMillis: command.downAfter * 1000,
      nodeOutMillis: command.outAfter * 1000,
    },
    space: () => disk.space(),
    disk,
    copies: {
      source: store,
      server: serverId,
      address,
      connect: nodeConnections(surroundings, serverId),
      onRegister: knownCopiesWriter(disk, log),
      loss: acceptedLoss(disk),
      waitMillis: await takeoverWaitMillis(disk),
    },
  });
  server.deposed?.catch((error: unknown) => {
    lifetime.fail(error);
  });
  const listener = await serve(surroundings, {
    address: command.listen,
    hello: { role: "name-server", id: "name-server" },
    ownTable: nameServerMethods,
    handlers: server.handlers,
    remoteTable: peerMethods,
    onPeer: (peer) => {
      server.connected(peer);
    },
  });
  // It may have to wait for storage nodes, which have to find it.
  const starting = server
    .start()
    .then(() => hasServed(disk))
    .catch((error: unknown) => {
      lifetime.fail(error);
    });
  log.info({ ...listener.address, data: command.data }, "listening");
  reportReady();
  const status = await lifetime.over;
  await server.close();
  await listener.close();
  await starting;
  if (status === 0) await store.close();
  await lock.release();
  return status;
}

/** No room for another journal file. Synchronously: the process may end in this turn. */
function isDiskFull(folder: string): boolean {
  const { bavail, bsize } = statfsSync(folder);
  return bavail * bsize < limits.journalFileBytes;
}

/** Undefined: the process was told to end while it waited for storage nodes. */
async function openStore(
  { listen }: NameServerCommand,
  parts: Omit<Mending, "onWaiting" | "signal"> & { lifetime: Lifetime },
): Promise<Store | undefined> {
  const { lifetime, surroundings, log } = parts;
  const ending = new AbortController();
  void lifetime.over.then(() => {
    ending.abort();
  });
  let waitsFor = "";
  let refusing: Listener | undefined;
  const onWaiting = async (reason: string): Promise<void> => {
    if (reason !== waitsFor) log.warn({}, reason);
    waitsFor = reason;
    refusing ??= await serveRefusals(surroundings, listen, () => waitsFor);
    reportReady();
  };
  try {
    return await openMended({ ...parts, onWaiting, signal: ending.signal });
  } catch (error) {
    if (ending.signal.aborted) return undefined;
    throw error;
  } finally {
    await refusing?.close();
  }
}

/** Such an address says nothing to others. */
function isAnywhere({ host }: Address): boolean {
  return host === "0.0.0.0" || host === "::";
}
