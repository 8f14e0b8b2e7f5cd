/** A whole cluster in this process: name server, storage nodes and clients on a network and disks in memory. */
import type { ExecutionContext } from "ava";
import type { Attributes } from "../../src/base/attributes.ts";
import { systemClock } from "../../src/base/clock.ts";
import { limits } from "../../src/base/limits.ts";
import { silentLog, type Log } from "../../src/base/log.ts";
import { seededRandom, type Random } from "../../src/base/random.ts";
import { openIdentity } from "../../src/block-store/identity.ts";
import { memoryBackend } from "../../src/block-store/memory-backend.ts";
import { openBlockStore } from "../../src/block-store/open.ts";
import { createContents } from "../../src/cache/contents.ts";
import type { Operations } from "../../src/fuse/operations.ts";
import { openMemoryStore } from "../../src/metadata-store/open.ts";
import { createNameServer } from "../../src/name-server/name-server.ts";
import { peerMethods } from "../../src/name-server/types.ts";
import { clientMethods } from "../../src/protocol/client.ts";
import { journalMethods } from "../../src/protocol/journal-methods.ts";
import { nameServerMethods } from "../../src/protocol/name-server.ts";
import { storageNodeMethods } from "../../src/protocol/storage-node.ts";
import { createBlockReader } from "../../src/remote/block-reader.ts";
import { createBlockWriter } from "../../src/remote/block-writer.ts";
import { connectNameServer } from "../../src/remote/name-server-client.ts";
import type { NameServer } from "../../src/remote/types.ts";
import { NodePool } from "../../src/remote/node-pool.ts";
import { createNodeReports } from "../../src/remote/node-reports.ts";
import { createMemoryNetwork } from "../../src/rpc/memory-transport.ts";
import { connectPeer, serve, type Surroundings } from "../../src/rpc/open.ts";
import { createStorageNode } from "../../src/storage-node/node.ts";
import type { ReadGroups } from "../../src/vfs/identity.ts";
import { createVfs, type Vfs } from "../../src/vfs/vfs.ts";
import { nothingAhead } from "../support/closed-log.ts";
import { FaultyDisk } from "../support/faulty-disk.ts";
import { RecordingNotifier } from "./mount.ts";

export interface Client {
  readonly nameServer: NameServer;
  readonly vfs: Vfs;
  readonly operations: Operations;
  readonly notifier: RecordingNotifier;
}

export interface Cluster {
  /** `runsAhead` false: every change is asked for. */
  mount(clientName: string, options?: MountOptions): Promise<Client>;
  /** Breaks every connection to the name server. */
  cut(): void;
}

interface MountOptions {
  readonly runsAhead?: boolean;
  readonly readGroups?: ReadGroups;
}

const address = { host: "memory", port: 7400 };
const clock = systemClock;
const log: Log = silentLog;

/** Everything is stopped when the test ends. */
export async function startCluster(t: ExecutionContext, seed = 1): Promise<Cluster> {
  const random = seededRandom(seed);
  const network = createMemoryNetwork();
  const surroundings: Surroundings = { transport: network, clock, random, log };
  await startNameServer(t, surroundings, random);
  for (let i = 0; i < 2; i++) await startNode(t, surroundings, random);
  return {
    mount: (clientName, options = {}) => mount(t, surroundings, clientName, options),
    cut: () => {
      network.cut(address.port);
    },
  };
}

async function startNameServer(t: ExecutionContext, surroundings: Surroundings, random: Random): Promise<void> {
  const store = await openMemoryStore({ disk: new FaultyDisk(random), clock });
  const server = createNameServer({ store, clock, random, log, options: { replicas: 2, version: "test" } });
  await server.start();
  const listener = await serve(surroundings, {
    address,
    hello: { role: "name-server", id: "name-server" },
    ownTable: nameServerMethods,
    handlers: server.handlers,
    remoteTable: peerMethods,
    onPeer: (peer) => {
      server.connected(peer);
    },
  });
  t.teardown(async () => {
    await listener.close();
    await server.close();
    await store.close();
  });
}

async function startNode(t: ExecutionContext, surroundings: Surroundings, random: Random): Promise<void> {
  const disk = new FaultyDisk(random);
  const identity = await openIdentity(disk, random);
  const backend = memoryBackend();
  const store = await openBlockStore({ disk, identity, backend, capacityBytes: 512 * 1024 * 1024, clock, log });
  const node = await createStorageNode({
    store,
    identity,
    surroundings,
    listen: { host: "memory", port: 0 },
    nameServers: [address],
  });
  await node.registered;
  t.teardown(async () => {
    await node.close();
    await store.close();
  });
}

async function mount(
  t: ExecutionContext,
  surroundings: Surroundings,
  clientName: string,
  { runsAhead = true, readGroups }: MountOptions,
): Promise<Client> {
  const { random } = surroundings;
  const vfs = createVfs({ clock, log, ...(readGroups === undefined ? {} : { readGroups }) });
  const connected = await connectNameServer({
    addresses: [address],
    connect: (to, how) =>
      connectPeer(surroundings, { ...how, address: to, ownTable: clientMethods, remoteTable: nameServerMethods }),
    connectNode: (to, how) =>
      connectPeer(surroundings, { ...how, address: to, ownTable: {}, remoteTable: journalMethods }),
    ...{ clock, random, log, clientName, events: vfs.events },
  });
  const nameServer = vfs.leased(runsAhead ? connected : asking(connected));
  const nodes = new NodePool({
    connect: (to, how) =>
      connectPeer(surroundings, { ...how, address: to, ownTable: {}, remoteTable: storageNodeMethods }),
    ...{ clock, log, clientName, map: () => nameServer.map },
  });
  const reports = createNodeReports({ nameServer, clock, log });
  const contents = createContents({
    nameServer,
    reader: createBlockReader({ nameServer, nodes, reports, clock, log }),
    writer: createBlockWriter({ nameServer, nodes, reports, clock, log }),
    ...{ clock, log, limits },
  });
  const operations = vfs.attach({ nameServer, contents });
  const notifier = new RecordingNotifier();
  await operations.start(notifier);
  t.teardown(async () => {
    await operations.stop();
    nodes.close();
  });
  return { nameServer, vfs, operations, notifier };
}

/** The same session, under which nothing runs ahead. */
function asking(server: NameServer): NameServer {
  return {
    ask: (method, request, options) => server.ask(method, request, options),
    change: (method, request, options) => server.change(method, request, options),
    tell: (news) => {
      server.tell(news);
    },
    ...nothingAhead,
    ahead: {
      ...nothingAhead.ahead,
      async addAndWait({ method, request }) {
        const reply = await server.change(method, request);
        return (reply as { attributes?: Attributes }).attributes;
      },
    },
    get session() {
      return server.session;
    },
    get cluster() {
      return server.cluster;
    },
    nowNanos: () => server.nowNanos(),
    get bytesFree() {
      return server.bytesFree;
    },
    get map() {
      return server.map;
    },
    close: () => server.close(),
  };
}
