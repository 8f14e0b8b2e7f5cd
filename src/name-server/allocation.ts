/**
 * Hands out block numbers: ranges of groups whose members are all up and have space.
 *
 * Invariants: a range is committed, for its session, before it is handed out; a number is handed out once; no range is
 * larger than what the emptiest member could still take as full blocks.
 */
import { FsError } from "../base/errno.ts";
import type { GroupId, NodeId, SessionId } from "../base/ids.ts";
import { limits } from "../base/limits.ts";
import type { Random } from "../base/random.ts";
import { keys } from "../metadata-store/keys.ts";
import { decodeGroup, encodeGroup, encodeRange, freshRange } from "../metadata-store/records.ts";
import type { BlockRange, PlacementGroup } from "../protocol/types.ts";
import type { ClusterMaps } from "./cluster-map.ts";
import type { Transaction } from "./namespace/index.ts";
import type { Nodes } from "./nodes.ts";

export interface Allocation {
  /** Whether some healthy group has space. EAGAIN: there is no healthy group. */
  hasSpace(avoid: readonly NodeId[]): boolean;
  /** As part of a transaction. ENOSPC, EAGAIN. */
  allocate(
    transaction: Transaction,
    request: { readonly session: SessionId; readonly count: number; readonly avoid: readonly NodeId[] },
  ): BlockRange[];
  /** Why no group takes blocks, or undefined. */
  problem(): string | undefined;
}

/** Numbers of one range: fewer would make many records, more would put too much into one group. */
const rangeMin = 8;
const rangeMax = 64;
const blockFootprintBytes = limits.blockBytesMax + limits.checksumUnitBytes;

export function createAllocation(parts: {
  nodes: Nodes;
  maps: ClusterMaps;
  random: Random;
  replicas: number;
}): Allocation {
  const { nodes, maps, random, replicas } = parts;

  function isHealthy(group: PlacementGroup): boolean {
    return group.nodes.every((id) => nodes.get(id)?.state === "up");
  }

  /** How many full blocks the fullest member can still take. */
  function blocksFree(group: PlacementGroup): number {
    const free = Math.min(...group.nodes.map((id) => nodes.get(id)?.freeBytes ?? 0));
    return Math.floor(free / blockFootprintBytes);
  }

  /** Healthy groups with space; those of nodes to avoid only where nothing else is left. EAGAIN: no healthy group. */
  function candidates(avoid: readonly NodeId[]): Candidate[] {
    const healthy = maps.groups.filter(isHealthy);
    if (healthy.length === 0) throw new FsError("EAGAIN", problem() ?? "no healthy placement group");
    const open = healthy
      .map((group) => ({ group, blocksFree: blocksFree(group) }))
      .filter((each) => each.blocksFree > 0);
    const wished = open.filter(({ group }) => !group.nodes.some((id) => avoid.includes(id)));
    return wished.length > 0 ? wished : open;
  }

  function problem(): string | undefined {
    if (maps.groups.some(isHealthy)) return undefined;
    const up = nodes.all().filter(({ state }) => state === "up").length;
    const needed = `${String(replicas)} storage node${replicas === 1 ? "" : "s"} needed for ${String(replicas)} replica${replicas === 1 ? "" : "s"}`;
    return `${needed}, ${String(up)} ${up === 1 ? "is" : "are"} up: block writes wait`;
  }

  return {
    problem,

    hasSpace: (avoid) => candidates(avoid).length > 0,

    allocate(transaction, { session, count, avoid }) {
      const open = candidates(avoid);
      if (open.length === 0) throw new FsError("ENOSPC", "no group of storage nodes has space for another block");
      const wanted = Math.min(rangeMax, Math.max(rangeMin, Math.ceil(count / open.length)));
      const ranges: BlockRange[] = [];
      for (let left = count; left > 0 && open.length > 0;) {
        const [picked] = open.splice(pickByWeight(open, random), 1);
        if (picked === undefined) break;
        const size = Math.min(wanted, picked.blocksFree);
        const { group } = picked.group;
        ranges.push({ group, first: takeNumbers(transaction, group, session, size), count: size });
        left -= size;
      }
      return ranges;
    },
  };
}

interface Candidate {
  readonly group: PlacementGroup;
  readonly blocksFree: number;
}

function takeNumbers(transaction: Transaction, group: GroupId, session: SessionId, count: number): number {
  const found = transaction.get(keys.group(group));
  if (found === undefined) throw new FsError("EIO", `group ${String(group)} has no record`);
  const record = decodeGroup(found);
  const first = record.nextNumber;
  transaction.put(keys.group(group), encodeGroup({ ...record, nextNumber: first + count }));
  transaction.put(keys.range(group, first), encodeRange(freshRange(session, count)));
  return first;
}

/** An index, likelier the more space its group has. */
function pickByWeight(open: readonly Candidate[], random: Random): number {
  const total = open.reduce((sum, each) => sum + each.blocksFree, 0);
  let at = random.below(total);
  for (const [index, each] of open.entries()) {
    at -= each.blocksFree;
    if (at < 0) return index;
  }
  return open.length - 1;
}
