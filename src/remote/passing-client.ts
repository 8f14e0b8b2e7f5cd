/**
 * A short session with the name server, of somebody who keeps nothing: whatever it is granted it gives back at once. So
 * the clients that have the file cached are told of its change as of any other.
 */
import { FsError } from "../base/errno.ts";
import { rootIno, type Ino } from "../base/ids.ts";
import { nameToText, type Name } from "../base/name.ts";
import { clientMethods, type ClientMethods } from "../protocol/client.ts";
import type { LeaseNews } from "../protocol/leases.ts";
import type { NameServerMethods } from "../protocol/name-server.ts";
import type { Surroundings } from "../rpc/open.ts";
import type { Address, Handlers, Peer } from "../rpc/types.ts";
import { connectServer } from "./connect-server.ts";

export type Server = Peer<NameServerMethods>;

const handlers: Handlers<ClientMethods, NameServerMethods> = {
  recallLeases: ({ recalls }, { peer }) => {
    const news = recalls.flatMap(({ ino, number }): LeaseNews[] => [
      { kind: "flushed", ino, number },
      { kind: "acknowledged", ino, number },
    ]);
    peer.notify("leaseNews", { news });
    return {};
  },
  inodesRemoved: () => ({ inUse: [] }),
  mapChanged: () => ({}),
};

/** See `connectServer`. @param id says in logs whose connection it is */
export function connectInPassing(
  surroundings: Surroundings,
  { addresses, id }: { readonly addresses: readonly Address[]; readonly id: string },
): Promise<Server> {
  const hello = { role: "client", id } as const;
  return connectServer(surroundings, { addresses, hello, ownTable: clientMethods, handlers });
}

/** A session for as long as `run` takes; the connection is closed in any case. */
export async function inSession<T>(server: Server, clientName: string, run: () => Promise<T>): Promise<T> {
  try {
    await server.call("openSession", { clientName });
    const value = await run();
    await server.call("closeSession", {});
    return value;
  } finally {
    server.close("done");
  }
}

/** From the root on. Rejects with ENOENT. */
export async function resolveNames(server: Server, names: readonly Name[]): Promise<Ino> {
  let ino: Ino = rootIno;
  for (const name of names) {
    const { attributes } = (await server.call("lookup", { parent: ino, name })).reply;
    if (attributes === null) throw new FsError("ENOENT", nameToText(name));
    ino = attributes.ino;
  }
  return ino;
}
