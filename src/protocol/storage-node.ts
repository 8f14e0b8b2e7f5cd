import { z } from "zod";
import { limits } from "../base/limits.ts";
import { composeMethods } from "./compose-methods.ts";
import { copyMethods } from "./copy-methods.ts";
import { nothing, table } from "./method-table.ts";
import { scrubNodeMethods } from "./scrub-methods.ts";
import { address, blockId, bytes, clusterId, count, nodeId } from "./types.ts";

/** What a storage node answers: blocks to clients and other nodes, deletions to the name server. */
export const storageNodeMethods = table({
  /**
   * Stores a block (the payload, `length` bytes, with its checksums: see base/checksum.ts) and forwards it along
   * `forward`; answered when it is on disk here and at all of those. The same block again with the same content is
   * answered the same; with other content EEXIST. ENOSPC; EBADMSG: a checksum does not match. A failure further down
   * the chain is answered EIO with `failed` in the error's context. `replaces`: as in composeBlock; EPERM for any but a
   * storage node.
   */
  writeBlock: {
    request: z.object({
      block: blockId,
      length: z.number().int().min(1).max(limits.blockBytesMax),
      checksums: bytes,
      forward: z.array(z.object({ node: nodeId, address })).max(limits.groupNodesMax - 1),
      replaces: z.boolean().optional(),
    }),
    reply: nothing,
  },
  /**
   * Reads the units of 4 KiB that cover [offset, offset + length): the payload starts at `start` (a multiple of 4 KiB)
   * and comes with its units' checksums, verified by the reader. ENOENT: no such block; EIO: damaged here.
   */
  readBlock: {
    request: z.object({ block: blockId, offset: count, length: z.number().int().min(1).max(limits.blockBytesMax) }),
    reply: z.object({ start: count, checksums: bytes }),
  },
  ...composeMethods,
  /** By order of the name server only, with its epoch. Blocks that are not there count as deleted. */
  deleteBlocks: { request: z.object({ epoch: count, blocks: z.array(blockId).max(4_096) }), reply: nothing },
  /** These two by order of the name server only, with its epoch. */
  ...copyMethods,
  /** These by order of the name server only, too. */
  ...scrubNodeMethods,
  nodeStatus: {
    request: nothing,
    reply: z.object({
      node: nodeId,
      cluster: clusterId.nullable(),
      capacityBytes: count,
      usedBytes: count,
      freeBytes: count,
      blocks: count,
      segments: count,
    }),
  },
});
export type StorageNodeMethods = typeof storageNodeMethods;
