/** A name server whose journal is copied, and storage nodes that keep copies on disks that fail, under a simulated clock. */
import type { NodeId } from "../../../src/base/ids.ts";
import { silentLog } from "../../../src/base/log.ts";
import { seededRandom } from "../../../src/base/random.ts";
import { nameFromText } from "../../../src/base/name.ts";
import { openMemoryStore, type Store } from "../../../src/metadata-store/open.ts";
import { createNameServer } from "../../../src/name-server/name-server.ts";
import { peerMethods, type NameServer } from "../../../src/name-server/types.ts";
import { clientMethods } from "../../../src/protocol/client.ts";
import { nameServerMethods, type NameServerMethods } from "../../../src/protocol/name-server.ts";
import type { CopiesStatus } from "../../../src/protocol/status.ts";
import { createMemoryNetwork } from "../../../src/rpc/memory-transport.ts";
import { connectPeer, serve, type Surroundings } from "../../../src/rpc/open.ts";
import type { Listener, Peer } from "../../../src/rpc/types.ts";
import { FaultyDisk } from "../../support/faulty-disk.ts";
import { settle, SimulatedClock } from "../../support/simulated-clock.ts";
import { connecting, CopyNode, serverAddress } from "./copy-node.ts";
import { Watched } from "./watched.ts";

export class CopyCluster {
  readonly clock = new SimulatedClock();
  readonly network = createMemoryNetwork();
  readonly nodes: CopyNode[] = [];
  readonly replicas: number;
  disk = new FaultyDisk(seededRandom(2));
  serverId = "00000000000000aa";
  waitMillis = 0;
  /** An operator has said so, for the next start. */
  mayLose = false;
  store!: Store;
  server!: NameServer;
  starting!: Promise<void>;
  deposed = false;
  #listener!: Listener;

  constructor(replicas = 2) {
    this.replicas = replicas;
  }

  get surroundings(): Surroundings {
    return { transport: this.network, clock: this.clock, random: seededRandom(5), log: silentLog };
  }

  /** A name server that listens, and begins to start. */
  async begin(disk = this.disk): Promise<void> {
    this.disk = disk;
    this.store = await openMemoryStore({ disk, clock: this.clock, journalFileBytes: 64 * 1024 });
    this.server = createNameServer({
      store: this.store,
      ...{ clock: this.clock, random: seededRandom(7), log: silentLog },
      options: { replicas: this.replicas, version: "test" },
      copies: {
        ...{ source: this.store, server: this.serverId, address: null, waitMillis: this.waitMillis },
        connect: connecting(this.nodes),
        loss: {
          how: "say so",
          isGiven: () => Promise.resolve(this.mayLose),
          done: () => {
            this.mayLose = false;
            return Promise.resolve();
          },
        },
      },
    });
    this.deposed = false;
    this.server.deposed?.catch(() => (this.deposed = true));
    this.#listener = await serve(this.surroundings, {
      address: serverAddress,
      hello: { role: "name-server", id: "name-server" },
      ownTable: nameServerMethods,
      handlers: this.server.handlers,
      remoteTable: peerMethods,
      onPeer: (peer) => {
        this.server.connected(peer);
      },
    });
    this.starting = this.server.start();
    this.starting.catch(() => undefined);
    await settle();
  }

  /** kill -9. Resolves with what its disk holds. */
  async kill(): Promise<FaultyDisk> {
    const disk = this.disk.kill();
    await this.#listener.close();
    await this.server.close();
    await settle();
    await this.store.close().catch(() => undefined);
    return disk;
  }

  /** A node with a folder of its own, not connected yet. */
  async node(
    disk = new FaultyDisk(seededRandom(10 + this.nodes.length)),
    at = 7500 + this.nodes.length,
  ): Promise<CopyNode> {
    const node = await CopyNode.open(this.surroundings, disk, at, 7500 + this.nodes.length);
    this.nodes.push(node);
    return node;
  }

  /** Nodes that have registered, and whose copies are complete as far as they are wanted. */
  async withNodes(count: number): Promise<CopyNode[]> {
    for (let i = 0; i < count; i++) await (await this.node()).register();
    await this.live(3_000);
    return this.nodes;
  }

  /** Lets time pass while the connected nodes send heartbeats. */
  async live(millis: number): Promise<void> {
    for (let passed = 0; passed < millis; passed += 250) {
      for (const node of this.nodes) node.heartbeat();
      await this.clock.advance(250);
    }
  }

  get copies(): CopiesStatus {
    return this.server.status().copies as CopiesStatus;
  }
  get members(): string[] {
    return this.copies.members.filter(({ complete }) => complete).map(({ node }) => node);
  }

  nodeOf(id: string | undefined): CopyNode {
    return this.nodes.find(({ identity }) => identity.node === id) as CopyNode;
  }

  /** A client of a restarted server, once those of before have expired. */
  async laterClient(): Promise<CopyClient> {
    await this.live(35_000);
    const client = await this.client();
    await client.open();
    return client;
  }

  async client(): Promise<CopyClient> {
    return new CopyClient(this, await this.connect("client"));
  }

  connect(role: "client" | "admin"): Promise<Peer<NameServerMethods>> {
    return connectPeer(this.surroundings, {
      address: serverAddress,
      hello: { role, id: "test" },
      ownTable: clientMethods,
      handlers: { recallLeases: () => ({}), inodesRemoved: () => ({ inUse: [] }), mapChanged: () => ({}) },
      remoteTable: nameServerMethods,
    });
  }
}

export class CopyClient {
  readonly owner: CopyCluster;
  readonly peer: Peer<NameServerMethods>;
  #sequence = 0;
  constructor(owner: CopyCluster, peer: Peer<NameServerMethods>) {
    this.owner = owner;
    this.peer = peer;
  }

  async open(): Promise<void> {
    await this.peer.call("openSession", { clientName: "test" }, { deadlineMillis: Infinity });
  }

  create(text: string): Watched<unknown> {
    const op = { slot: 0, sequence: ++this.#sequence };
    const parent = 1 as never;
    return new Watched(
      this.peer.call(
        "create",
        { op, caller: { uid: 0, gid: 0 }, parent, name: nameFromText(text), mode: 0o100644, umask: 0o022 },
        { deadlineMillis: Infinity },
      ),
    );
  }

  /** As an operator, on a connection of its own. */
  decide(node: NodeId, decision: "drain" | "undrain" | "remove"): Watched<unknown> {
    const asked = this.owner
      .connect("admin")
      .then((peer) => peer.call("decideNode", { node, decision }, { deadlineMillis: Infinity }));
    return new Watched(asked);
  }

  lookup(text: string): Watched<{ reply: { attributes?: unknown } }> {
    return new Watched(
      this.peer.call("lookup", { parent: 1 as never, name: nameFromText(text) }, { deadlineMillis: Infinity }),
    );
  }

  async has(text: string): Promise<boolean> {
    const { reply } = await this.lookup(text).promise;
    return reply.attributes !== undefined && reply.attributes !== null;
  }
}

/** A cluster that works, and a client with a session. */
export async function working(
  nodeCount: number,
  replicas = 2,
): Promise<{ c: CopyCluster; nodes: CopyNode[]; client: CopyClient }> {
  const c = new CopyCluster(replicas);
  await c.begin();
  const nodes = await c.withNodes(nodeCount);
  const client = await c.client();
  await client.open();
  return { c, nodes, client };
}
