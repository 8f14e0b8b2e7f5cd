/** `dfs name-server`: the process that owns the metadata. */
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { limits } from "../base/limits.ts";
import { openSystemDisk } from "../base/system-disk.ts";
import { systemClock } from "../base/clock.ts";
import { openMetadataStore } from "../metadata-store/open.ts";
import { createNameServer } from "../name-server/name-server.ts";
import { peerMethods } from "../name-server/types.ts";
import { nameServerMethods } from "../protocol/name-server.ts";
import { serve } from "../rpc/open.ts";
import type { Address } from "../rpc/types.ts";
import { reportReady } from "./daemon.ts";
import { acceptedLoss } from "./accepted-loss.ts";
import { CommandFailure } from "./failure.ts";
import { lockFolder } from "./folder-lock.ts";
import { refuseHalfLoaded } from "./half-loaded.ts";
import { createLifetime } from "./lifetime.ts";
import { createLog } from "./logging.ts";
import { programVersion } from "./program-info.ts";
import { recoverInto, refuseUnfinished, type RecoverCommand } from "./recover-folder.ts";
import { readServerId } from "./server-id.ts";
import { createSurroundings } from "./surroundings.ts";

export interface NameServerCommand {
  readonly data: string;
  readonly listen: Address;
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
  refuseHalfLoaded(command.data);
  const disk = await openSystemDisk(command.data);
  const address = isAnywhere(command.listen) ? null : command.listen;
  if (command.recover === undefined) await refuseUnfinished(disk);
  else {
    const clear = (path: string): Promise<void> => rm(join(command.data, path), { recursive: true });
    await recoverInto(disk, { ...command.recover, ...{ address, surroundings, log, clear } });
  }
  const store = await openMetadataStore({ disk, clock: systemClock, log });
  store.failed.catch((error: unknown) => {
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
    copies: {
      source: store,
      server: await readServerId(disk, surroundings.random),
      address,
      loss: acceptedLoss(disk),
      waitMillis: command.recover === undefined ? 0 : limits.takeoverMillis,
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
  const starting = server.start().catch((error: unknown) => {
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

/** Such an address says nothing to others. */
function isAnywhere({ host }: Address): boolean {
  return host === "0.0.0.0" || host === "::";
}
