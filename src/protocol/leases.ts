/**
 * Leases as both sides speak of them: what a session may believe of an inode, what it is asked to drop, and which of
 * the two counts when they meet on the way.
 *
 * Every grant and every recall has a number, and of one inode at one session they rise in the order in which the name
 * server decided them. A reply may leave later than a recall that was decided after it (replies wait for the disk), so a
 * client asks `GrantOrder` before it believes what a reply grants.
 */
import { z } from "zod";
import type { Ino } from "../base/ids.ts";
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

/**
 * Rides on a reply. `level` says how what the reply tells of the inode may be kept ("none": used once; an older lease is
 * not touched by that); `open`: the session has it open as far as the name server knows.
 */
export const leaseGrant = z.object({ ino, number: count, level: leaseLevel, open: z.boolean() });
export type LeaseGrant = z.infer<typeof leaseGrant>;

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

/** The client's memory of recalls that may have overtaken a grant: as long as a request is unanswered that is older. */
export interface GrantOrder {
  /** A request is about to leave. */
  sent(): number;
  /** Its reply was believed or not, or it will never have one. */
  settled(request: number): void;
  /** In the frame handler of the recall. */
  recalled(ino: Ino, number: number): void;
  /** False: a recall has overtaken this grant; what came with it is used once and not kept. */
  counts(grant: Pick<LeaseGrant, "ino" | "number">): boolean;
  /** Recalls in memory. */
  readonly size: number;
}

export function createGrantOrder(): GrantOrder {
  /** In the order of sending. */
  const unanswered = new Set<number>();
  /** In the order of arrival, so also of `until`: the newest request that may still bring an older grant. */
  const recalls = new Map<Ino, { readonly number: number; readonly until: number }>();
  let newest = 0;

  function forgetOld(): void {
    const [oldest = Infinity] = unanswered;
    for (const [ino, { until }] of recalls) {
      if (until >= oldest) return;
      recalls.delete(ino);
    }
  }

  return {
    sent() {
      unanswered.add(++newest);
      return newest;
    },
    settled(request) {
      unanswered.delete(request);
      forgetOld();
    },
    recalled(ino, number) {
      if (unanswered.size === 0) return;
      recalls.delete(ino);
      recalls.set(ino, { number, until: newest });
    },
    counts: (grant) => grant.number > (recalls.get(grant.ino)?.number ?? 0),
    get size() {
      return recalls.size;
    },
  };
}
