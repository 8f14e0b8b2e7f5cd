/** Puts a client together: session, storage nodes, content cache, POSIX behaviour. */
import { hostname } from "node:os";
import { systemClock } from "../base/clock.ts";
import { limits } from "../base/limits.ts";
import type { Log } from "../base/log.ts";
import { createContents } from "../cache/contents.ts";
import type { Operations } from "../fuse/operations.ts";
import { clientMethods } from "../protocol/client.ts";
import { nameServerMethods } from "../protocol/name-server.ts";
import { storageNodeMethods } from "../protocol/storage-node.ts";
import { createBlockReader } from "../remote/block-reader.ts";
import { createBlockWriter } from "../remote/block-writer.ts";
import { connectNameServer } from "../remote/name-server-client.ts";
import { NodePool } from "../remote/node-pool.ts";
import { createNodeReports } from "../remote/node-reports.ts";
import { connectPeer } from "../rpc/open.ts";
import type { Address } from "../rpc/types.ts";
import { createVfs } from "../vfs/vfs.ts";
import type { MountOptions } from "./mount-options.ts";
import { createSurroundings } from "./surroundings.ts";

/** Opens a session; `stop` of the operations ends it. Rejects with FsError when no server answers or it refuses. */
export async function connectClient(parts: {
  addresses: readonly Address[];
  /** Shown by `dfs status` after the host's name. */
  label: string;
  options: MountOptions;
  log: Log;
}): Promise<Operations> {
  const { addresses, options, log } = parts;
  const surroundings = createSurroundings(log, { secretFile: options.secretFile });
  const { random } = surroundings;
  const clock = systemClock;
  const clientName = `${hostname()}:${parts.label}`.slice(0, 255);
  const vfs = createVfs({ clock, log, accessTimes: options.accessTimes });
  const session = await connectNameServer({
    addresses,
    connect: (address, how) =>
      connectPeer(surroundings, { ...how, address, ownTable: clientMethods, remoteTable: nameServerMethods }),
    clock,
    random,
    log,
    clientName,
    events: vfs.events,
    timeoutMillis: options.timeoutMillis,
  });
  const nameServer = vfs.leased(session);
  const nodes = new NodePool({
    connect: (address, how) =>
      connectPeer(surroundings, { ...how, address, ownTable: {}, remoteTable: storageNodeMethods }),
    clock,
    log,
    clientName,
    map: () => nameServer.map,
  });
  const reports = createNodeReports({ nameServer, clock, log });
  const contents = createContents({
    nameServer,
    reader: createBlockReader({ nameServer, nodes, reports, clock, log }),
    writer: createBlockWriter({ nameServer, nodes, reports, clock, log }),
    clock,
    log,
    limits: memoryLimits(options.memoryBytes),
  });
  const operations = vfs.attach({ nameServer, contents });
  return {
    ...operations,
    async stop() {
      await operations.stop();
      nodes.close();
    },
  };
}

function memoryLimits(memoryBytes: number | undefined): typeof limits {
  if (memoryBytes === undefined) return limits;
  const scale = memoryBytes / limits.clientMemoryBytes;
  return {
    ...limits,
    clientDirtyBytesMax: Math.floor(limits.clientDirtyBytesMax * scale),
    clientCleanBytesMax: Math.floor(limits.clientCleanBytesMax * scale),
  };
}
