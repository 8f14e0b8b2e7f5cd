/** The name server's methods for `dfs fsck` and `dfs dump`, for operators. */
import { z } from "zod";
import { nothing } from "./method-table.ts";
import { count, name } from "./types.ts";

/** `error`: is wrong, and stays so. `repaired`: was wrong. `note`: nothing is wrong, but somebody should know. */
const found = z.object({
  state: z.enum(["error", "repaired", "note"]),
  /** For people, in UTF-8; empty: it is about no path. */
  paths: z.array(z.string()),
  text: z.string(),
});
export type Found = z.infer<typeof found>;

const summary = z.object({
  inodes: count,
  entries: count,
  extents: count,
  blocks: count,
  errors: count,
  repaired: count,
  notes: count,
});
export type FsckSummary = z.infer<typeof summary>;

export const checkMethods = {
  /**
   * Begins a check. EBUSY: one is running; ENOENT: there is no such path. `path`: names from the root on; findings that
   * are about nothing at or below it are not told. `data`: all copies of all blocks are read. It ends with the connection.
   */
  fsckStart: {
    request: z.object({ repair: z.boolean(), data: z.boolean(), path: z.array(name).max(4_096) }),
    reply: nothing,
  },
  /** What has been found since: waits a moment for something. `end`: that was all. EINVAL: no check of this connection. */
  fsckNext: {
    request: nothing,
    reply: z.object({ found: z.array(found), stage: z.string(), end: summary.nullable() }),
  },
  /** Begins a dump of all metadata as they are now. EBUSY: one is under way. It ends with the connection. */
  dumpStart: { request: nothing, reply: nothing },
  /** The next bytes of it as payload; none: that was all. EINVAL: no dump of this connection. */
  dumpNext: { request: nothing, reply: nothing },
} as const;
