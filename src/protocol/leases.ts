/**
 * Leases as both sides speak of them: what a session may believe of an inode, what it is asked to drop, and which of
 * the two counts when they meet on the way.
 *
 * Every grant and every recall has a number, and of one inode at one session they rise in the order in which the name
 * server decided them. A reply may leave later than a recall that was decided after it (replies wait for the disk), so a
 * client believes a grant only if it asked for it after the last recall of that inode had arrived.
 */
import { z } from "zod";
import { limits } from "../base/limits.ts";
import { count, ino, name } from "./types.ts";

/** none: believe nothing; shared: keep names, attributes, data; exclusive: also change them and tell later. */
export const leaseLevel = z.enum(["none", "shared", "exclusive"]);
export type LeaseLevel = z.infer<typeof leaseLevel>;

/**
 * A part of what can be known of an inode. `entry`: one name of a directory, present or absent, with the directory's
 * listing and attributes. `data`: bytes [offset, offset + length) of a file.
 */
export const leaseScope = z.discriminatedUnion("kind", [
  z.object({ kind: z.literal("entry"), name }),
  z.object({ kind: z.literal("attributes") }),
  z.object({ kind: z.literal("data"), offset: count, length: z.number().int().min(1) }),
  z.object({ kind: z.literal("everything") }),
]);
export type LeaseScope = z.infer<typeof leaseScope>;

/** Rides on a reply: how what the reply tells of the inode may be kept. */
export const leaseGrant = z.object({ ino, number: count, level: leaseLevel.exclude(["none"]) });
export type LeaseGrant = z.infer<typeof leaseGrant>;
/** Beside a reply; absent: nothing was granted, so what the reply tells is used once. */
export const leaseGrants = z.array(leaseGrant).max(limits.leaseWantsMax).optional();

/**
 * Flush what was changed locally, drop what `drop` names (at `to: "none"` that is everything), then acknowledge the
 * number. What is not named stays leased at `to`. An inode that is not leased is acknowledged too.
 */
export const leaseRecall = z.object({
  ino,
  number: count,
  to: z.enum(["none", "shared"]),
  drop: z.array(leaseScope).max(limits.recallScopesMax).readonly(),
});
export type LeaseRecall = z.infer<typeof leaseRecall>;

/** What a session had before a restart of the server. */
export const heldLease = z.object({ ino, level: leaseLevel.exclude(["none"]) });
export type HeldLease = z.infer<typeof heldLease>;

/**
 * What a client tells about its leases, in order.
 * flushed: all it had changed under the recalled lease is at the server, and it changes nothing more by itself.
 * acknowledged: it has done what the recall of this number asked for.
 * lowered: all it had changed under the exclusive grant of this number and any before it is at the server, and it changes
 *   nothing more by itself; it keeps what a shared lease lets it keep.
 * blocked: it cannot finish its recalls before its own changing requests are answered.
 */
export const leaseNews = z.discriminatedUnion("kind", [
  z.object({ kind: z.literal("flushed"), ino, number: count }),
  z.object({ kind: z.literal("acknowledged"), ino, number: count }),
  z.object({ kind: z.literal("lowered"), ino, number: count }),
  z.object({ kind: z.literal("forgotten"), ino }),
  z.object({ kind: z.literal("blocked") }),
]);
export type LeaseNews = z.infer<typeof leaseNews>;
