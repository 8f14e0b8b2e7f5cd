/** The client's side over the real rpc, name server and storage nodes, in one process, under a simulated clock. */
import test from "ava";
import { assert } from "../../src/base/assert.ts";
import { toIno, type Ino } from "../../src/base/ids.ts";
import { silentLog } from "../../src/base/log.ts";
import { nameFromText } from "../../src/base/name.ts";
import { seededRandom } from "../../src/base/random.ts";
import { openIdentity } from "../../src/block-store/identity.ts";
import { memoryBackend } from "../../src/block-store/memory-backend.ts";
import type { BlockStore } from "../../src/block-store/types.ts";
import { clientMethods } from "../../src/protocol/client.ts";
import { journalMethods } from "../../src/protocol/journal-methods.ts";
import { nameServerMethods } from "../../src/protocol/name-server.ts";
import { storageNodeMethods } from "../../src/protocol/storage-node.ts";
import { createBlockReader } from "../../src/remote/block-reader.ts";
import { createBlockWriter } from "../../src/remote/block-writer.ts";
import { connectNameServer } from "../../src/remote/name-server-client.ts";
import { NodePool } from "../../src/remote/node-pool.ts";
import { createNodeReports } from "../../src/remote/node-reports.ts";
import { planRead } from "../../src/remote/plan-read.ts";
import type { NameServer } from "../../src/remote/types.ts";
import { connectPeer } from "../../src/rpc/open.ts";
import { createStorageNode, type StorageNode } from "../../src/storage-node/node.ts";
import { FaultyDisk } from "../support/faulty-disk.ts";
import { MiB, openStore } from "../block-store/support.ts";
import { live, TestClient, TestCluster } from "../name-server/support.ts";
import { settle } from "../support/simulated-clock.ts";
import { quietEvents } from "./support/fake-name-server.ts";
import { content } from "./support/fake-storage.ts";

const root = { uid: 0, gid: 0 };
const nameServerAddress = { host: "127.0.0.1", port: 7400 };

/** Lets time pass until the promise has settled. */
async function during<T>(cluster: TestCluster, promise: Promise<T>): Promise<T> {
  const state = { isOver: false };
  const over = (): void => {
    state.isOver = true;
  };
  promise.then(over, over);
  for (let passed = 0; !state.isOver && passed < 200_000; passed += 50) await cluster.clock.advance(50);
  assert(state.isOver, "it did not settle");
  return promise;
}

/** One turn of the event loop, and a bit of time. */
async function breathe(cluster: TestCluster): Promise<void> {
  cluster.clock.stall(0.1);
  await settle(1);
  if (cluster.clock.monotonicMillis() % 5 < 0.1) await cluster.clock.advance(0);
}

function connect(cluster: TestCluster): Promise<NameServer> {
  const opening = connectNameServer({
    addresses: [nameServerAddress],
    connect: (address, options) =>
      connectPeer(cluster.surroundings, {
        address,
        ...options,
        ownTable: clientMethods,
        remoteTable: nameServerMethods,
      }),
    connectNode: (address, options) =>
      connectPeer(cluster.surroundings, { address, ...options, ownTable: {}, remoteTable: journalMethods }),
    clock: cluster.clock,
    random: seededRandom(5),
    log: silentLog,
    clientName: "a test",
    events: quietEvents,
  });
  return during(cluster, opening);
}

interface RunningNode {
  readonly node: StorageNode;
  readonly store: BlockStore;
}

async function startNode(cluster: TestCluster, number: number): Promise<RunningNode> {
  const disk = new FaultyDisk();
  const identity = await openIdentity(disk, seededRandom(1_000 + number));
  const { clock } = cluster;
  const store = await openStore(disk, { identity, backend: memoryBackend(), clock, capacityBytes: 2_048 * MiB });
  const node = await createStorageNode({
    store,
    identity,
    surroundings: { ...cluster.surroundings, random: seededRandom(2_000 + number) },
    listen: { host: "memory", port: 7_500 + number },
    nameServers: [nameServerAddress],
  });
  await during(cluster, node.registered);
  return { node, store };
}

function blockClient(cluster: TestCluster, nameServer: NameServer) {
  const { clock } = cluster;
  const log = silentLog;
  const nodes = new NodePool({
    connect: (address, options) =>
      connectPeer(cluster.surroundings, { address, ...options, ownTable: {}, remoteTable: storageNodeMethods }),
    ...{ clock, log, clientName: "a test", map: () => nameServer.map },
  });
  const reports = createNodeReports({ nameServer, clock, log });
  return {
    nodes,
    reader: createBlockReader({ nameServer, nodes, reports, clock, log }),
    writer: createBlockWriter({ nameServer, nodes, reports, clock, log }),
  };
}

async function create(nameServer: NameServer, text: string): Promise<Ino> {
  const request = { caller: root, parent: toIno(1), name: nameFromText(text), umask: 0o022, mode: 0o100644 };
  return (await nameServer.change("create", request)).attributes.ino;
}

test("content written through the writer is read back by its extents, also after a storage node died", async (t) => {
  const cluster = await TestCluster.start();
  const running: RunningNode[] = [];
  for (let i = 0; i < 3; i++) running.push(await startNode(cluster, i));
  const nameServer = await connect(cluster);
  await cluster.clock.advance(6_000);
  const { reader, writer, nodes } = blockClient(cluster, nameServer);
  const ino = await during(cluster, create(nameServer, "file"));
  const file = content(3 * MiB + 12_345);
  const write = async (from: number, to: number): Promise<void> => {
    const pieces = [file.subarray(from, from + 10_001), file.subarray(from + 10_001, to)];
    const { block, epoch } = await writer.write(pieces);
    await nameServer.change("writeExtents", {
      ino,
      extents: [{ kind: "block", offset: from, length: to - from, block, blockOffset: 0 }],
      epochs: [{ group: block.group, epoch }],
      size: to,
      append: false,
      clearPrivileges: false,
    });
  };
  const read = async (offset: number, length: number): Promise<Buffer> => {
    const { extents } = await nameServer.ask("readExtents", { ino, offset, length });
    const plan = planRead(extents, offset, length);
    const bytes = await Promise.all(plan.reads.map((one) => reader.read(one.block, one.offset, one.length)));
    return Buffer.concat(
      plan.pieces.map((piece) => {
        if (piece.kind === "hole") return Buffer.alloc(piece.length);
        if (piece.kind === "inline") return piece.content;
        return (bytes[piece.read] as Buffer).subarray(piece.from, piece.from + piece.length);
      }),
    );
  };
  await during(cluster, Promise.all([write(0, MiB), write(2 * MiB, file.length)]));
  const [first] = running as [RunningNode];
  const stopping = first.node.close();
  await during(cluster, write(MiB, 2 * MiB));
  await during(cluster, stopping);
  t.true((await during(cluster, read(0, file.length))).equals(file));
  t.true((await during(cluster, read(MiB - 5, 5_000))).equals(file.subarray(MiB - 5, MiB + 4_995)));
  nodes.close();
  await during(cluster, nameServer.close());
  for (const { node } of running.slice(1)) await during(cluster, node.close());
  for (const { store } of running) await store.close();
  await cluster.stop();
});

test("changes go on over crashes of the name server, each exactly once", async (t) => {
  const cluster = await TestCluster.start();
  const nameServer = await connect(cluster);
  const { session } = nameServer;
  const files = 900;
  let settled = 0;
  const creations = Array.from({ length: files }, async (_, i) => {
    const ino = await create(nameServer, `file-${String(i)}`);
    settled++;
    return ino;
  });
  const all = Promise.all(creations);
  for (let crashes = 1; crashes <= 8; crashes++) {
    for (let turn = 0; turn < 2_000 && settled < 64 * crashes; turn++) await breathe(cluster);
    // Another moment between request and reply each time.
    for (let turn = 0; turn < crashes; turn++) await breathe(cluster);
    t.true(settled >= 64 * crashes && settled < files, String(settled));
    await cluster.crash();
  }
  const inos = await during(cluster, all);
  t.is(new Set(inos).size, files);
  t.is(nameServer.session, session);
  const listing = await during(
    cluster,
    nameServer.ask("readdir", { ino: toIno(1), cookie: 0, bytesMax: 100_000, plus: false }),
  );
  t.is(listing.entries.length, files);
  await during(cluster, nameServer.close());
  await cluster.stop();
});

test("a lock that is held survives a crash of the name server, against a waiter that is back first", async (t) => {
  const cluster = await TestCluster.start();
  const holder = await connect(cluster);
  const ino = await during(cluster, create(holder, "file"));
  const lock = { kind: "flock", type: "write", start: 0n, end: 2n ** 63n - 1n, owner: 7n, pid: 1 } as const;
  await during(cluster, holder.ask("setLock", { ino, lock, wait: false }));
  const other = await during(cluster, TestClient.open(cluster));
  await cluster.crash();
  await during(cluster, other.resume());
  let isGranted = false;
  const waiting = other.call(
    "setLock",
    { ino, lock: { ...lock, owner: 8n }, wait: true },
    { deadlineMillis: Infinity },
  );
  void waiting.then(() => {
    isGranted = true;
  });
  await live(cluster, 3_000, { clients: [other] });
  t.false(isGranted);
  await during(cluster, holder.ask("releaseLocks", { ino, owner: 7n, kind: "flock" }));
  await during(cluster, waiting);
  await during(cluster, holder.close());
  await other.disconnect();
  await cluster.stop();
  t.pass();
});

test("a client that was cut off for too long begins a new session, and says so", async (t) => {
  const cluster = await TestCluster.start();
  const nameServer = await connect(cluster);
  const { session } = nameServer;
  await during(cluster, create(nameServer, "file"));
  const serverSession = cluster.server.status().sessions;
  t.is(serverSession.length, 1);
  // The server lives on, nobody reaches it.
  const reach = cluster.network.connect.bind(cluster.network);
  cluster.network.connect = () => Promise.reject(new Error("cut"));
  cluster.network.cut(7400);
  await cluster.clock.advance(60_000);
  t.is(cluster.server.status().sessions.length, 0);
  const late = t.throwsAsync(create(nameServer, "late"), { message: /^EIO/ });
  cluster.network.connect = reach;
  await cluster.clock.advance(3_000);
  await late;
  t.not(nameServer.session, session);
  await during(cluster, create(nameServer, "new"));
  await during(cluster, nameServer.close());
  t.is(cluster.server.status().sessions.length, 0);
  await cluster.stop();
});
