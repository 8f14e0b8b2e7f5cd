/** Whether clients are doing something: counts their requests, those that keep a session alive apart. */
import type { NameServerMethods } from "../../protocol/name-server.ts";
import type { HandlerContext, Handlers } from "../../rpc/types.ts";
import type { PeerMethods } from "../types.ts";

type Table = Handlers<NameServerMethods, PeerMethods>;
type Handler = (request: unknown, context: HandlerContext<PeerMethods>) => unknown;

const quiet: ReadonlySet<string> = new Set<keyof NameServerMethods>([
  "heartbeat",
  "leaseNews",
  "clusterMap",
  "reportNode",
  "status",
  "registerNode",
  "nodeHeartbeat",
]);

/** `count` is called for each request of a client that is not just keeping in touch. */
export function counted(handlers: Table, count: () => void): Table {
  const entries = Object.entries(handlers) as [string, Handler][];
  const counting = entries.map(([method, handler]): [string, Handler] => {
    if (quiet.has(method)) return [method, handler];
    return [
      method,
      (request, context) => {
        if (context.peer.remote.role === "client") count();
        return handler(request, context);
      },
    ];
  });
  return Object.fromEntries(counting) as unknown as Table;
}
