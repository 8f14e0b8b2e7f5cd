/**
 * The ahead log: changes that a client has made under exclusive leases and answered already, on their way to the server.
 * Each entry is an ordinary changing request, with the time at which it was answered and, where an inode is made, its
 * number (from a range that the session reserved). The server applies a batch in order and as a whole.
 */
import { z } from "zod";
import { limits } from "../base/limits.ts";
import { contentMethods } from "./content-methods.ts";
import { leaseGrant } from "./leases.ts";
import { namespaceMethods } from "./namespace-methods.ts";
import { attributes, count, ino, nanos, operation } from "./types.ts";

const without = { op: true } as const;
const time = nanos;

export const aheadEntry = z.discriminatedUnion("method", [
  z.object({ method: z.literal("create"), time, ino, request: namespaceMethods.create.request.omit(without) }),
  z.object({ method: z.literal("mkdir"), time, ino, request: namespaceMethods.mkdir.request.omit(without) }),
  z.object({ method: z.literal("symlink"), time, ino, request: namespaceMethods.symlink.request.omit(without) }),
  z.object({ method: z.literal("link"), time, request: namespaceMethods.link.request.omit(without) }),
  z.object({ method: z.literal("unlink"), time, request: namespaceMethods.unlink.request.omit(without) }),
  z.object({ method: z.literal("rmdir"), time, request: namespaceMethods.rmdir.request.omit(without) }),
  z.object({ method: z.literal("rename"), time, request: namespaceMethods.rename.request.omit(without) }),
  z.object({ method: z.literal("setattr"), time, request: namespaceMethods.setattr.request.omit(without) }),
  z.object({ method: z.literal("writeExtents"), time, request: contentMethods.writeExtents.request.omit(without) }),
]);
export type AheadEntry = z.infer<typeof aheadEntry>;

export const aheadMethods = {
  /**
   * Applies entries, all or (with the error of the first one that is refused) none. Sequences of a session start at 1 and
   * rise by 1; one that was applied already is answered again. It never waits: each inode that an entry changes is leased
   * exclusively by the session, or is being recalled from it, else EIO. After a refusal every later batch is refused:
   * the client has lost what it had not sent. On a new connection unanswered batches come first, also before
   * `reclaimLeases`: after that others may hold what they change. `attributes`: of the directories whose names changed
   * and the files that were changed, as they are after the batch, where they still are. `leases`: the exclusive ones of
   * the new inodes.
   */
  applyAhead: {
    request: z.object({
      sequence: z.number().int().min(1),
      entries: z.array(aheadEntry).min(1).max(limits.aheadBatchMax),
    }),
    reply: z.object({
      attributes: z.array(attributes).max(2 * limits.aheadBatchMax),
      leases: z.array(leaseGrant).max(limits.aheadBatchMax),
    }),
  },
  /** Inode numbers for entries that make inodes; never given to anybody else. ENOSPC: nothing may grow. */
  reserveInodes: {
    request: z.object({ op: operation, count: z.number().int().min(1).max(limits.reservedInodesMax) }),
    reply: z.object({ first: ino, count }),
  },
} as const;
