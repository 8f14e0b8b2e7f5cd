/** One connection to the name server, for who asks it something once. */
import { FsError } from "../base/errno.ts";
import type { ServerHint } from "../protocol/ask-nodes.ts";
import { journalMethods } from "../protocol/journal-methods.ts";
import { nameServerMethods, type NameServerMethods } from "../protocol/name-server.ts";
import { connectPeer, type Surroundings } from "../rpc/open.ts";
import type { Address, Handlers, Hello, MethodTable, Peer } from "../rpc/types.ts";
import { addressName, connectInTime, type Connect } from "./connect.ts";

const { nameServerAddress } = journalMethods;
/** What may be at an address: a name server, or a storage node that knows where one is. */
const remoteTable = { ...nameServerMethods, nameServerAddress };
type Either = typeof remoteTable;

export interface ServerConnection<Own extends MethodTable> {
  /** Of name servers or storage nodes, tried in turn. */
  readonly addresses: readonly Address[];
  readonly hello: Omit<Hello, "versions">;
  readonly ownTable: Own;
  readonly handlers: Handlers<Own, Either>;
  readonly signal?: AbortSignal;
}

/** To the first one that is a name server; if none is, to where a storage node among them says. Rejects with the last problem. */
export async function connectServer<Own extends MethodTable>(
  surroundings: Surroundings,
  options: ServerConnection<Own>,
): Promise<Peer<NameServerMethods>> {
  const { hello, ownTable, handlers, signal = new AbortController().signal } = options;
  const connect: Connect<Own, Either> = (address, how) =>
    connectPeer(surroundings, { ...how, address, ownTable, remoteTable });
  const dial = (address: Address): Promise<Peer<Either>> =>
    connectInTime(connect, address, { handlers, hello, signal, clock: surroundings.clock });
  const hints: ServerHint[] = [];
  let problem: unknown = new FsError("EHOSTUNREACH", "no storage node knows where the name server is");
  for (const address of options.addresses) {
    try {
      const peer = await dial(address);
      if (peer.remote.role === "name-server") return peer;
      const promised = await askOnce(peer, address);
      if (promised.address !== null) hints.push({ epoch: promised.epoch, address: promised.address });
    } catch (error) {
      problem = error;
    }
  }
  hints.sort((a, b) => b.epoch - a.epoch);
  for (const { address } of hints) {
    try {
      const peer = await dial(address);
      if (peer.remote.role === "name-server") return peer;
      peer.close("not a name server");
    } catch (error) {
      problem = error;
    }
  }
  throw problem as Error;
}

async function askOnce(peer: Peer<Either>, address: Address): Promise<{ epoch: number; address: Address | null }> {
  try {
    if (peer.remote.role !== "storage-node")
      throw new FsError("EHOSTUNREACH", `at ${addressName(address)} is a ${peer.remote.role}, not a name server`);
    return (await peer.call("nameServerAddress", {})).reply;
  } finally {
    peer.close("done");
  }
}
