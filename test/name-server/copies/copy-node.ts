/** A storage node that does what there is to do about the journal, and nothing else. */
import { FsError } from "../../../src/base/errno.ts";
import type { ClusterId, NodeId } from "../../../src/base/ids.ts";
import { silentLog } from "../../../src/base/log.ts";
import { seededRandom } from "../../../src/base/random.ts";
import { openIdentity, type NodeIdentity } from "../../../src/block-store/identity.ts";
import type { ConnectNode } from "../../../src/name-server/copies/types.ts";
import { journalMethods, type JournalRegister, type JournalState } from "../../../src/protocol/journal-methods.ts";
import { nameServerMethods, type NameServerMethods } from "../../../src/protocol/name-server.ts";
import { storageNodeMethods } from "../../../src/protocol/storage-node.ts";
import { connectPeer, type Surroundings } from "../../../src/rpc/open.ts";
import { WithPayload, type Address, type HandlerContext, type MethodTable, type Peer } from "../../../src/rpc/types.ts";
import { JournalKeeper } from "../../../src/storage-node/journal-keeper.ts";
import type { FaultyDisk } from "../../support/faulty-disk.ts";
import { settle } from "../../support/simulated-clock.ts";
import { Watched } from "./watched.ts";

/** Where the name server listens. */
export const serverAddress: Address = { host: "127.0.0.1", port: 7400 };

export class CopyNode {
  peer: Peer<NameServerMethods> | undefined;
  /** Calls wait until it is false. */
  isSilent = false;
  readonly surroundings: Surroundings;
  readonly disk: FaultyDisk;
  readonly port: number;
  readonly identity: NodeIdentity;
  readonly keeper: JournalKeeper;
  #waiting: (() => void)[] = [];

  private constructor(
    surroundings: Surroundings,
    disk: FaultyDisk,
    port: number,
    identity: NodeIdentity,
    keeper: JournalKeeper,
  ) {
    this.surroundings = surroundings;
    this.disk = disk;
    this.port = port;
    this.identity = identity;
    this.keeper = keeper;
  }

  static async open(surroundings: Surroundings, disk: FaultyDisk, port: number, seed: number): Promise<CopyNode> {
    const identity = await openIdentity(disk, seededRandom(seed));
    const keeper = await JournalKeeper.open({ disk, identity, log: silentLog, fileBytes: 64 * 1024 });
    return new CopyNode(surroundings, disk, port, identity, keeper);
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
    this.peer = await connectPeer(this.surroundings, {
      address: serverAddress,
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

/** Calls to the nodes, of which `callsLeft` go through: then this end of them is dead. */
export function connecting(nodes: readonly CopyNode[], budget = { callsLeft: Infinity }): ConnectNode {
  return (address) => {
    const node = nodes.find(({ port }) => port === address.port);
    if (node === undefined) return Promise.reject(new FsError("ECONNREFUSED", "nobody is there"));
    const call = async (method: string, request: unknown): Promise<unknown> => {
      if (--budget.callsLeft < 0) throw new FsError("ECONNRESET", "killed");
      const handlers = node.keeper.handlers as unknown as Record<
        string,
        (request: unknown, context: unknown) => unknown
      >;
      const answer = await handlers[method]?.(request, asNameServer);
      if (!(answer instanceof WithPayload)) return { reply: answer };
      const bytes = Buffer.concat(answer.payload);
      return { reply: {}, payload: { bytes, release: () => undefined } };
    };
    return Promise.resolve({ call, close: () => undefined } as unknown as Awaited<ReturnType<ConnectNode>>);
  };
}

/** Promises, and the register, as a recovering server leaves them. */
export async function takenOver(
  node: CopyNode,
  server: string,
  content?: Omit<JournalRegister, "epoch" | "server">,
): Promise<void> {
  const { register, epoch } = await stateOf(node);
  const claim = { epoch: epoch + 1, server };
  const { raiseEpoch, storeRegister } = node.keeper.handlers;
  await raiseEpoch({ ...claim, cluster: node.identity.cluster as ClusterId, address: null }, asNameServer);
  await storeRegister(
    { ...claim, register: { ...((content ?? register) as JournalRegister), ...claim } },
    asNameServer,
  );
}
