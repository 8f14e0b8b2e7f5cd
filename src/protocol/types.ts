/**
 * The shapes that travel between processes, each with the check that a value from outside has to pass.
 * Field meanings are documented here once; `PROTOCOL.md` in `rpc/` has the bytes.
 */
import { z } from "zod";
import type { Attributes } from "../base/attributes.ts";
import {
  blockNumberMax,
  isClusterId,
  isGroupId,
  isIno,
  isNodeId,
  isSessionId,
  type ClusterId,
  type GroupId,
  type Ino,
  type NodeId,
  type SessionId,
} from "../base/ids.ts";
import { limits } from "../base/limits.ts";
import { isName, type Name } from "../base/name.ts";

/** A validator from a schema: throws with the field's path. */
export function checked<T>(schema: z.ZodType<T>): (value: unknown) => T {
  return (value) => {
    const result = schema.safeParse(value);
    if (result.success) return result.data;
    const issue = result.error.issues[0];
    throw new TypeError(`${issue?.path.map(String).join(".") ?? ""}: ${issue?.message ?? "not valid"}`);
  };
}

export const count = z.number().int().min(0);
export const uint32 = z.number().int().min(0).max(0xffff_ffff);
export const ino = z.custom<Ino>(isIno, "not an inode number");
export const name = z.custom<Name>(isName, "not a name");
export const sessionId = z.custom<SessionId>(isSessionId, "not a session id");
export const nodeId = z.custom<NodeId>(isNodeId, "not a node id");
export const clusterId = z.custom<ClusterId>(isClusterId, "not a cluster id");
export const groupId = z.custom<GroupId>(isGroupId, "not a group id");
export const bytes = z.custom<Buffer>((value) => Buffer.isBuffer(value), "not bytes");
const int64 = z.custom<bigint>(
  (value) => typeof value === "bigint" && BigInt.asIntN(64, value) === value,
  "not a 64-bit integer",
);
export const nanos = int64;
export const uint64 = z.custom<bigint>(
  (value) => typeof value === "bigint" && BigInt.asUintN(64, value) === value,
  "not an unsigned 64-bit integer",
);

export const address = z.object({ host: z.string().min(1).max(255), port: z.number().int().min(1).max(65_535) });

/** Copies of a block. */
export const replicas = z.number().int().min(1).max(limits.replicasMax);

export const attributes: z.ZodType<Attributes> = z.object({
  ino,
  mode: uint32,
  nlink: uint32,
  uid: uint32,
  gid: uint32,
  rdev: uint32,
  size: count,
  blocks: count,
  atime: nanos,
  mtime: nanos,
  ctime: nanos,
  btime: nanos,
  hasXattrs: z.boolean(),
  replicas: replicas.optional(),
});

/**
 * For whom an operation is done. `groups` are the supplementary groups; they cost the client a look into /proc, so it
 * sends them only after an EACCES or EPERM without them.
 */
export const caller = z.object({
  uid: uint32,
  gid: uint32,
  groups: z.array(uint32).max(limits.supplementaryGroupsMax).optional(),
});
export type CallerIdentity = z.infer<typeof caller>;

/**
 * Makes a changing request exactly-once: the server keeps the last reply of each slot, in the same batch as its effect,
 * and answers a request whose sequence it has already seen on that slot with that reply. One request per slot at a
 * time; sequences of a slot start at 1 and rise by 1.
 */
export const operation = z.object({
  slot: z
    .number()
    .int()
    .min(0)
    .max(limits.sessionSlots - 1),
  sequence: z.number().int().min(1),
});
export type OperationToken = z.infer<typeof operation>;

export const blockId = z.object({ group: groupId, number: z.number().int().min(0).max(blockNumberMax) });

/**
 * A stretch of a file and where its bytes are: at `blockOffset` of a block, or inline, in the metadata. What no extent
 * covers is a hole and reads as zeros. `offset` and `length` are bytes; a block's stretch need not be aligned.
 */
export const extent = z.union([
  z.object({
    kind: z.literal("block"),
    offset: count,
    length: z.number().int().min(1).max(limits.blockBytesMax),
    block: blockId,
    blockOffset: z.number().int().min(0).max(limits.blockBytesMax),
  }),
  z
    .object({
      kind: z.literal("inline"),
      offset: count,
      length: z.number().int().min(1).max(limits.inlineBytesMax),
      content: bytes,
    })
    .refine((value) => value.content.length === value.length, "content and length differ"),
]);
export type Extent = z.infer<typeof extent>;

/** Block numbers first, first+1, ... of a group, handed to one session, never reused. */
export const blockRange = z.object({ group: groupId, first: count, count: z.number().int().min(1) });
export type BlockRange = z.infer<typeof blockRange>;

export const nodeState = z.enum(["up", "down"]);
export const clusterNode = z.object({ id: nodeId, address, state: nodeState });
export type ClusterNode = z.infer<typeof clusterNode>;

/**
 * `nodes` in the order of writing: the client sends to the first one that is up, which forwards to the next. `copying`:
 * those of them that do not yet hold everything that is older than their joining; readers ask them last.
 */
export const placementGroup = z.object({
  group: groupId,
  epoch: z.number().int().min(1),
  nodes: z.array(nodeId).min(1).max(limits.groupNodesMax),
  copying: z.array(nodeId).max(limits.groupNodesMax),
});
export type PlacementGroup = z.infer<typeof placementGroup>;

/**
 * Where blocks live. A map with a higher version replaces one with a lower. `minReplicas`: a group that has fewer members
 * takes no blocks (absent: fewer than the copies that its blocks are meant to have).
 */
export const clusterMap = z.object({
  version: count,
  replicas,
  minReplicas: replicas.optional(),
  nodes: z.array(clusterNode),
  groups: z.array(placementGroup),
});
export type ClusterMap = z.infer<typeof clusterMap>;

/** A byte range to lock: see LockRange in fuse/operations.ts. `end` is inclusive, at most 2^63 - 1. */
export const lock = z.object({
  kind: z.enum(["posix", "flock"]),
  type: z.enum(["read", "write", "unlock"]),
  start: uint64,
  end: uint64,
  owner: uint64,
  pid: uint32,
});
export type Lock = z.infer<typeof lock>;

/** To be set: a time, or the server's clock. */
export const time = z.union([nanos, z.literal("now")]);
