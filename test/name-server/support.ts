/** A name server on a memory store and a memory network under a simulated clock, with clients and storage nodes to play. */
import { seededRandom } from "../../src/base/random.ts";
import { silentLog, type Log } from "../../src/base/log.ts";
import type { Ino, SessionId } from "../../src/base/ids.ts";
import { nameFromText } from "../../src/base/name.ts";
import { openMemoryStore, type Store } from "../../src/metadata-store/open.ts";
import { createNameServer } from "../../src/name-server/name-server.ts";
import { peerMethods, type NameServer, type NameServerOptions } from "../../src/name-server/types.ts";
import { clientMethods, type ClientMethods } from "../../src/protocol/client.ts";
import type { LeaseGrant, LeaseNews, LeaseRecall } from "../../src/protocol/leases.ts";
import { nameServerMethods, type NameServerMethods } from "../../src/protocol/name-server.ts";
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

/** Lets time pass while everybody who is given keeps in touch. */
export async function live(
  cluster: TestCluster,
  millis: number,
  alive: { clients?: readonly TestClient[]; nodes?: readonly { heartbeat(): Promise<void> }[] },
): Promise<void> {
  for (let passed = 0; passed < millis; passed += 1_000) {
    await Promise.all([
      ...(alive.clients ?? []).map((client) => client.call("heartbeat", {})),
      ...(alive.nodes ?? []).map((node) => node.heartbeat()),
    ]);
    await cluster.clock.advance(Math.min(1_000, millis - passed));
  }
}
