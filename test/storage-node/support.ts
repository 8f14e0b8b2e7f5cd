import type { ExecutionContext } from "ava";
import { systemClock, type Clock } from "../../src/base/clock.ts";
import type { ClusterId } from "../../src/base/ids.ts";
import { silentLog } from "../../src/base/log.ts";
import { seededRandom } from "../../src/base/random.ts";
import { openIdentity, type NodeIdentity } from "../../src/block-store/identity.ts";
import { memoryBackend } from "../../src/block-store/memory-backend.ts";
import type { IndexBackendFactory } from "../../src/block-store/index-backend.ts";
import type { BlockStore } from "../../src/block-store/types.ts";
import { nameServerMethods } from "../../src/protocol/name-server.ts";
import { storageNodeMethods, type StorageNodeMethods } from "../../src/protocol/storage-node.ts";
import { createMemoryNetwork, type MemoryNetwork } from "../../src/rpc/memory-transport.ts";
import { connectPeer, serve, type Surroundings } from "../../src/rpc/open.ts";
import type { Address, Listener, Peer, RequestOf } from "../../src/rpc/types.ts";
import { createStorageNode, type StorageNode } from "../../src/storage-node/node.ts";
import { FaultyDisk } from "../support/faulty-disk.ts";
import { MiB, openStore } from "../block-store/support.ts";

export const cluster = "00000000000000cc" as ClusterId;
const nameServerAddress: Address = { host: "memory", port: 7400 };

/** What a storage node needs of a name server, with knobs. */
class FakeNameServer {
  cluster = cluster;
  epoch = 1;
  heartbeatMillis = 50;
  registrations: RequestOf<typeof nameServerMethods, "registerNode">[] = [];
  heartbeats = 0;
  peers: Peer<StorageNodeMethods>[] = [];
  refuseHeartbeat: Error | undefined;
  listener: Listener | undefined;
  /** Before a registration is answered. */
  onRegister: (peer: Peer<StorageNodeMethods>) => void = () => undefined;

  async listen(surroundings: Surroundings): Promise<void> {
    const { registerNode, nodeHeartbeat } = nameServerMethods;
    this.listener = await serve(surroundings, {
      address: nameServerAddress,
      hello: { role: "name-server", id: "name" },
      ownTable: { registerNode, nodeHeartbeat },
      remoteTable: storageNodeMethods,
      handlers: {
        registerNode: (request, { peer }) => {
          this.registrations.push(request);
          this.peers.push(peer);
          this.onRegister(peer);
          return { cluster: this.cluster, epoch: this.epoch, heartbeatMillis: this.heartbeatMillis };
        },
        nodeHeartbeat: () => {
          if (this.refuseHeartbeat !== undefined) throw this.refuseHeartbeat;
          this.heartbeats += 1;
          return {};
        },
      },
    });
  }
}

export interface TestNode {
  readonly node: StorageNode;
  readonly store: BlockStore;
  readonly identity: NodeIdentity;
  readonly disk: FaultyDisk;
  readonly backend: IndexBackendFactory;
  readonly member: { node: NodeIdentity["node"]; address: Address };
}

export class TestCluster {
  readonly network: MemoryNetwork = createMemoryNetwork();
  readonly nameServer = new FakeNameServer();
  readonly nodes: TestNode[] = [];
  readonly clock: Clock;

  constructor(clock: Clock = systemClock) {
    this.clock = clock;
  }

  surroundings(seed = 1): Surroundings {
    return { transport: this.network, clock: this.clock, random: seededRandom(seed), log: silentLog };
  }

  /** A node with an empty folder, or with that of one that was stopped. */
  async start(before?: TestNode): Promise<TestNode> {
    const seed = this.nodes.length + 100;
    const disk = before?.disk ?? new FaultyDisk();
    const backend = before?.backend ?? memoryBackend();
    const identity = await openIdentity(disk, seededRandom(seed));
    const store = await openStore(disk, { identity, backend, clock: this.clock, capacityBytes: 64 * MiB });
    const node = await createStorageNode({
      store,
      identity,
      surroundings: this.surroundings(seed),
      listen: before?.member.address ?? { host: "memory", port: 0 },
      nameServers: [nameServerAddress],
    });
    const started = { node, store, identity, disk, backend, member: { node: identity.node, address: node.address } };
    this.nodes.push(started);
    return started;
  }

  async startAll(count: number): Promise<TestNode[]> {
    await this.nameServer.listen(this.surroundings());
    const started: TestNode[] = [];
    for (let i = 0; i < count; i++) started.push(await this.start());
    await Promise.all(started.map(({ node }) => node.registered));
    return started;
  }

  async stop({ node, store }: TestNode): Promise<void> {
    await node.close();
    await store.close();
  }

  client(to: TestNode): Promise<Peer<StorageNodeMethods>> {
    return connectPeer(this.surroundings(), {
      address: to.member.address,
      hello: { role: "client", id: "test" },
      ownTable: {},
      handlers: {},
      remoteTable: storageNodeMethods,
    });
  }

  async close(): Promise<void> {
    for (const started of this.nodes) await this.stop(started);
    await this.nameServer.listener?.close();
  }
}

export async function withCluster(
  t: ExecutionContext,
  count: number,
  run: (cluster: TestCluster, nodes: TestNode[]) => Promise<void>,
): Promise<void> {
  const tested = new TestCluster();
  try {
    await run(tested, await tested.startAll(count));
  } finally {
    await tested.close();
  }
  t.pass();
}

/** Polls, up to ten seconds. */
export async function until(holds: () => boolean, what: string): Promise<void> {
  for (let waited = 0; waited < 10_000; waited += 5) {
    if (holds()) return;
    await new Promise<void>((resolve) => setTimeout(resolve, 5));
  }
  throw new Error(`waited in vain: ${what}`);
}
