/** What all files of one client share: the way to the servers, bounds, and the memory. */
import type { Clock } from "../base/clock.ts";
import type { limits } from "../base/limits.ts";
import type { Log } from "../base/log.ts";
import type { BlockReader, BlockWriter, NameServer } from "../remote/types.ts";
import type { BlockCache } from "./block-cache.ts";
import type { BlockSlots } from "./block-slots.ts";
import type { ChunkMemory } from "./chunk-memory.ts";
import type { LayoutBudget } from "./layout-budget.ts";

/** The bounds of base/limits.ts that count here; tests and simulation give smaller ones. */
export type ContentLimits = {
  readonly [
    L in
      | "blockBytesMax"
      | "inlineBytesMax"
      | "inlineBytesPerRequestMax"
      | "extentsPerMessageMax"
      | "extentsPerBlockMax"
      | "messageBytesMax"
      | "clientDirtyBytesMax"
      | "clientCleanBytesMax"
      | "clientDirtyAgeMillis"
      | "fileBytesMax" as L extends keyof typeof limits ? L : never
  ]: number;
};

export interface ContentOptions {
  readonly nameServer: NameServer;
  readonly reader: BlockReader;
  readonly writer: BlockWriter;
  readonly clock: Clock;
  readonly log: Log;
  readonly limits: ContentLimits;
}

export interface ContentContext extends ContentOptions {
  readonly memory: ChunkMemory;
  readonly slots: BlockSlots;
  readonly blocks: BlockCache;
  readonly layouts: LayoutBudget;
}
