/** A name server whose journal is copied, and storage nodes that keep copies on disks that fail, under a simulated clock. */
import { FsError } from "../../../src/base/errno.ts";
import type { NodeId } from "../../../src/base/ids.ts";
import { silentLog } from "../../../src/base/log.ts";
import { seededRandom } from "../../../src/base/random.ts";
import { nameFromText } from "../../../src/base/name.ts";
import { openIdentity, type NodeIdentity } from "../../../src/block-store/identity.ts";
import { openMemoryStore, type Store } from "../../../src/metadata-store/open.ts";
import { createNameServer } from "../../../src/name-server/name-server.ts";
import { peerMethods, type NameServer } from "../../../src/name-server/types.ts";
import { clientMethods } from "../../../src/protocol/client.ts";
import { journalMethods, type JournalState } from "../../../src/protocol/journal-methods.ts";
import { nameServerMethods, type NameServerMethods } from "../../../src/protocol/name-server.ts";
import type { CopiesStatus } from "../../../src/protocol/status.ts";
import { storageNodeMethods } from "../../../src/protocol/storage-node.ts";
import { createMemoryNetwork } from "../../../src/rpc/memory-transport.ts";
import { connectPeer, serve, type Surroundings } from "../../../src/rpc/open.ts";
import type { HandlerContext, Listener, MethodTable, Peer } from "../../../src/rpc/types.ts";
import { JournalKeeper } from "../../../src/storage-node/journal-keeper.ts";
import { FaultyDisk } from "../../support/faulty-disk.ts";
import { settle, SimulatedClock } from "../../support/simulated-clock.ts";

const port = 7400;

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
      address: { host: "127.0.0.1", port },
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
    const node = await CopyNode.open(this, disk, at, 7500 + this.nodes.length);
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
      address: { host: "127.0.0.1", port },
      hello: { role, id: "test" },
      ownTable: clientMethods,
      handlers: { recallLeases: () => ({}), inodesRemoved: () => ({ inUse: [] }), mapChanged: () => ({}) },
      remoteTable: nameServerMethods,
    });
  }
}

/** Whether a promise has settled by now. */
export class Watched<T> {
  state: "pending" | "resolved" | "rejected" = "pending";
  error: unknown;
  readonly promise: Promise<T>;
  constructor(promise: Promise<T>) {
    this.promise = promise;
    promise.then(
      () => (this.state = "resolved"),
      (error: unknown) => {
        this.state = "rejected";
        this.error = error;
      },
    );
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

/** What a storage node does about the journal, and nothing else. */
export class CopyNode {
  peer: Peer<NameServerMethods> | undefined;
  /** Calls wait until it is false. */
  isSilent = false;
  readonly owner: CopyCluster;
  readonly disk: FaultyDisk;
  readonly port: number;
  readonly identity: NodeIdentity;
  readonly keeper: JournalKeeper;
  #waiting: (() => void)[] = [];

  private constructor(
    owner: CopyCluster,
    disk: FaultyDisk,
    port: number,
    identity: NodeIdentity,
    keeper: JournalKeeper,
  ) {
    this.owner = owner;
    this.disk = disk;
    this.port = port;
    this.identity = identity;
    this.keeper = keeper;
  }

  static async open(owner: CopyCluster, disk: FaultyDisk, port: number, seed: number): Promise<CopyNode> {
    const identity = await openIdentity(disk, seededRandom(seed));
    const keeper = await JournalKeeper.open({ disk, identity, log: silentLog, fileBytes: 64 * 1024 });
    return new CopyNode(owner, disk, port, identity, keeper);
  }

  get id(): NodeId {
    return this.identity.node;
  }

  async register(): Promise<void> {
    await this.begin();
    await settle(20);
  }

  /** Connects and registers; resolves when it is under way. */
  async begin(): Promise<Watched<unknown>> {
    type Handler = (request: never, context: HandlerContext<MethodTable>) => unknown;
    const handlers = Object.fromEntries(
      Object.entries(this.keeper.handlers as unknown as Record<string, Handler>).map(([method, handler]) => [
        method,
        async (request: never, context: HandlerContext<MethodTable>) => {
          while (this.isSilent) await new Promise<void>((resolve) => this.#waiting.push(resolve));
          return handler(request, context);
        },
      ]),
    );
    this.peer = await connectPeer(this.owner.surroundings, {
      address: { host: "127.0.0.1", port },
      hello: { role: "storage-node", id: this.id },
      ownTable: { ...storageNodeMethods, ...journalMethods },
      handlers: { ...withoutBlocks, ...handlers } as never,
      remoteTable: nameServerMethods,
    });
    const registering = this.peer
      .call("registerNode", {
        node: this.id,
        cluster: this.identity.cluster,
        address: { host: "127.0.0.1", port: this.port },
        hostLabel: "",
        capacityBytes: 2 ** 40,
        usedBytes: 0,
        freeBytes: 2 ** 40,
        greatest: [],
      })
      .then(async ({ reply }) => {
        await this.identity.adopt(reply.cluster);
        await this.identity.obey(reply.epoch);
      });
    return new Watched(registering);
  }

  heartbeat(): void {
    if (this.peer?.isOpen !== true || this.isSilent || this.identity.cluster === null) return;
    this.peer.call("nodeHeartbeat", { usedBytes: 0, freeBytes: 2 ** 40, blocks: 0 }).catch(() => undefined);
  }

  speakAgain(): void {
    this.isSilent = false;
    for (const go of this.#waiting.splice(0)) go();
  }

  async disconnect(): Promise<void> {
    this.peer?.close("test");
    await settle();
  }
}

/** It has no blocks, and takes none. */
const withoutBlocks = Object.fromEntries(
  Object.keys(storageNodeMethods).map((method) => [
    method,
    () => {
      if (method === "listBlocks") return { blocks: [] };
      throw new FsError("EOPNOTSUPP", method);
    },
  ]),
);

export const asNameServer = {
  peer: { remote: { role: "name-server", id: "other", versions: [1] } },
  payload: { bytes: Buffer.alloc(0), release: () => undefined },
} as unknown as HandlerContext<MethodTable>;

export async function stateOf(node: CopyNode | undefined): Promise<JournalState> {
  if (node === undefined) throw new Error("no such node");
  return (await node.keeper.handlers.journalState({}, asNameServer)) as JournalState;
}
