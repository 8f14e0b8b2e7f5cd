/** Puts a client together: session, storage nodes, content cache, POSIX behaviour. */
import { hostname } from "node:os";
import { sleep, systemClock } from "../base/clock.ts";
import { FsError } from "../base/errno.ts";
import type { SessionId } from "../base/ids.ts";
import { limits } from "../base/limits.ts";
import type { Log } from "../base/log.ts";
import { createContents } from "../cache/contents.ts";
import type { Operations } from "../fuse/operations.ts";
import { clientMethods } from "../protocol/client.ts";
import { journalMethods } from "../protocol/journal-methods.ts";
import { nameServerMethods } from "../protocol/name-server.ts";
import { storageNodeMethods } from "../protocol/storage-node.ts";
import { createBlockReader } from "../remote/block-reader.ts";
import { createBlockWriter } from "../remote/block-writer.ts";
import { connectNameServer } from "../remote/name-server-client.ts";
import { NodePool } from "../remote/node-pool.ts";
import { createNodeReports } from "../remote/node-reports.ts";
import type { KnownServers, NameServer } from "../remote/types.ts";
import { connectPeer } from "../rpc/open.ts";
import type { Address } from "../rpc/types.ts";
import { createVfs } from "../vfs/vfs.ts";
import { endSession } from "./end-session.ts";
import type { MountOptions } from "./mount-options.ts";
import { createSurroundings } from "./surroundings.ts";

export interface ClientParts {
  readonly addresses: readonly Address[];
  /** Shown by `dfs status` after the host's name. */
  readonly label: string;
  readonly options: MountOptions;
  readonly log: Log;
  /** Told of every session that is opened. */
  readonly onSession?: ((session: SessionId) => void) | undefined;
  /** See NameServerEvents. */
  readonly onServers: (servers: KnownServers) => void;
}

/** What a client takes over from one that has died. */
export interface Inheritance {
  /** Of which the kernel remembers nothing any more. */
  readonly sessions: readonly SessionId[];
  readonly servers: KnownServers | undefined;
  /** Handles that it gives are not below. */
  readonly firstHandle: number;
  /** Aborted when nobody needs the client any more. */
  readonly signal: AbortSignal;
}

/** Ends the old sessions and opens one, however long that takes: until then programs wait. */
export async function succeedClient(parts: ClientParts, inheritance: Inheritance): Promise<Operations> {
  const { sessions, servers, signal } = inheritance;
  const { log } = parts;
  const addresses = servers === undefined ? parts.addresses : [servers.address, ...parts.addresses, ...servers.nodes];
  const surroundings = createSurroundings(log, { secretFile: parts.options.secretFile });
  const ending = { surroundings, addresses, clientName: clientNameOf(parts), signal };
  await Promise.all(sessions.map((session) => endSession(session, ending)));
  for (;;) {
    signal.throwIfAborted();
    try {
      return await connectClient(parts, inheritance);
    } catch (error) {
      if (!(error instanceof FsError)) throw error;
      log.error({ problem: error.message }, "no session for the mount that was taken over: trying again");
      await sleep(systemClock, limits.reconnectMillisMax, signal);
    }
  }
}

/** Opens a session; `stop` of the operations ends it. Rejects with FsError when no server answers or it refuses. */
export async function connectClient(parts: ClientParts, inheritance?: Inheritance): Promise<Operations> {
  const { addresses, options, log } = parts;
  const surroundings = createSurroundings(log, { secretFile: options.secretFile });
  const { random } = surroundings;
  const clock = systemClock;
  const clientName = clientNameOf(parts);
  const vfs = createVfs({
    clock,
    log,
    accessTimes: options.accessTimes,
    ...(inheritance === undefined ? {} : { firstHandle: inheritance.firstHandle }),
  });
  /** Once its session is open. */
  const opened: { nameServer?: NameServer } = {};
  const tellSession = (): void => {
    if (opened.nameServer !== undefined) parts.onSession?.(opened.nameServer.session);
  };
  const session = await connectNameServer({
    addresses,
    connect: (address, how) =>
      connectPeer(surroundings, { ...how, address, ownTable: clientMethods, remoteTable: nameServerMethods }),
    connectNode: (address, how) =>
      connectPeer(surroundings, { ...how, address, ownTable: {}, remoteTable: journalMethods }),
    clock,
    random,
    log,
    clientName,
    events: {
      ...vfs.events,
      onSession(state) {
        tellSession();
        return vfs.events.onSession(state);
      },
      onServers: parts.onServers,
    },
    timeoutMillis: options.timeoutMillis,
    before: inheritance?.servers,
    signal: inheritance?.signal,
  });
  const nameServer = vfs.leased(session);
  opened.nameServer = nameServer;
  tellSession();
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

function clientNameOf({ label }: ClientParts): string {
  return `${hostname()}:${label}`.slice(0, 255);
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
