/** Scrub: storage nodes read everything again and again, tell what is damaged, and how far they are. */
import { z } from "zod";
import { limits } from "../base/limits.ts";
import { nothing } from "./method-table.ts";
import { blockId, count, nodeId } from "./types.ts";

/** How far a node's scrub is, and what it has found: in every heartbeat. Times are milliseconds since 1970. */
export const scrubReport = z.object({
  /** Verified in this pass, of `ofBytes` (about: blocks come and go). */
  blocks: count,
  bytes: count,
  ofBytes: count,
  /** A pass is under way; the last whole one ended then. */
  isRunning: z.boolean(),
  lastPassMillis: count.nullable(),
  /** Damaged blocks, ever: found, whole again; and how many are damaged now. */
  found: count,
  repaired: count,
  left: count,
  /** Passes that were ordered, ever, and how many of them are done. */
  ordered: count,
  orderedDone: count,
});
export type ScrubReport = z.infer<typeof scrubReport>;

/** Of a storage node, by order of the name server only. */
export const scrubNodeMethods = {
  /** Reads the blocks from its disk and verifies them. */
  checkBlocks: {
    request: z.object({ epoch: count, blocks: z.array(blockId).max(limits.blocksPerOrderMax) }),
    reply: z.object({
      damaged: z.array(blockId).max(limits.blocksPerOrderMax),
      missing: z.array(blockId).max(limits.blocksPerOrderMax),
    }),
  },
  /**
   * A pass from the beginning, without pauses but for clients; joins one that was ordered and is not done. It is done
   * when `orderedDone` of the heartbeats has reached `ordered`.
   */
  scrubNow: { request: z.object({ epoch: count }), reply: z.object({ ordered: count }) },
} as const;

/** Of the name server. */
export const scrubServerMethods = {
  /** A storage node has found these blocks damaged. */
  reportDamage: { request: z.object({ blocks: z.array(blockId).max(limits.blocksPerOrderMax) }), reply: nothing },
  /** For operators: orders a pass of every node that is up. `ordered`: see the storage node's `scrubNow`. */
  scrubAll: {
    request: nothing,
    reply: z.object({
      nodes: z.array(z.object({ node: nodeId, ordered: count.nullable(), problem: z.string() })),
    }),
  },
} as const;
