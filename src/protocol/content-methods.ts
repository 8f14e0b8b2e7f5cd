/** The name server's methods that are about the content of files: which extents, which block numbers. */
import { z } from "zod";
import { limits } from "../base/limits.ts";
import { leaseGrants } from "./leases.ts";
import { nothing } from "./method-table.ts";
import { leased } from "./namespace-methods.ts";
import {
  attributes,
  blockId,
  blockRange,
  caller,
  clusterMap,
  count,
  extent,
  ino,
  nodeId,
  operation,
  replicas,
  uint32,
  groupId,
  time,
} from "./types.ts";

export const contentMethods = {
  /**
   * Extents that overlap [offset, offset + length), whole, in order; `next` is where to go on if the reply is cut.
   * `insist`: the kernel keeps what is read, so a lease is granted even while the inode bounces.
   * `along`: other files, of which all extents are told beside it (`others`): of those that fit, and that may be leased
   * without asking anybody.
   */
  readExtents: {
    request: z.object({
      ino,
      offset: count,
      length: z.number().int().min(1),
      insist: z.boolean().optional(),
      along: z.array(ino).max(limits.readAlongFilesMax).optional(),
    }),
    reply: z.object({
      attributes,
      extents: z.array(extent),
      next: count.nullable(),
      others: z
        .array(
          z.object({
            attributes,
            extents: z.array(extent),
            lease: count.optional(),
            exclusive: z.boolean().optional(),
          }),
        )
        .max(limits.readAlongFilesMax)
        .optional(),
      leases: leaseGrants,
    }),
  },
  /** Checks permission for what open(2) asks (`read`, `write`) and tells what is there. */
  open: {
    request: z.object({ caller, ino, read: z.boolean(), write: z.boolean() }),
    reply: leased,
  },
  /**
   * Puts content into a file: the new extents replace what they cover (which is reclaimed). Blocks must be of this
   * session's ranges and named by nothing yet (EINVAL), written under the current epoch of their group (ESTALE: write
   * them again elsewhere). `size`: the file is at least so long afterwards. `append`: offsets count from the end of the
   * file as it is now; the reply tells where that was. `mtime`: when it was written, also the ctime if that is earlier;
   * absent, the times stay, because they were set after it was written. `clearPrivileges`: the writer may not keep
   * setuid, nor setgid where the group may execute. `insist`: as for `readExtents`, of what is written.
   */
  writeExtents: {
    request: z.object({
      op: operation,
      ino,
      extents: z.array(extent).max(limits.extentsPerMessageMax),
      epochs: z.array(z.object({ group: groupId, epoch: count })),
      size: count,
      append: z.boolean(),
      mtime: time.optional(),
      clearPrivileges: z.boolean(),
      insist: z.boolean().optional(),
    }),
    reply: z.object({ attributes, appendedAt: count, leases: leaseGrants }),
  },
  /**
   * Replaces extents by one with the same content (compaction): only if the stretch still consists of exactly `before`
   * (as `readExtents` gave them), else EAGAIN. Times do not change.
   */
  compactExtents: {
    request: z.object({
      op: operation,
      ino,
      before: z.array(extent).max(limits.extentsPerMessageMax),
      after: z.array(extent).max(16),
      epochs: z.array(z.object({ group: groupId, epoch: count })),
    }),
    reply: nothing,
  },
  /** Modes: 0 (extend), KEEP_SIZE, PUNCH_HOLE|KEEP_SIZE, ZERO_RANGE[|KEEP_SIZE]; others EOPNOTSUPP. */
  fallocate: {
    request: z.object({ op: operation, caller, ino, offset: count, length: z.number().int().min(1), mode: uint32 }),
    reply: leased,
  },
  /** Shares extents by reference; may do less than asked (`copied`), never 0 before the source's end. */
  copyFileRange: {
    request: z.object({
      op: operation,
      caller,
      from: ino,
      fromOffset: count,
      to: ino,
      toOffset: count,
      length: z.number().int().min(1),
    }),
    reply: z.object({ attributes, copied: count, leases: leaseGrants }),
  },
  /**
   * Block numbers to write under, in healthy groups with space that avoid the given nodes; `replicas`: for blocks with so
   * many copies, absent: with the cluster's default. ENOSPC, or EAGAIN: no healthy group, but there may be one later.
   */
  allocateBlocks: {
    request: z.object({
      op: operation,
      count: z.number().int().min(1).max(1_024),
      avoid: z.array(nodeId).max(64),
      replicas: replicas.optional(),
    }),
    reply: z.object({ ranges: z.array(blockRange), map: clusterMap }),
  },
  /**
   * Blocks that this session has (perhaps) written and will never name: they are deleted. Those that it has named, and
   * that are not of its ranges, are left.
   */
  discardBlocks: {
    request: z.object({ op: operation, blocks: z.array(blockId).max(limits.blocksPerOrderMax) }),
    reply: nothing,
  },
} as const;
