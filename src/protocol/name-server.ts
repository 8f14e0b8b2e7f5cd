/**
 * What the name server answers. The order: sessions, namespace, content, locks, then storage nodes and operators.
 * Changing methods of clients carry `op` (exactly-once) and `caller` (permission). All but `openSession`, `status` and
 * the storage nodes' methods need a session on the connection, else ENOTCONN.
 */
import { z } from "zod";
import { limits } from "../base/limits.ts";
import { aheadMethods } from "./ahead.ts";
import { checkMethods } from "./check-methods.ts";
import { contentMethods } from "./content-methods.ts";
import { heldLease, leaseGrant, leaseLevel, leaseNews } from "./leases.ts";
import { nothing, table } from "./method-table.ts";
import { nodeMethods } from "./node-methods.ts";
import { leased, namespaceMethods } from "./namespace-methods.ts";
import { replicaMethods } from "./replica-methods.ts";
import { scrubReport, scrubServerMethods } from "./scrub-methods.ts";
import {
  address,
  blockId,
  clusterId,
  clusterMap,
  count,
  ino,
  lock,
  nanos,
  nodeId,
  sessionId,
  groupId,
} from "./types.ts";

const schemas = {
  /**
   * Opens a session, or resumes one after a broken connection or a restart of the server. A `resume` that has expired
   * gives a new session with `resumed` false: everything of the old one is lost. `leasesKept`: the server still knows
   * the leases of a resumed session; else (it was restarted) the client reclaims them before anything else. `epoch`: the
   * server's; a client that has seen a higher one does not believe it.
   */
  openSession: {
    request: z.object({ resume: sessionId.optional(), clientName: z.string().max(255) }),
    reply: z.object({
      session: sessionId,
      resumed: z.boolean(),
      cluster: clusterId,
      epoch: count,
      ttlMillis: count,
      serverNanos: nanos,
      leasesKept: z.boolean(),
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

  ...namespaceMethods,
  ...contentMethods,
  ...aheadMethods,
  ...replicaMethods,

  /**
   * A lease on an inode, and its attributes. `exclusive` takes all leases of others away; what was granted is in
   * `leases` (perhaps less, or nothing: the inode bounces).
   */
  acquire: { request: z.object({ ino, level: leaseLevel.exclude(["none"]) }), reply: leased },
  /** Sent without waiting for a reply. */
  leaseNews: { request: z.object({ news: z.array(leaseNews).max(limits.leaseNewsMax) }), reply: nothing },
  /**
   * After a restart of the server, from a resumed session that says what it had. Those that are not among the grants
   * are lost: somebody else has them by now. `last`: that was all; only then the session counts as back.
   */
  reclaimLeases: {
    request: z.object({
      held: z.array(heldLease).max(limits.leaseNewsMax),
      last: z.boolean(),
    }),
    reply: z.object({ leases: z.array(leaseGrant).max(limits.leaseNewsMax) }),
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
      /** Nodes with the same label fail together; "": its host. */
      hostLabel: z.string().max(limits.hostLabelMax),
      capacityBytes: count,
      usedBytes: count,
      freeBytes: count,
      /** The greatest block number that it holds, per group. */
      greatest: z.array(z.object({ group: groupId, number: count })),
    }),
    reply: z.object({ cluster: clusterId, epoch: count, heartbeatMillis: count }),
  },
  nodeHeartbeat: {
    request: z.object({ usedBytes: count, freeBytes: count, blocks: count, scrub: scrubReport.optional() }),
    reply: nothing,
  },

  ...checkMethods,
  ...scrubServerMethods,

  ...nodeMethods,
  /** For operators: see StatusReply. */
  status: { request: nothing, reply: z.object({ status: z.unknown() }) },
} as const;

export const nameServerMethods = table(schemas);
export type NameServerMethods = typeof nameServerMethods;
