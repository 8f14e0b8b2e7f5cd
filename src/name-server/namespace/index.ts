/**
 * The namespace of the name server: one synchronous function for each of its methods that are about files, as functions
 * of one transaction. Sessions, exactly-once replies, locks, nodes and timing are around it, not in it.
 */
import type { NameServerMethods } from "../../protocol/name-server.ts";
import { copyFileRange } from "./copy-file-range.ts";
import { create, mkdir, mknod, symlink, tmpfile } from "./create.ts";
import { discardBlocks } from "./discard-blocks.ts";
import { fallocate } from "./fallocate.ts";
import { link } from "./link.ts";
import { getattr, lookup, open, readdir, readlink, statfs } from "./lookup.ts";
import { releaseOrphans } from "./orphans.ts";
import { compactExtents, readExtents } from "./read-extents.ts";
import { rmdir, unlink } from "./remove.ts";
import { setReplicas } from "./replicas.ts";
import { rename } from "./rename.ts";
import { setattr } from "./setattr.ts";
import type { Method } from "./types.ts";
import { writeExtents } from "./write-extents.ts";
import { getxattr, listxattr, removexattr, setxattr } from "./xattrs.ts";

export const namespaceMethods = {
  lookup,
  getattr,
  setattr,
  readlink,
  symlink,
  mknod,
  mkdir,
  create,
  tmpfile,
  unlink,
  rmdir,
  rename,
  link,
  releaseOrphans,
  readdir,
  statfs,
  setxattr,
  getxattr,
  listxattr,
  removexattr,
  readExtents,
  open,
  writeExtents,
  compactExtents,
  fallocate,
  copyFileRange,
  discardBlocks,
  setReplicas,
} as const satisfies { readonly [M in keyof NameServerMethods]?: Method<M> };

export type NamespaceMethod = keyof typeof namespaceMethods;

export { queueForDeletion } from "./block-accounts.ts";
export { Allocator, type Numbers } from "./allocator.ts";
export { countOfInodes, type OperationContext, type Space } from "./context.ts";
export { directoriesOf } from "./directories.ts";
export { findEntry } from "./entries.ts";
export { findAttributes } from "./inodes.ts";
export { beginInlineSum } from "./inline-sum.ts";
export { initialize } from "./initialize.ts";
export { releaseOrphan, releaseSession } from "./orphans.ts";
export { blocksDeleted, dueBlocks, reclaimStep, releaseRanges, type DueBlocks, type ReclaimPlace } from "./reclaim.ts";
export { convertEntries, queueTree } from "./replicas.ts";
export { Transaction } from "./transaction.ts";
export type { Method, Reply, Request } from "./types.ts";
