/** `dfs name-server`: the process that owns the metadata. */
import { openSystemDisk } from "../base/system-disk.ts";
import { systemClock } from "../base/clock.ts";
import { openMetadataStore } from "../metadata-store/open.ts";
import { createNameServer } from "../name-server/name-server.ts";
import { peerMethods } from "../name-server/types.ts";
import { nameServerMethods } from "../protocol/name-server.ts";
import { serve } from "../rpc/open.ts";
import type { Address } from "../rpc/types.ts";
import { reportReady } from "./daemon.ts";
import { lockFolder } from "./folder-lock.ts";
import { refuseHalfLoaded } from "./half-loaded.ts";
import { createLifetime } from "./lifetime.ts";
import { createLog } from "./logging.ts";
import { programVersion } from "./program-info.ts";
import { createSurroundings } from "./surroundings.ts";

export interface NameServerCommand {
  readonly data: string;
  readonly listen: Address;
  readonly replicas: number;
  /** Seconds of silence after which a storage node is down, and out. */
  readonly downAfter: number;
  readonly outAfter: number;
  readonly secretFile?: string;
  readonly debug: boolean;
}

export async function runNameServer(command: NameServerCommand): Promise<number> {
  const log = createLog("name-server", { debug: command.debug });
  const lifetime = createLifetime(log);
  const surroundings = createSurroundings(log, { secretFile: command.secretFile, serving: command.listen });
  const lock = await lockFolder(command.data);
  refuseHalfLoaded(command.data);
  const disk = await openSystemDisk(command.data);
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
      version: programVersion(),
      nodeDownMillis: command.downAfter * 1000,
      nodeOutMillis: command.outAfter * 1000,
    },
    space: () => disk.space(),
  });
  await server.start();
  const listener = await serve(surroundings, {
    address: command.listen,
    hello: { role: "name-server", id: server.cluster },
    ownTable: nameServerMethods,
    handlers: server.handlers,
    remoteTable: peerMethods,
    onPeer: (peer) => {
      server.connected(peer);
    },
  });
  log.info({ ...listener.address, data: command.data }, "serving");
  reportReady();
  const status = await lifetime.over;
  await server.close();
  await listener.close();
  if (status === 0) await store.close();
  await lock.release();
  return status;
}
