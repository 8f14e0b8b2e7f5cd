/** The methods that are about leases themselves. */
import type { NameServerMethods } from "../protocol/name-server.ts";
import type { Handlers } from "../rpc/types.ts";
import { readingHandler, type NamespaceHandlerParts } from "./namespace-handlers.ts";
import { namespaceMethods } from "./namespace/index.ts";
import type { PeerMethods } from "./types.ts";

export type LeaseHandlers = Pick<Handlers<NameServerMethods, PeerMethods>, "acquire" | "leaseNews" | "reclaimLeases">;

export function createLeaseHandlers(parts: NamespaceHandlerParts): LeaseHandlers {
  const { sessions, leases } = parts;
  return {
    acquire: readingHandler(parts, "acquire", (context, request) =>
      namespaceMethods.getattr(context, request as Parameters<typeof namespaceMethods.getattr>[1]),
    ),

    /** Nobody waits for an answer: what comes over a connection that speaks for nobody any more is not looked at. */
    leaseNews({ news }, { peer }) {
      const session = sessions.find(peer);
      if (session !== undefined) leases.news(sessions.of(peer), news);
      return {};
    },

    reclaimLeases({ held, last }, { peer }) {
      const session = sessions.of(peer);
      const granted = leases.reclaim(session, held);
      if (last) sessions.isBack(session);
      return { leases: granted };
    },
  };
}
