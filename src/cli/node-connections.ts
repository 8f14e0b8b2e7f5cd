/** How a name server connects to storage nodes by itself, for what they keep of its journal. */
import { inTime } from "../base/in-time.ts";
import { limits } from "../base/limits.ts";
import type { ConnectNode } from "../name-server/copies/types.ts";
import { journalMethods } from "../protocol/journal-methods.ts";
import { connectPeer, type Surroundings } from "../rpc/open.ts";

/** @param server the id of the name server's folder */
export function nodeConnections(surroundings: Surroundings, server: string): ConnectNode {
  const hello = { role: "name-server", id: server } as const;
  const how = { hello, ownTable: {}, handlers: {}, remoteTable: journalMethods };
  return (address) =>
    inTime(surroundings.clock, limits.connectMillis, (signal) =>
      connectPeer(surroundings, { ...how, address, signal }),
    );
}
