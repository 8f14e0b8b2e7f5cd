/** The server processes of the simulated world, as `cli/` puts them together, each started on what its host's disk kept. */
import type { Disk } from "../../src/base/disk.ts";
import { openIdentity, type NodeIdentity } from "../../src/block-store/identity.ts";
import { memoryBackend } from "../../src/block-store/memory-backend.ts";
import { openBlockStore } from "../../src/block-store/open.ts";
import type { BlockStore } from "../../src/block-store/types.ts";
import { nodeConnections } from "../../src/cli/node-connections.ts";
import { hasServed, recoverInto, takeoverWaitMillis } from "../../src/cli/recover-folder.ts";
import { readServerId } from "../../src/cli/server-id.ts";
import { openMemoryStore } from "../../src/metadata-store/open.ts";
import { createNameServer } from "../../src/name-server/name-server.ts";
import { peerMethods, type NameServer } from "../../src/name-server/types.ts";
import { nameServerMethods } from "../../src/protocol/name-server.ts";
import { serve, type Surroundings } from "../../src/rpc/open.ts";
import type { Address } from "../../src/rpc/types.ts";
import { createStorageNode } from "../../src/storage-node/node.ts";
import { JournalKeeper } from "../../src/storage-node/journal-keeper.ts";
import { Scrub } from "../../src/storage-node/scrub.ts";
import { FaultyDisk } from "../support/faulty-disk.ts";
import { diskOf, indexOf } from "./disk.ts";
import type { Machine } from "./machine.ts";
import type { Network } from "./network.ts";
import type { Shape } from "./shape.ts";

const MiB = 1024 * 1024;
/** So small that files are closed, recycled and trimmed within a run. */
const journalFileBytes = 64 * 1024;
const snapshotJournalBytes = 256 * 1024;
const overlayBytesMax = 1 * MiB;
export const diskBytes = 256 * MiB;
/** Of the name server's disk: below it nothing grows. */
export const reserveBytes = 4 * MiB;

/** Where name servers may be: the first, and those that take over. */
export const nameServerHosts = ["names", "names-2", "names-3"] as const;
export const namePort = 7400;
export const nameServerAddresses: readonly Address[] = nameServerHosts.map((host) => ({ host, port: namePort }));
export const storagePort = 7500;

/** What outlives the processes of one host. */
export interface Host {
  readonly name: string;
  disk: FaultyDisk;
  /** Of a storage node: what its index has committed. */
  readonly index: ReturnType<typeof memoryBackend>;
  /** What a disk operation takes at most. */
  readonly slowness: { millis: number };
}

export interface RunningNameServer {
  readonly kind: "name-server";
  readonly server: NameServer;
}
export interface RunningStorageNode {
  readonly kind: "storage-node";
  readonly store: BlockStore;
  readonly identity: NodeIdentity;
}

export interface Place {
  readonly machine: Machine;
  readonly network: Network;
  readonly host: Host;
  /** The process ends by its own decision: its store has failed. */
  readonly onFailed: (error: unknown) => void;
}

export function surroundingsOf(machine: Machine, network: Network): Surroundings {
  const { clock, random, log } = machine;
  return { transport: network.transportOf(machine), clock, random, log };
}

/** @param nodes where to recover from, when the disk has no whole folder of a name server */
export async function startNameServer(
  { machine, network, host, onFailed }: Place,
  { replicas, nodeOutMillis, compareRoundMillis }: Shape,
  nodes: readonly Address[] | undefined,
): Promise<RunningNameServer> {
  const { clock, random, log } = machine;
  const disk = diskOf(machine, host.disk, host.slowness);
  const address = { host: machine.host, port: namePort };
  const surroundings = surroundingsOf(machine, network);
  if (nodes !== undefined) {
    const clear = (path: string): Promise<void> => clearPath(disk, host, path);
    await recoverInto(disk, { ...{ nodes, address, surroundings, log, clear }, acceptLoss: false });
  }
  const serverId = await readServerId(disk, random);
  const store = await openMemoryStore({
    ...{ disk, clock, log, journalFileBytes, snapshotJournalBytes, overlayBytesMax },
    afterTurn: (run) => void clock.after(0, run),
  });
  store.failed.catch(onFailed);
  const server = createNameServer({
    ...{ store, clock, random, log },
    options: { replicas, nodeOutMillis, compareRoundMillis, version: "simulation", reserveBytes },
    space: () => disk.space(),
    disk,
    copies: {
      ...{ source: store, server: serverId, address },
      connect: nodeConnections(surroundings, serverId),
      waitMillis: await takeoverWaitMillis(disk),
    },
  });
  server.deposed?.catch(onFailed);
  await serve(surroundings, {
    ...{ address, handlers: server.handlers, ownTable: nameServerMethods, remoteTable: peerMethods },
    hello: { role: "name-server", id: "name-server" },
    onPeer: (peer) => {
      server.connected(peer);
    },
  });
  await server.start();
  await hasServed(disk);
  return { kind: "name-server", server };
}

async function clearPath(disk: Disk, host: Host, path: string): Promise<void> {
  for (const file of [path, ...host.disk.files(path)]) if (host.disk.has(file)) await disk.remove(file);
}

export async function startStorageNode({ machine, network, host, onFailed }: Place): Promise<RunningStorageNode> {
  const { clock, random, log } = machine;
  const disk = diskOf(machine, host.disk, host.slowness);
  const identity = await openIdentity(disk, random);
  const backend = indexOf(machine, host.index, host.slowness);
  const store = await openBlockStore({ ...{ disk, identity, backend, clock, log }, capacityBytes: 64 * MiB });
  store.failed.catch(onFailed);
  const scrub = await Scrub.open({ disk, store, clock, log });
  const journal = await JournalKeeper.open({ disk, identity, log, fileBytes: journalFileBytes });
  journal.failed.catch(onFailed);
  await createStorageNode({
    ...{ store, identity, scrub, journal },
    surroundings: surroundingsOf(machine, network),
    listen: { host: machine.host, port: storagePort },
    nameServers: nameServerAddresses,
  });
  return { kind: "storage-node", store, identity };
}

export function newHost(name: string, random: Machine["random"]): Host {
  const disk = new FaultyDisk(random);
  disk.capacity = diskBytes;
  return { name, disk, index: memoryBackend(), slowness: { millis: 0.3 } };
}
