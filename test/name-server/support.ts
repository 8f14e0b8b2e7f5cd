/** A name server on a memory store and a memory network under a simulated clock, with clients and storage nodes to play. */
import { seededRandom } from "../../src/base/random.ts";
import { silentLog, type Log } from "../../src/base/log.ts";
import { blockName, type ClusterId, type Ino, type NodeId, type SessionId } from "../../src/base/ids.ts";
import { nameFromText } from "../../src/base/name.ts";
import { openMemoryStore, type Store } from "../../src/metadata-store/open.ts";
import { createNameServer } from "../../src/name-server/name-server.ts";
import { peerMethods, type NameServer, type NameServerOptions } from "../../src/name-server/types.ts";
import { clientMethods, type ClientMethods } from "../../src/protocol/client.ts";
import type { CopyProblem } from "../../src/protocol/copy-methods.ts";
import type { LeaseGrant, LeaseNews, LeaseRecall } from "../../src/protocol/leases.ts";
import { nameServerMethods, type NameServerMethods } from "../../src/protocol/name-server.ts";
import { storageNodeMethods, type StorageNodeMethods } from "../../src/protocol/storage-node.ts";
import { createMemoryNetwork, type MemoryNetwork } from "../../src/rpc/memory-transport.ts";
import { connectPeer, serve, type Surroundings } from "../../src/rpc/open.ts";
import type {
  CallOptions,
  Handlers,
  Hello,
  Listener,
  MethodTable,
  Peer,
  ReplyOf,
  RequestOf,
} from "../../src/rpc/types.ts";
import { FaultyDisk } from "../support/faulty-disk.ts";
import { settle, SimulatedClock } from "../support/simulated-clock.ts";

export const root = { uid: 0, gid: 0 };
export const rootIno = 1 as Ino;
const port = 7400;

export interface ClusterOptions extends Partial<NameServerOptions> {
  readonly log?: Log;
  readonly space?: () => Promise<{ freeBytes: number; totalBytes: number }>;
}

/** One name server and its restarts, over one disk. */
export class TestCluster {
  readonly clock = new SimulatedClock();
  readonly random = seededRandom(1);
  readonly network: MemoryNetwork = createMemoryNetwork();
  disk = new FaultyDisk(seededRandom(2));
  store!: Store;
  server!: NameServer;
  readonly #options: ClusterOptions;
  #listener!: Listener;

  private constructor(options: ClusterOptions) {
    this.#options = options;
  }

  static async start(options: ClusterOptions = {}): Promise<TestCluster> {
    const cluster = new TestCluster(options);
    await cluster.start();
    return cluster;
  }

  get surroundings(): Surroundings {
    return { transport: this.network, clock: this.clock, random: this.random, log: silentLog };
  }

  async start(): Promise<void> {
    const { clock, random, disk } = this;
    const { log, space, ...options } = this.#options;
    this.store = await openMemoryStore({ disk, clock });
    this.server = createNameServer({
      store: this.store,
      ...{ clock, random, log: log ?? silentLog },
      options: { replicas: 2, version: "test", ...options },
      ...(space === undefined ? {} : { space }),
    });
    await this.server.start();
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
  }

  /** kill -9 and a new start on the same disk. */
  async crash(): Promise<void> {
    const disk = this.disk.crash();
    await this.#stopServing();
    await this.store.close().catch(() => undefined);
    this.disk = disk;
    await this.start();
  }

  async stop(): Promise<void> {
    await this.#stopServing();
    await this.store.close();
  }

  async #stopServing(): Promise<void> {
    await this.#listener.close();
    await this.server.close();
    await settle();
  }

  connect<Own extends MethodTable>(
    hello: Omit<Hello, "versions">,
    ownTable: Own,
    handlers: Handlers<Own, NameServerMethods>,
  ): Promise<Peer<NameServerMethods>> {
    return connectPeer(this.surroundings, {
      address: { host: "127.0.0.1", port },
      hello,
      ownTable,
      handlers,
      remoteTable: nameServerMethods,
    });
  }
}

type Method = keyof NameServerMethods;

/** A client that answers as it is told. */
export class TestClient {
  readonly cluster: TestCluster;
  peer!: Peer<NameServerMethods>;
  session: SessionId | undefined;
  /** Every recall that came, in order; those that came twice too. */
  readonly recalls: LeaseRecall[] = [];
  readonly maps: number[] = [];
  readonly asked: Ino[][] = [];
  inUse = new Set<Ino>();
  /** What the client does with a recall; by default it has nothing to flush and drops at once. */
  onRecall: (recall: LeaseRecall) => void | Promise<void> = (recall) => {
    this.answer(recall);
  };
  /** What it says after a restart of the server that it has. */
  held: Pick<LeaseGrant, "ino" | "level">[] = [];
  readonly #sequences = new Map<number, number>();

  constructor(cluster: TestCluster) {
    this.cluster = cluster;
  }

  static async open(cluster: TestCluster, resume?: SessionId): Promise<TestClient> {
    const client = new TestClient(cluster);
    await client.connect();
    await client.open(resume);
    return client;
  }

  async connect(role: Hello["role"] = "client"): Promise<void> {
    const handlers: Handlers<ClientMethods, NameServerMethods> = {
      recallLeases: ({ recalls }) => {
        for (const recall of recalls) {
          this.recalls.push(recall);
          void this.onRecall(recall);
        }
        return {};
      },
      inodesRemoved: ({ inos }) => {
        this.asked.push(inos);
        return { inUse: inos.filter((ino) => this.inUse.has(ino)) };
      },
      mapChanged: ({ map }) => {
        this.maps.push(map.version);
        return {};
      },
    };
    this.peer = await this.cluster.connect({ role, id: "test-client" }, clientMethods, handlers);
  }

  async open(resume?: SessionId): Promise<ReplyOf<NameServerMethods, "openSession">> {
    const reply = await this.call(
      "openSession",
      { clientName: "test", ...(resume === undefined ? {} : { resume }) },
      { deadlineMillis: Infinity },
    );
    this.session = reply.session;
    return reply;
  }

  /** Connects again and resumes; says what it holds if the server has forgotten it. */
  async resume(): Promise<ReplyOf<NameServerMethods, "openSession">> {
    await this.connect();
    const reply = await this.open(this.session);
    if (reply.resumed && !reply.leasesKept) await this.reclaim();
    return reply;
  }

  async reclaim(last = true): Promise<readonly LeaseGrant[]> {
    return (await this.call("reclaimLeases", { held: this.held, last })).leases;
  }

  /** Says that a recall is done with. */
  answer({ ino, number }: Pick<LeaseRecall, "ino" | "number">): void {
    this.tell({ kind: "flushed", ino, number }, { kind: "acknowledged", ino, number });
  }

  tell(...news: LeaseNews[]): void {
    this.peer.notify("leaseNews", { news });
  }

  async call<M extends Method>(
    method: M,
    request: RequestOf<NameServerMethods, M>,
    options?: CallOptions,
  ): Promise<ReplyOf<NameServerMethods, M>> {
    const { reply } = await this.peer.call(method, request, options);
    return reply;
  }

  /** A changing call under the next sequence of a slot. */
  change<M extends Method>(
    method: M,
    request: Omit<RequestOf<NameServerMethods, M>, "op">,
    slot = 0,
  ): Promise<ReplyOf<NameServerMethods, M>> {
    const sequence = (this.#sequences.get(slot) ?? 0) + 1;
    this.#sequences.set(slot, sequence);
    return this.again(method, request, { slot, sequence });
  }

  /** The same request once more. */
  again<M extends Method>(
    method: M,
    request: Omit<RequestOf<NameServerMethods, M>, "op">,
    op: { slot: number; sequence: number },
  ): Promise<ReplyOf<NameServerMethods, M>> {
    return this.call(method, { ...request, op } as unknown as RequestOf<NameServerMethods, M>);
  }

  /** A new session begins its slots anew. */
  forgetSequences(): void {
    this.#sequences.clear();
  }

  async create(text: string, slot = 0): Promise<Ino> {
    const request = { caller: root, parent: rootIno, name: nameFromText(text), mode: 0o100644, umask: 0o022 };
    return (await this.change("create", request, slot)).attributes.ino;
  }

  async lookup(text: string): Promise<Ino | undefined> {
    return (await this.call("lookup", { parent: rootIno, name: nameFromText(text) })).attributes?.ino;
  }

  async disconnect(): Promise<void> {
    this.peer.close("test");
    await settle();
  }
}

/** A storage node that stores nothing but remembers its orders. */
export class TestNode {
  readonly cluster: TestCluster;
  readonly id: NodeId;
  peer!: Peer<NameServerMethods>;
  freeBytes = 100 * 1024 ** 3;
  capacityBytes = 100 * 1024 ** 3;
  readonly deleted: string[] = [];
  /** What the node does before it answers an order to delete. */
  beforeDelete: () => void | Promise<void> = () => undefined;
  answersStatus = true;
  /** What it holds, as `group/number`, with lengths. */
  readonly held = new Map<string, number>();
  /** Blocks that it was told to copy, and from whom, order by order. */
  readonly copyOrders: { blocks: string[]; sources: NodeId[] }[] = [];
  /** What it says to an order to copy a block; by default it has it then. */
  onCopy: (block: string) => CopyProblem | undefined | Promise<CopyProblem | undefined> = () => undefined;

  /** What it was asked to verify; what of that it calls damaged; how many passes were ordered. */
  readonly checked: string[][] = [];
  readonly damaged = new Set<string>();
  scrubs = 0;

  constructor(cluster: TestCluster, number: number) {
    this.cluster = cluster;
    this.id = number.toString(16).padStart(16, "0") as NodeId;
  }

  static async up(cluster: TestCluster, number: number): Promise<TestNode> {
    const node = new TestNode(cluster, number);
    await node.register();
    return node;
  }

  async connect(): Promise<void> {
    const unexpected = (): never => {
      throw new Error("not asked of this node");
    };
    const handlers: Handlers<StorageNodeMethods, NameServerMethods> = {
      writeBlock: unexpected,
      readBlock: unexpected,
      composeBlock: unexpected,
      deleteBlocks: async ({ blocks }) => {
        await this.beforeDelete();
        for (const block of blocks) {
          this.deleted.push(blockName(block));
          this.held.delete(blockName(block));
        }
        return {};
      },
      copyBlocks: (order) => this.#copy(order),
      listBlocks: ({ group, first, limit }) => ({
        blocks: [...this.held]
          .map(([name, length]) => ({ at: name.split("/").map(Number), length }))
          .filter(({ at }) => at[0] === group && (at[1] as number) >= first)
          .sort((a, b) => (a.at[1] as number) - (b.at[1] as number))
          .slice(0, limit)
          .map(({ at, length }) => ({ number: at[1] as number, length })),
      }),
      checkBlocks: ({ blocks }) => {
        this.checked.push(blocks.map(blockName));
        return {
          damaged: blocks.filter((block) => this.damaged.has(blockName(block))),
          missing: blocks.filter((block) => !this.held.has(blockName(block))),
        };
      },
      scrubNow: () => ({ ordered: ++this.scrubs }),
      nodeStatus: () =>
        this.answersStatus
          ? {
              node: this.id,
              cluster: null,
              capacityBytes: this.capacityBytes,
              usedBytes: this.capacityBytes - this.freeBytes,
              freeBytes: this.freeBytes,
              blocks: 0,
              segments: 0,
            }
          : new Promise(() => undefined),
    };
    this.peer = await this.cluster.connect({ role: "storage-node", id: this.id }, storageNodeMethods, handlers);
  }

  async #copy(order: RequestOf<StorageNodeMethods, "copyBlocks">): Promise<ReplyOf<StorageNodeMethods, "copyBlocks">> {
    const { blocks, sources } = order;
    this.copyOrders.push({
      blocks: blocks.map(({ block }) => blockName(block)),
      sources: sources.map(({ node }) => node),
    });
    const reply: ReplyOf<StorageNodeMethods, "copyBlocks"> = { copied: [], failed: [], foreground: 0 };
    for (const { block, length } of blocks) {
      const problem = await this.onCopy(blockName(block));
      if (problem !== undefined) reply.failed.push({ block, problem });
      else {
        this.held.set(blockName(block), length);
        reply.copied.push(block);
      }
    }
    return reply;
  }

  async register(more: Partial<RequestOf<NameServerMethods, "registerNode">> = {}): Promise<ClusterId> {
    await this.connect();
    const { reply } = await this.peer.call("registerNode", {
      node: this.id,
      cluster: null,
      address: { host: "127.0.0.1", port: 7500 + parseInt(this.id, 16) },
      hostLabel: "",
      capacityBytes: this.capacityBytes,
      usedBytes: this.capacityBytes - this.freeBytes,
      freeBytes: this.freeBytes,
      greatest: [],
      ...more,
    });
    return reply.cluster;
  }

  async heartbeat(): Promise<void> {
    await this.peer.call("nodeHeartbeat", {
      usedBytes: this.capacityBytes - this.freeBytes,
      freeBytes: this.freeBytes,
      blocks: 0,
    });
  }

  async disconnect(): Promise<void> {
    this.peer.close("test");
    await settle();
  }
}

/** Lets time pass while everybody who is given keeps in touch. */
export async function live(
  cluster: TestCluster,
  millis: number,
  alive: { clients?: readonly TestClient[]; nodes?: readonly TestNode[] },
): Promise<void> {
  for (let passed = 0; passed < millis; passed += 1_000) {
    await Promise.all([
      ...(alive.clients ?? []).map((client) => client.call("heartbeat", {})),
      ...(alive.nodes ?? []).map((node) => node.heartbeat()),
    ]);
    await cluster.clock.advance(Math.min(1_000, millis - passed));
  }
}
