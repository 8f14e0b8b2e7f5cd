/**
 * Hands out block numbers: ranges of groups whose members are all up and have space, on as many hosts as there are, so
 * that nodes of different size fill evenly.
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
import { groupWeights } from "./group-weights.ts";
import type { Transaction } from "./namespace/index.ts";
import type { Nodes } from "./nodes.ts";
import type { StorageNode } from "./storage-node.ts";
import { hostsOf, placementNodeOf } from "./placement.ts";

export interface BlocksWanted {
  /** Nodes that the asker found wanting: a wish. */
  readonly avoid: readonly NodeId[];
  /** How many copies the blocks are to have; absent: as many as the cluster has by default. */
  readonly replicas?: number | undefined;
}

export interface Allocation {
  /** Whether some healthy group has space. EAGAIN: there is none, but there may be some when nodes come back. */
  hasSpace(wanted: BlocksWanted): boolean;
  /** As part of a transaction. ENOSPC, EAGAIN. */
  allocate(
    transaction: Transaction,
    request: BlocksWanted & { readonly session: SessionId; readonly count: number },
  ): BlockRange[];
  /** Why block writes wait (with the default number of copies), or undefined. */
  problem(): string | undefined;
  /** Looks again at how full the nodes are: before it, picks go by what was so a moment ago. */
  refresh(): void;
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
  const { nodes, maps, random } = parts;
  /** By number of copies: the groups that may take blocks, as of the map's version. */
  const plans = new Map<number, { readonly version: number; readonly open: readonly Candidate[] }>();

  function isUp(id: NodeId): boolean {
    return nodes.get(id)?.state === "up";
  }

  function isHealthy(group: PlacementGroup): boolean {
    const replicas = maps.replicasOf(group.group) ?? group.nodes.length;
    return group.nodes.length >= maps.copiesMin(replicas) && group.nodes.every(isUp);
  }

  function groupsOf(replicas: number): PlacementGroup[] {
    return maps.groups.filter(({ group }) => maps.replicasOf(group) === replicas);
  }

  /** How many full blocks the fullest member can still take. */
  function blocksFree(group: PlacementGroup): number {
    const free = Math.min(...group.nodes.map((id) => nodes.get(id)?.freeBytes ?? 0));
    return Math.floor(free / blockFootprintBytes);
  }

  /**
   * The healthy groups with as many members as wanted (while there is none: those with fewer, see --min-replicas), on as
   * many hosts as any of them, each with its weight.
   */
  function planFor(replicas: number): readonly Candidate[] {
    const known = plans.get(replicas);
    if (known?.version === maps.version) return known.open;
    const open = groupsOf(replicas).filter((group) => isHealthy(group) && blocksFree(group) > 0);
    const complete = open.filter((group) => group.nodes.length >= replicas);
    const healthy = complete.length > 0 ? complete : open;
    const hosts = healthy.map((group) =>
      hostsOf(
        group.nodes
          .map((id) => nodes.get(id))
          .filter(isKnown)
          .map(placementNodeOf),
      ),
    );
    const hostsMost = Math.max(0, ...hosts);
    const spread = healthy.filter((_, at) => hosts[at] === hostsMost);
    const freeBytes = new Map(nodes.all().map((node) => [node.id, node.freeBytes]));
    const weights = groupWeights(
      spread.map((group) => group.nodes),
      freeBytes,
      replicas,
    );
    const weighed = spread.map((group, at) => ({ group, weight: weights[at] ?? 1, blocksFree: 0 }));
    plans.set(replicas, { version: maps.version, open: weighed });
    return weighed;
  }

  function withSpace(replicas: number): Candidate[] {
    return planFor(replicas)
      .map((each) => ({ ...each, blocksFree: blocksFree(each.group) }))
      .filter((each) => each.blocksFree > 0);
  }

  /** Groups with space (none: all are full for good), or why block writes have to wait. */
  function look(replicas: number): readonly Candidate[] | string {
    const groups = groupsOf(replicas);
    if (!groups.some(isHealthy)) return tooFewNodes(replicas);
    const open = withSpace(replicas);
    if (open.length > 0) return open;
    plans.delete(replicas);
    const others = withSpace(replicas);
    const waits = others.length === 0 && groups.some(mayHaveSpaceLater);
    return waits ? "the storage nodes that are up are full, and others are down: block writes wait" : others;
  }

  /** Those of nodes to avoid only where nothing else is left. */
  function candidates({ avoid, replicas = parts.replicas }: BlocksWanted): readonly Candidate[] {
    const open = look(replicas);
    if (typeof open === "string") throw new FsError("EAGAIN", open);
    const wished = open.filter(({ group }) => !group.nodes.some((id) => avoid.includes(id)));
    return wished.length > 0 ? wished : open;
  }

  /** A member is down that may come back, and nobody in the group is known to be full. */
  function mayHaveSpaceLater(group: PlacementGroup): boolean {
    const members = group.nodes.map((id) => nodes.get(id)).filter(isKnown);
    return members.some(({ state, record }) => state === "down" && !record.out) && !members.some(isFull);
  }

  function tooFewNodes(replicas: number): string {
    const up = nodes.all().filter(({ state }) => state === "up").length;
    const least = maps.copiesMin(replicas);
    if (up >= least) {
      const copies = least < replicas ? `${String(least)} of ${String(replicas)}` : String(replicas);
      return `no group of storage nodes can store ${copies} replicas now: block writes wait until members are replaced or back`;
    }
    const needed = `${String(least)} storage node${least === 1 ? "" : "s"} needed for ${String(replicas)} replica${replicas === 1 ? "" : "s"}`;
    const rule = least < replicas ? ` (at least ${String(least)})` : "";
    return `${needed}${rule}, ${String(up)} ${up === 1 ? "is" : "are"} up: block writes wait`;
  }

  return {
    problem() {
      const open = look(parts.replicas);
      return typeof open === "string" ? open : undefined;
    },

    refresh() {
      plans.clear();
    },

    hasSpace: (wanted) => candidates(wanted).length > 0,

    allocate(transaction, { session, count, ...wanted }) {
      const open = [...candidates(wanted)];
      if (open.length === 0) throw new FsError("ENOSPC", "no group of storage nodes has space for another block");
      const perGroup = Math.min(rangeMax, Math.max(rangeMin, Math.ceil(count / open.length)));
      const ranges: BlockRange[] = [];
      for (let left = count; left > 0 && open.length > 0;) {
        const [picked] = open.splice(pickByWeight(open, random), 1);
        if (picked === undefined) break;
        const size = Math.min(perGroup, picked.blocksFree);
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
  /** How often it is to be picked, in proportion. */
  readonly weight: number;
  readonly blocksFree: number;
}

/** Of a node that was not heard of since the start nothing is known. */
function isFull({ freeBytes, usedBytes }: StorageNode): boolean {
  return freeBytes < blockFootprintBytes && freeBytes + usedBytes > 0;
}

function isKnown(node: StorageNode | undefined): node is StorageNode {
  return node !== undefined;
}

/** The first of so many numbers of a group, committed for their owner with the transaction. */
export function takeNumbers(transaction: Transaction, group: GroupId, session: SessionId, count: number): number {
  const found = transaction.get(keys.group(group));
  if (found === undefined) throw new FsError("EIO", `group ${String(group)} has no record`);
  const record = decodeGroup(found);
  const first = record.nextNumber;
  transaction.put(keys.group(group), encodeGroup({ ...record, nextNumber: first + count }));
  transaction.put(keys.range(group, first), encodeRange(freshRange(session, count)));
  return first;
}

/** An index, likelier the more its group weighs. */
function pickByWeight(open: readonly Candidate[], random: Random): number {
  const total = open.reduce((sum, each) => sum + each.weight, 0);
  let at = (random.below(resolution) / resolution) * total;
  for (const [index, each] of open.entries()) {
    at -= each.weight;
    if (at < 0) return index;
  }
  return open.length - 1;
}
const resolution = 2 ** 30;
