/** An operator's connection to the name server. */
import type { NameServerMethods } from "../protocol/name-server.ts";
import { connectServer } from "../remote/connect-server.ts";
import type { Surroundings } from "../rpc/open.ts";
import type { Address, Peer } from "../rpc/types.ts";

/** See `connectServer`. @param command says in logs whose connection it is */
export function connectAsOperator(
  surroundings: Surroundings,
  addresses: readonly Address[],
  command: string,
): Promise<Peer<NameServerMethods>> {
  const hello = { role: "admin", id: `${command}-${String(process.pid)}` } as const;
  return connectServer(surroundings, { addresses, hello, ownTable: {}, handlers: {} });
}
