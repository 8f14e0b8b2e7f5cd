/** What the name server orders of storage nodes to keep every block at all members of its group. */
import { z } from "zod";
import { limits } from "../base/limits.ts";
import { address, blockId, count, groupId, nodeId } from "./types.ts";

/**
 * Why a block was not copied: no source has it; no source has it undamaged; a source could not be asked; this node has
 * no space; this node has other content, or its disk failed.
 */
export const copyProblem = z.enum(["missing", "damaged", "unreachable", "full", "refused"]);
export type CopyProblem = z.infer<typeof copyProblem>;

export const copyMethods = {
  /**
   * Pulls each block, whole and verified, from the first of `sources` that gives it, and stores it. A block that is here
   * already, undamaged and at least `length` bytes long, counts as copied; a damaged one is replaced. Answered when the
   * copied ones are on disk. `foreground`: how many requests of clients the node served meanwhile.
   */
  copyBlocks: {
    request: z.object({
      epoch: count,
      blocks: z
        .array(z.object({ block: blockId, length: z.number().int().min(1).max(limits.blockBytesMax) }))
        .max(limits.blocksPerOrderMax),
      sources: z.array(z.object({ node: nodeId, address })).max(2 * limits.groupNodesMax),
    }),
    reply: z.object({
      copied: z.array(blockId).max(limits.blocksPerOrderMax),
      failed: z.array(z.object({ block: blockId, problem: copyProblem })).max(limits.blocksPerOrderMax),
      foreground: count,
    }),
  },
  /** The node's blocks of a group in order of number, from `first` on; fewer than `limit`: there are no more. */
  listBlocks: {
    request: z.object({
      epoch: count,
      group: groupId,
      first: count,
      limit: z.number().int().min(1).max(limits.blocksListedMax),
    }),
    reply: z.object({ blocks: z.array(z.object({ number: count, length: count })).max(limits.blocksListedMax) }),
  },
} as const;
