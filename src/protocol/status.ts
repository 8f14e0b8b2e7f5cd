import type { ScrubReport } from "./scrub-methods.ts";

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
    /**
     * up, down (silent for a while); draining (and up); out: silent for so long that others take its place, or its disk
     * was emptied; removed by an operator.
     */
    readonly state: "up" | "down" | "draining" | "out" | "removed";
    /** Groups of which it is a member. */
    readonly groups: number;
    readonly capacityBytes: number;
    readonly usedBytes: number;
    readonly freeBytes: number;
    readonly blocks: number;
    readonly silentMillis: number;
    /** Absent: it has not said yet. */
    readonly scrub?: ScrubReport | undefined;
  }[];
  /**
   * healthy: as many members as copies are wanted are up and have everything; degraded: at least one; lost: none (until
   * one comes back its blocks cannot be read).
   */
  readonly groups: { readonly healthy: number; readonly degraded: number; readonly lost: number };
  readonly sessions: readonly {
    readonly id: string;
    readonly client: string;
    readonly connected: boolean;
    readonly idleMillis: number;
    readonly leases: number;
  }[];
  /** Recalls that are not acknowledged yet, and requests that wait for leases. */
  readonly leases: { readonly recalls: number; readonly waitingRequests: number };
  /** Files and directories whose content is still to get another number of copies (counted up to a bound). */
  readonly conversions: { readonly queued: number };
  readonly reclaim: { readonly queuedBlocks: number };
  /**
   * Inline content and what it may take; blocks of which less than half is alive (as far as they are noted); bytes that
   * were copied into new blocks since the start.
   */
  readonly rewrite: {
    readonly inlineBytes: number;
    readonly inlineBytesMax: number;
    readonly halfDeadBlocks: number;
    readonly rewrittenBytes: number;
  };
  readonly repair: RepairStatus;
  readonly metadata: {
    /** The last time that all of it was read and verified: how much that was, and how long ago (null: never). */
    readonly verifiedBytes: number;
    readonly verifiedMillisAgo: number | null;
    /** How often, since the start, a new snapshot took the place of what the name server's disk had damaged. */
    readonly damageReplaced: number;
  };
  /** Absent: this name server has its journal not copied. */
  readonly copies?: CopiesStatus;
  /** Why something waits, in words; empty when all is well. */
  readonly warnings: readonly string[];
}

export interface RepairStatus {
  /** waiting: more than half of the nodes are silent, and nothing is done before some are back. */
  readonly state: "idle" | "copying" | "waiting";
  /** Groups in which a member does not have everything yet. */
  readonly groupsWaiting: number;
  /** About: what such members lack; at which rate they get it; and when that will be done (null: not known). */
  readonly bytesToGo: number;
  readonly bytesPerSecond: number;
  readonly secondsLeft: number | null;
  /** What members of groups have copied since the start. */
  readonly copiedBytes: number;
  /** Lists of blocks, of a node and a group each, that are still to be compared with the records. */
  readonly comparing: number;
  /** Single copies that are said to be damaged or missing and wait to be verified; and those that were, since the start. */
  readonly suspects: number;
  readonly copiesVerified: number;
  /** Blocks of which no node has an undamaged copy: how many, and some of them as `group/number`. */
  readonly lostBlocks: number;
  readonly lost: readonly string[];
}

/** The journal's copies on storage nodes. */
export interface CopiesStatus {
  readonly epoch: number;
  readonly generation: number;
  /** Storage nodes that keep the register, and how many of them have to confirm this server. */
  readonly nodes: number;
  readonly needed: number;
  /** Whether this server may answer. */
  readonly serving: boolean;
  /** Those that have a copy; complete: it has everything that was acknowledged. `behind` is null while unknown. */
  readonly members: readonly { readonly node: string; readonly complete: boolean; readonly behind: number | null }[];
  /** Members for which changes wait now. */
  readonly awaited: readonly string[];
}
