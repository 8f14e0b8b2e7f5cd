import { z } from "zod";
import { limits } from "../base/limits.ts";
import { leaseRecall } from "./leases.ts";
import { nothing, table } from "./method-table.ts";
import { clusterMap, ino } from "./types.ts";

/** What the name server asks of a client, on the client's own connection. */
export const clientMethods = table({
  /** Sent without waiting for a reply: answered by `leaseNews`, and sent again after a resumption. */
  recallLeases: { request: z.object({ recalls: z.array(leaseRecall).max(limits.leaseNewsMax) }), reply: nothing },
  /** These inodes lost their last name; the reply lists those that this client still uses (it releases them later). */
  inodesRemoved: { request: z.object({ inos: z.array(ino).max(1_024) }), reply: z.object({ inUse: z.array(ino) }) },
  mapChanged: { request: z.object({ map: clusterMap }), reply: nothing },
});
export type ClientMethods = typeof clientMethods;
