/**
 * What the server does by itself with what is stored: gives space back, repairs, rewrites, converts, verifies. One clock
 * drives all of it, and all of it ends before the store is closed.
 */
import type { Clock } from "../base/clock.ts";
import type { Disk } from "../base/disk.ts";
import type { BlockId, GroupId, NodeId } from "../base/ids.ts";
import { limits } from "../base/limits.ts";
import type { Log } from "../base/log.ts";
import type { MetadataStore } from "../metadata-store/types.ts";
import type { Allocation } from "./allocation.ts";
import type { Background } from "./background.ts";
import type { ClusterMaps } from "./cluster-map.ts";
import type { Execution } from "./execution.ts";
import type { ListeningTime } from "./listening.ts";
import { queueForDeletion, type OperationContext, type Transaction } from "./namespace/index.ts";
import type { Nodes } from "./nodes.ts";
import { createReclaim, type Reclaim } from "./reclaim.ts";
import type { Foreground } from "./repair/foreground.ts";
import { createRepair, type Repair } from "./repair/repair.ts";
import { createConversions, type Conversions } from "./replicas/conversions.ts";
import type { HalfDeadBlocks } from "./rewrite/half-dead.ts";
import { createRewriting, type Rewriting } from "./rewrite/rewriting.ts";
import { createDamage, type Damage } from "./scrub/damage.ts";
import { createMetadataScrub, type MetadataScrub } from "./scrub/metadata-scrub.ts";
import type { StorageNode } from "./storage-node.ts";
import type { NameServerOptions } from "./types.ts";

export interface Upkeep {
  readonly reclaim: Reclaim;
  readonly repair: Repair;
  readonly rewriting: Rewriting;
  readonly conversions: Conversions;
  readonly damage: Damage;
  readonly metadataScrub: MetadataScrub;
  /** That node's copy is said to be damaged or missing. */
  readonly suspect: (node: NodeId, block: BlockId) => void;
  /** `held`: the groups of which it has, or had, blocks. */
  nodeRegistered(node: StorageNode, held: readonly GroupId[]): void;
  /** Something may have become due: twice a second. */
  tick(): void;
  close(): Promise<void>;
}

export function createUpkeep(parts: {
  store: MetadataStore;
  execution: Execution;
  /** See `NameServerParts`. */
  disk: Disk | undefined;
  clock: Clock;
  log: Log;
  listening: ListeningTime;
  background: Background;
  nodes: Nodes;
  maps: ClusterMaps;
  allocation: Allocation;
  halfDead: HalfDeadBlocks;
  foreground: Foreground;
  options: NameServerOptions;
  /** For changes that no session makes. */
  makeContext: (transaction: Transaction) => OperationContext;
}): Upkeep {
  const { store, execution, clock, log, listening, background, nodes, maps, allocation, halfDead, options } = parts;
  const { makeContext, foreground } = parts;
  const { replicas } = options;
  const reclaim = createReclaim({
    ...{ store, execution, clock, log, nodes, maps, makeContext },
    graceMillis: options.reclaimGraceMillis ?? limits.reclaimGraceMillis,
    rewriting: () => rewriting,
  });
  const rewriting = createRewriting({
    ...{ store, execution, clock, log, nodes, maps, allocation, halfDead, replicas, makeContext },
    inlineTableBytesMax: options.inlineTableBytesMax,
  });
  const repair = createRepair({
    ...{ store, clock, log, listening, nodes, maps, foreground },
    downMillis: options.nodeDownMillis ?? limits.nodeDownMillis,
    outMillis: options.nodeOutMillis ?? limits.nodeOutMillis,
    compareRoundMillis: options.compareRoundMillis ?? limits.compareRoundMillis,
    discard: (blocks) =>
      execution.change((transaction) => {
        queueForDeletion(makeContext(transaction), blocks);
      }),
  });
  const conversions = createConversions({
    ...{ store, execution, clock, log, replicas, makeContext },
    convert: (content, how) => rewriting.rewriter.convert(content, how),
  });
  const damage = createDamage({ ...{ nodes, background, log, suspect }, epoch: () => store.epoch });
  const metadataScrub = createMetadataScrub({ store, disk: parts.disk, clock, log, background });

  function suspect(node: NodeId, block: BlockId): void {
    repair.suspect(node, block);
  }

  return {
    ...{ reclaim, repair, rewriting, conversions, damage, metadataScrub, suspect },

    nodeRegistered(node, held) {
      reclaim.nodeRegistered();
      repair.nodeRegistered(node, held);
    },

    tick() {
      for (const part of [reclaim, rewriting, repair, conversions, metadataScrub]) part.tick();
    },

    async close() {
      await Promise.all([reclaim, repair, rewriting, conversions].map((part) => part.close()));
    },
  };
}
