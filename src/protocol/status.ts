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
    readonly leases: number;
  }[];
  /** Recalls that are not acknowledged yet, and requests that wait for leases. */
  readonly leases: { readonly recalls: number; readonly waitingRequests: number };
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
  /** Why something waits, in words; empty when all is well. */
  readonly warnings: readonly string[];
}
