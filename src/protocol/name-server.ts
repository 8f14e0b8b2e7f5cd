/**
 * What the name server answers. The order: sessions, namespace, content, locks, then storage nodes and operators.
 * Changing methods of clients carry `op` (exactly-once) and `caller` (permission). All but `openSession`, `status` and
 * the storage nodes' methods need a session on the connection, else ENOTCONN.
 */
import { z } from "zod";
import { limits } from "../base/limits.ts";
import {
  address,
  attributes,
  blockId,
  blockRange,
  bytes,
  caller,
  checked,
  clusterId,
  clusterMap,
  count,
  extent,
  ino,
  lock,
  name,
  nanos,
  nodeId,
  operation,
  sessionId,
  uint32,
  groupId,
} from "./types.ts";

/** An empty message. (Not `z.object({})`: its type would have every key.) */
const nothing: z.ZodType<{ readonly nothing?: undefined }> = z.object({ nothing: z.undefined().optional() });
const withAttributes = z.object({ attributes });
/**
 * The directories whose names were changed, as they are right after it, so that nobody has to ask. Absent when the
 * request was answered from memory.
 */
const directories = z.array(attributes).max(2).optional();
const named = z.object({ attributes, directories });
/** What a removed or replaced name leaves of its inode: nlink 0 means that only open handles keep it. */
const remains = z.object({ attributes: attributes.nullable(), directories });
const creation = { op: operation, caller, parent: ino, name, umask: uint32 };
const time = z.union([nanos, z.literal("now")]);
const xattrBytes = bytes.refine((value) => value.length <= limits.xattrValueBytesMax, "value too long");

const schemas = {
  /**
   * Opens a session, or resumes one after a broken connection or a restart of the server. A `resume` that has expired
   * gives a new session with `resumed` false: everything of the old one is lost. Waits until an older session has
   * dropped its caches. `slots` are the sequences that the server has seen, by slot.
   */
  openSession: {
    request: z.object({ resume: sessionId.optional(), clientName: z.string().max(255) }),
    reply: z.object({
      session: sessionId,
      resumed: z.boolean(),
      cluster: clusterId,
      ttlMillis: count,
      serverNanos: nanos,
      /** Whether this client may cache anything: only while it is the only one. */
      caching: z.boolean(),
      map: clusterMap,
    }),
  },
  /** Keeps the session; the reply estimates the server's clock and tells what is free. */
  heartbeat: {
    request: nothing,
    reply: z.object({ serverNanos: nanos, mapVersion: count, bytesFree: count }),
  },
  /** Ends the session: locks and orphans are let go. */
  closeSession: { request: nothing, reply: nothing },

  /** `.` and `..` are "lookup by inode" and "parent of", for NFS export. ENOENT is `attributes: null`. */
  lookup: {
    request: z.object({ parent: ino, name: z.union([name, z.literal("."), z.literal("..")]) }),
    reply: z.object({ attributes: attributes.nullable() }),
  },
  getattr: { request: z.object({ ino }), reply: withAttributes },
  /**
   * Changes what is given. A new `size` truncates or extends with a hole, clears setuid/setgid unless the caller is
   * root, and sets mtime and ctime. `fromOpenFile`: the caller has it open for writing, so no write permission is needed.
   * `ctime` is set instead of now, but never back: with the ctime that the client knows, only the times of reads change.
   */
  setattr: {
    request: z.object({
      op: operation,
      caller,
      ino,
      mode: uint32.optional(),
      uid: uint32.optional(),
      gid: uint32.optional(),
      size: count.optional(),
      atime: time.optional(),
      mtime: time.optional(),
      ctime: nanos.optional(),
      killPrivileges: z.boolean().optional(),
      fromOpenFile: z.boolean().optional(),
    }),
    reply: withAttributes,
  },
  readlink: { request: z.object({ ino }), reply: z.object({ target: bytes }) },
  symlink: { request: z.object({ ...creation, target: bytes }), reply: named },
  mknod: { request: z.object({ ...creation, mode: uint32, rdev: uint32 }), reply: named },
  mkdir: { request: z.object({ ...creation, mode: uint32 }), reply: named },
  /** A regular file; EEXIST if the name is there. */
  create: { request: z.object({ ...creation, mode: uint32 }), reply: named },
  /** A regular file without a name, nlink 0, kept by this session until `releaseOrphans`. */
  tmpfile: {
    request: z.object({ op: operation, caller, parent: ino, mode: uint32, umask: uint32 }),
    reply: withAttributes,
  },
  /**
   * Removing the last name of an inode: if `keep` is true (this client still has it open) or other sessions are
   * connected, it becomes an orphan that each of them has to release; otherwise it is removed at once.
   */
  unlink: { request: z.object({ op: operation, caller, parent: ino, name, keep: z.boolean() }), reply: remains },
  rmdir: { request: z.object({ op: operation, caller, parent: ino, name, keep: z.boolean() }), reply: remains },
  /** renameat2(2). `keep` is about a replaced inode, as at unlink; `attributes` of the reply are the replaced inode's. */
  rename: {
    request: z.object({
      op: operation,
      caller,
      parent: ino,
      name,
      newParent: ino,
      newName: name,
      flags: uint32,
      keep: z.boolean(),
    }),
    reply: z.object({ attributes, replaced: attributes.nullable(), directories }),
  },
  link: { request: z.object({ op: operation, caller, ino, newParent: ino, newName: name }), reply: named },
  /** This session no longer uses these removed inodes. Unknown ones are ignored. */
  releaseOrphans: { request: z.object({ op: operation, inos: z.array(ino).max(1_024) }), reply: nothing },
  /**
   * Entries after `cookie` (0: all), in cookie order, about `bytesMax` bytes of them; `plus` adds attributes. A cookie
   * is the name's hash: entries of equal hash are never split over replies. `.` and `..` are the client's;
   * `parent` is what `..` shows.
   */
  readdir: {
    request: z.object({ ino, cookie: count, bytesMax: count, plus: z.boolean() }),
    reply: z.object({
      parent: ino,
      entries: z.array(z.object({ name, ino, type: uint32, cookie: count, attributes: attributes.optional() })),
      end: z.boolean(),
    }),
  },
  statfs: {
    request: nothing,
    reply: z.object({ bytesTotal: count, bytesFree: count, files: count, filesFree: count }),
  },
  /** `flags` 1 XATTR_CREATE, 2 XATTR_REPLACE. ACLs are xattrs: the mode follows, as in ext4. */
  setxattr: {
    request: z.object({ op: operation, caller, ino, name, value: xattrBytes, flags: uint32, clearSetgid: z.boolean() }),
    reply: withAttributes,
  },
  getxattr: { request: z.object({ caller, ino, name }), reply: z.object({ value: bytes }) },
  listxattr: { request: z.object({ caller, ino }), reply: z.object({ names: z.array(name) }) },
  removexattr: { request: z.object({ op: operation, caller, ino, name }), reply: withAttributes },

  /**
   * Extents that overlap [offset, offset + length), whole, in order; `next` is where to go on if the reply is cut.
   * `caller` absent: the client holds an open handle, permission was checked at `open`.
   */
  readExtents: {
    request: z.object({ ino, offset: count, length: z.number().int().min(1) }),
    reply: z.object({ attributes, extents: z.array(extent), next: count.nullable() }),
  },
  /** Checks permission for what open(2) asks (`read`, `write`) and tells what is there. */
  open: {
    request: z.object({ caller, ino, read: z.boolean(), write: z.boolean() }),
    reply: withAttributes,
  },
  /**
   * Puts content into a file: the new extents replace what they cover (which is reclaimed). Blocks must be of this
   * session's ranges and named by nothing yet (EINVAL), written under the current epoch of their group (ESTALE: write
   * them again elsewhere). `size`: the file is at least so long afterwards. `append`: offsets count from the end of the
   * file as it is now; the reply tells where that was. `mtime`: when it was written, also the ctime if that is earlier;
   * absent, the times stay, because they were set after it was written. `clearPrivileges`: the writer may not keep
   * setuid, nor setgid where the group may execute.
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
    }),
    reply: z.object({ attributes, appendedAt: count }),
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
    reply: withAttributes,
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
    reply: z.object({ attributes, copied: count }),
  },
  /** Block numbers to write under, in healthy groups with space that avoid the given nodes. ENOSPC, or EAGAIN: no healthy group. */
  allocateBlocks: {
    request: z.object({ op: operation, count: z.number().int().min(1).max(1_024), avoid: z.array(nodeId).max(64) }),
    reply: z.object({ ranges: z.array(blockRange), map: clusterMap }),
  },
  clusterMap: { request: nothing, reply: z.object({ map: clusterMap }) },
  /** A client could not reach a node, or got rot from it; the server looks for itself. */
  reportNode: {
    request: z.object({
      node: nodeId,
      block: blockId.optional(),
      problem: z.enum(["unreachable", "corrupt", "missing", "full"]),
    }),
    reply: nothing,
  },

  /** The first lock in the way, or null. */
  getLock: { request: z.object({ ino, lock }), reply: z.object({ lock: lock.nullable() }) },
  /**
   * Takes or releases. EAGAIN if taken and not `wait`; EDEADLK. A waiting call is answered when granted; cancelling it
   * gives up, and a grant that crossed the cancellation is released by the server. `reclaim`: a resumed session takes
   * what it held before (the server may have been restarted and have lost it); not held back for others to come back.
   */
  setLock: { request: z.object({ ino, lock, wait: z.boolean(), reclaim: z.boolean().optional() }), reply: nothing },
  /** Releases all posix locks of an owner on an inode (close), or its flock. */
  releaseLocks: {
    request: z.object({ ino, owner: lock.shape.owner, kind: lock.shape.kind }),
    reply: nothing,
  },

  /** A storage node's first message. EPERM: wrong cluster (a node belongs to one for ever). */
  registerNode: {
    request: z.object({
      node: nodeId,
      /** Null: a new node, which joins this cluster. */
      cluster: clusterId.nullable(),
      address,
      capacityBytes: count,
      usedBytes: count,
      freeBytes: count,
      /** The greatest block number that it holds, per group. */
      greatest: z.array(z.object({ group: groupId, number: count })),
    }),
    reply: z.object({ cluster: clusterId, epoch: count, heartbeatMillis: count }),
  },
  nodeHeartbeat: {
    request: z.object({ usedBytes: count, freeBytes: count, blocks: count }),
    reply: nothing,
  },

  /** For operators: see StatusReply. */
  status: { request: nothing, reply: z.object({ status: z.unknown() }) },
} as const;

type Table<S> = {
  readonly [M in keyof S]: S[M] extends { request: z.ZodType<infer Q>; reply: z.ZodType<infer R> }
    ? { readonly request: (value: unknown) => Q; readonly reply: (value: unknown) => R }
    : never;
};

function table<S extends Record<string, { request: z.ZodType; reply: z.ZodType }>>(all: S): Table<S> {
  const out: Record<string, unknown> = {};
  for (const [method, { request, reply }] of Object.entries(all)) {
    out[method] = { request: checked(request), reply: checked(reply) };
  }
  return out as Table<S>;
}

export const nameServerMethods = table(schemas);
export type NameServerMethods = typeof nameServerMethods;

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

/** What a storage node answers: blocks to clients and other nodes, deletions to the name server. */
export const storageNodeMethods = table({
  /**
   * Stores a block (the payload, `length` bytes, with its checksums: see base/checksum.ts) and forwards it along
   * `forward`; answered when it is on disk here and at all of those. The same block again with the same content is
   * answered the same; with other content EEXIST. ENOSPC; EBADMSG: a checksum does not match. A failure further down
   * the chain is answered EIO with `failed` in the error's context.
   */
  writeBlock: {
    request: z.object({
      block: blockId,
      length: z.number().int().min(1).max(limits.blockBytesMax),
      checksums: bytes,
      forward: z.array(z.object({ node: nodeId, address })).max(limits.replicasMax - 1),
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
  /** By order of the name server only, with its epoch. Blocks that are not there count as deleted. */
  deleteBlocks: { request: z.object({ epoch: count, blocks: z.array(blockId).max(4_096) }), reply: nothing },
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

/** The name server's view of everything, for `dfs status` (`--json` prints it as it is). */
export interface StatusReply {
  readonly cluster: string;
  readonly version: string;
  readonly epoch: number;
  readonly replicas: number;
  readonly uptimeSeconds: number;
  readonly capacity: {
    readonly totalBytes: number;
    readonly usedBytes: number;
    readonly freeBytes: number;
    readonly availableBytes: number;
  };
  readonly files: number;
  readonly nodes: readonly {
    readonly id: string;
    readonly address: string;
    readonly state: "up" | "down";
    readonly capacityBytes: number;
    readonly usedBytes: number;
    readonly freeBytes: number;
    readonly blocks: number;
    readonly silentMillis: number;
  }[];
  /** healthy: all members up; degraded: some; lost: none. */
  readonly groups: { readonly healthy: number; readonly degraded: number; readonly lost: number };
  readonly sessions: readonly {
    readonly id: string;
    readonly client: string;
    readonly connected: boolean;
    readonly idleMillis: number;
  }[];
  readonly reclaim: { readonly queuedBlocks: number };
  /** Why something waits, in words; empty when all is well. */
  readonly warnings: readonly string[];
}
