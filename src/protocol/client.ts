import { z } from "zod";
import { nothing, table } from "./method-table.ts";
import { clusterMap, ino } from "./types.ts";

/** What the name server asks of a client, on the client's own connection. */
export const clientMethods = table({
  /**
   * False: flush everything, make the kernel forget everything, and cache nothing from now on; the reply says that this
   * is done. True: this client is alone and may cache.
   */
  setCaching: { request: z.object({ allowed: z.boolean() }), reply: nothing },
  /** These inodes lost their last name; the reply lists those that this client still uses (it releases them later). */
  inodesRemoved: { request: z.object({ inos: z.array(ino).max(1_024) }), reply: z.object({ inUse: z.array(ino) }) },
  mapChanged: { request: z.object({ map: clusterMap }), reply: nothing },
});
export type ClientMethods = typeof clientMethods;
