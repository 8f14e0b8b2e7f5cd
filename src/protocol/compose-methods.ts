/** What the name server orders when it rewrites content: a block out of pieces of others. */
import { z } from "zod";
import { limits } from "../base/limits.ts";
import { nothing } from "./method-table.ts";
import { address, blockId, count, groupId, nodeId, uint32 } from "./types.ts";

const nodeAt = z.object({ node: nodeId, address });

export const composeMethods = {
  /**
   * By order of the name server only, with its epoch. Puts `block` (of `length` bytes) together from `pieces`, one behind
   * the other: stretches of blocks that the node has or fetches from the `sources` of their group, verified, and inline
   * bytes, which are the payload, in their order (`inlineChecksum` is its CRC-32). The block is stored here and at all of
   * `forward`, as writeBlock does: the same pieces again are answered the same. ENOENT: a piece's block is at none of its
   * sources; EIO: it cannot be read at any; EEXIST, ENOSPC, EBADMSG as writeBlock. `replaces`: the blocks that it is made
   * of are larger, at the same nodes, and are deleted when it is there: it may use a part of their reserve.
   */
  composeBlock: {
    request: z.object({
      epoch: count,
      block: blockId,
      length: z.number().int().min(1).max(limits.blockBytesMax),
      pieces: z
        .array(
          z.union([
            z.object({
              kind: z.literal("block"),
              block: blockId,
              offset: z.number().int().min(0).max(limits.blockBytesMax),
              length: z.number().int().min(1).max(limits.blockBytesMax),
            }),
            z.object({ kind: z.literal("inline"), length: z.number().int().min(1).max(limits.inlineBytesMax) }),
          ]),
        )
        .min(1)
        .max(limits.composePiecesMax),
      inlineChecksum: uint32,
      sources: z
        .array(z.object({ group: groupId, nodes: z.array(nodeAt).max(limits.replicasMax) }))
        .max(limits.composePiecesMax),
      forward: z.array(nodeAt).max(limits.replicasMax - 1),
      replaces: z.boolean().optional(),
    }),
    reply: nothing,
  },
} as const;
