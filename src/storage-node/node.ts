/** A storage node, put together: listens for clients and other nodes, and registers with the name server. */
import { assert } from "../base/assert.ts";
import { createBufferPool } from "../base/buffer-pool.ts";
import { FsError } from "../base/errno.ts";
import { limits } from "../base/limits.ts";
import type { NodeIdentity } from "../block-store/identity.ts";
import type { BlockStore } from "../block-store/types.ts";
import type { Promised } from "../protocol/ask-nodes.ts";
import { nameServerMethods } from "../protocol/name-server.ts";
import { journalMethods } from "../protocol/journal-methods.ts";
import { storageNodeMethods } from "../protocol/storage-node.ts";
import { connectPeer, serve, type Surroundings } from "../rpc/open.ts";
import type { Address, Hello, MethodTable, Peer } from "../rpc/types.ts";
import { BlockService } from "./block-service.ts";
import { inTime } from "../base/in-time.ts";
import { journalHandlers, type JournalKeeper } from "./journal-keeper.ts";
import { NameServerPlaces } from "./name-server-places.ts";
import { Neighbours, type ChainMember, type NodePeer } from "./neighbours.ts";
import { onlyWhenAccepted } from "./orders.ts";
import { Registration, type NameServerPeer } from "./registration.ts";
import type { Scrub } from "./scrub.ts";

export interface StorageNodeOptions {
  /** Open; the caller closes it, after the node. */
  readonly store: BlockStore;
  readonly identity: NodeIdentity;
  readonly surroundings: Surroundings;
  /** The node's part in the copies of the journal; the caller closes it, after the node. Absent: it takes none. */
  readonly journal?: JournalKeeper;
  /** Started and closed here. Absent: nothing is verified but what is asked for. */
  readonly scrub?: Scrub | undefined;
  readonly listen: Address;
  /** Where others find it; default: where it listens. */
  readonly advertised?: Address;
  /** Nodes with the same label fail together; default "": its host. */
  readonly hostLabel?: string;
  /** Tried in turn. */
  readonly nameServers: readonly Address[];
}

export interface StorageNode {
  /** Where it listens. */
  readonly address: Address;
  /** Resolves when it has registered for the first time. */
  readonly registered: Promise<void>;
  readonly isConnected: boolean;
  /** Rejects (never resolves) when the store failed: the process has to end. */
  readonly failed: Promise<never>;
  close(): Promise<void>;
}

const noMethods: MethodTable = {};
const ownMethods = { ...storageNodeMethods, ...journalMethods };

/** Rejects with EADDRINUSE... The name server need not be there yet. */
export async function createStorageNode(options: StorageNodeOptions): Promise<StorageNode> {
  const { store, identity, scrub } = options;
  const { clock, random, log } = options.surroundings;
  assert(options.nameServers.length > 0, "no address of a name server");
  const pool = options.surroundings.pool ?? createBufferPool(limits.storageNodePoolBytes);
  const surroundings: Surroundings = { ...options.surroundings, pool };
  const hello: Omit<Hello, "versions"> = { role: "storage-node", id: identity.node };

  const dial = (address: Address, millis: number, outer?: AbortSignal): Promise<Peer<typeof ownMethods>> =>
    inTime(
      clock,
      millis,
      (signal) =>
        connectPeer(surroundings, {
          address,
          hello,
          ownTable: noMethods,
          handlers: {},
          remoteTable: ownMethods,
          signal,
        }),
      outer,
    );
  const connectNode = async ({ node, address }: ChainMember): Promise<NodePeer> => {
    const peer = await dial(address, limits.neighbourConnectMillis);
    if (peer.remote.role === "storage-node" && peer.remote.id === node) return peer;
    peer.close("not the node that was meant");
    throw new FsError(
      "EHOSTUNREACH",
      `at ${address.host}:${String(address.port)} is not node ${node} but ${peer.remote.id}`,
    );
  };
  const askNode = async (address: Address, signal: AbortSignal): Promise<Promised> => {
    const peer = await dial(address, limits.neighbourConnectMillis, signal);
    try {
      return (await peer.call("nameServerAddress", {}, { deadlineMillis: limits.connectMillis, signal })).reply;
    } finally {
      peer.close("done");
    }
  };
  const neighbours = new Neighbours(connectNode);
  const service = new BlockService({ store, identity, neighbours, pool, log, scrub });

  const journal = journalHandlers(options.journal);
  const listener = await serve(surroundings, {
    address: options.listen,
    hello,
    ownTable: ownMethods,
    handlers: { ...service.handlers, ...journal },
    remoteTable: noMethods,
  });

  const nameServerHandlers = onlyWhenAccepted(service.nameServerHandlers, (peer) => registration.accepted(peer));
  const advertised = options.advertised ?? listener.address;
  const places = new NameServerPlaces({
    given: options.nameServers,
    journal: options.journal,
    isOther: ({ host, port }) => host !== advertised.host || port !== advertised.port,
    ask: askNode,
    clock,
    random,
  });
  const connectNameServer = async (signal: AbortSignal): Promise<NameServerPeer> => {
    const address = await places.next(signal);
    const peer = await inTime(
      clock,
      limits.connectMillis,
      (timely) =>
        connectPeer(surroundings, {
          address,
          hello,
          ownTable: ownMethods,
          handlers: { ...nameServerHandlers, ...journal },
          remoteTable: nameServerMethods,
          signal: timely,
        }),
      signal,
    );
    if (peer.remote.role === "name-server") return peer;
    peer.close("not a name server");
    throw new FsError(
      "EPROTO",
      `at ${address.host}:${String(address.port)} is no name server but a ${peer.remote.role}`,
    );
  };
  const registration = new Registration({
    store,
    identity,
    advertised,
    hostLabel: options.hostLabel ?? "",
    connect: connectNameServer,
    onRegistered: () => {
      places.registered();
    },
    scrub,
    clock,
    random,
    log,
  });

  if (options.journal !== undefined) {
    options.journal.onRaised = (epoch) => {
      registration.overtaken(epoch);
    };
  }
  scrub?.start(() => service.foreground);

  return {
    address: listener.address,
    registered: registration.registered,
    get isConnected() {
      return registration.isConnected;
    },
    failed: store.failed,
    async close() {
      await scrub?.close();
      await registration.close();
      neighbours.close();
      await listener.close();
    },
  };
}
