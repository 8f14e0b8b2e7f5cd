/** Answers at the name server's address while there is nothing to serve yet: everything is refused, with the reason. */
import { FsError } from "../base/errno.ts";
import { peerMethods } from "../name-server/types.ts";
import { nameServerMethods } from "../protocol/name-server.ts";
import { serve, type Surroundings } from "../rpc/open.ts";
import type { Address, Handlers, Listener } from "../rpc/types.ts";

/** Every call rejects with EAGAIN: clients and storage nodes try again, `dfs status` shows it. */
export function serveRefusals(surroundings: Surroundings, address: Address, reason: () => string): Promise<Listener> {
  const refuse = (): never => {
    throw new FsError("EAGAIN", reason());
  };
  const names = Object.keys(nameServerMethods);
  return serve(surroundings, {
    address,
    hello: { role: "name-server", id: "name-server" },
    ownTable: nameServerMethods,
    handlers: Object.fromEntries(names.map((name) => [name, refuse])) as unknown as Handlers<
      typeof nameServerMethods,
      typeof peerMethods
    >,
    remoteTable: peerMethods,
  });
}
