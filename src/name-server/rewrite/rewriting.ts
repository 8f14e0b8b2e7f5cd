/**
 * Rewriting of content in the background: cleaning of blocks that are half dead, and packing of inline content. Owns what
 * runs by itself; one thing at a time, slowly while there is space enough, without pause while nodes are short of it.
 */
import type { Clock } from "../../base/clock.ts";
import { limits } from "../../base/limits.ts";
import type { Log } from "../../base/log.ts";
import type { MetadataStore } from "../../metadata-store/types.ts";
import type { StatusReply } from "../../protocol/status.ts";
import type { Allocation } from "../allocation.ts";
import type { ClusterMaps } from "../cluster-map.ts";
import type { Execution } from "../execution.ts";
import type { OperationContext, Transaction } from "../namespace/index.ts";
import { inlineBytesSum } from "../namespace/inline-sum.ts";
import type { Nodes } from "../nodes.ts";
import { createCleaning } from "./cleaning.ts";
import type { HalfDeadBlocks } from "./half-dead.ts";
import { createNumbers } from "./numbers.ts";
import { createPacking } from "./packing.ts";
import { createRewriter } from "./rewriter.ts";
import type { Rewriter } from "./types.ts";

export interface Rewriting {
  /** Something may have become due: twice a second. */
  tick(): void;
  /** Somebody waits for space: for a while nothing is spared. */
  urge(): void;
  /** Something is being rewritten, or looked for that may be. */
  readonly isBusy: boolean;
  readonly rewriter: Rewriter;
  readonly statistics: StatusReply["rewrite"];
  close(): Promise<void>;
}

/** Below this part of its capacity a node is short of space. */
const shortShare = 0.1;
const urgentMillis = 20_000;

export function createRewriting(parts: {
  store: MetadataStore;
  execution: Execution;
  clock: Clock;
  allocation: Allocation;
  log: Log;
  nodes: Nodes;
  maps: ClusterMaps;
  halfDead: HalfDeadBlocks;
  makeContext: (transaction: Transaction) => OperationContext;
  replicas: number;
  /** Default: the limit's. */
  inlineTableBytesMax: number | undefined;
}): Rewriting {
  const { store, execution, clock, log, nodes, maps, halfDead, makeContext } = parts;
  const bytesMax = parts.inlineTableBytesMax ?? limits.inlineTableBytesMax;
  const stopping = new AbortController();
  const { signal } = stopping;
  let urgentUntil = -Infinity;
  let rewrittenBytes = 0;
  let active = 0;
  let running: Promise<void> | undefined;

  const isUrgent = (): boolean => clock.monotonicMillis() < urgentUntil || isShort();

  function isShort(): boolean {
    return nodes
      .all()
      .some(({ state, record, freeBytes }) => state === "up" && freeBytes < record.capacityBytes * shortShare);
  }

  const numbers = createNumbers({ execution, maps, nodes, allocation: parts.allocation });
  const plain = createRewriter({ store, execution, clock, log, nodes, maps, numbers, makeContext, isUrgent });
  const rewriter: Rewriter = {
    async rewrite(places, options) {
      active++;
      try {
        const moved = await plain.rewrite(places, options);
        rewrittenBytes += moved;
        return moved;
      } finally {
        active--;
      }
    },
    convert: (content, options) => plain.convert(content, options),
  };
  const cleaning = createCleaning({ store, clock, log, maps, halfDead, rewriter, isUrgent, signal });
  const packing = createPacking({ store, clock, log, rewriter, copies: parts.replicas, bytesMax, signal });

  async function pass(): Promise<void> {
    await cleaning.walk();
    for (let more = true; more && !signal.aborted;) {
      const packed = await packing.round();
      const cleaned = await cleaning.round();
      more = packed || cleaned;
    }
  }

  function run(): void {
    if (signal.aborted) return;
    running ??= pass()
      .catch((error: unknown) => {
        if (!signal.aborted) log.error({ err: error }, "rewriting failed, trying again");
      })
      .finally(() => {
        running = undefined;
      });
  }

  return {
    tick: run,
    urge() {
      urgentUntil = clock.monotonicMillis() + urgentMillis;
      run();
    },
    get isBusy() {
      return active > 0 || running !== undefined;
    },
    rewriter,
    get statistics() {
      return {
        inlineBytes: inlineBytesSum(store),
        inlineBytesMax: bytesMax,
        halfDeadBlocks: halfDead.size,
        rewrittenBytes,
      };
    },
    async close() {
      stopping.abort();
      await running;
    },
  };
}
