/**
 * Which group moves to an emptier node next, or to one that is in too few groups: pure. A move is worth it only if the one
 * that gives is afterwards still no emptier than the one that takes: so nothing moves back and forth.
 */
import type { GroupId, NodeId } from "../../base/ids.ts";
import { lackGroups, type PlacementNode } from "../placement.ts";

export interface BalancedNode extends PlacementNode {
  readonly capacityBytes: number;
}

export interface SizedGroup {
  readonly group: GroupId;
  readonly nodes: readonly NodeId[];
  readonly bytes: number;
}

/** The fullest and the emptiest are left alone when they are no farther apart than this share of the mean. */
const toleranceShare = 0.1;
/** Or than so many bytes on a node. */
const toleranceBytes = 64 * 2 ** 20;

/** What a group counts for at least: an empty one will be filled, too. */
const groupBytesLeast = 2 ** 20;

/** Bytes of blocks on each node, by the groups that it is in. */
export function bytesOn(groups: readonly SizedGroup[]): Map<NodeId, number> {
  const bytes = new Map<NodeId, number>();
  for (const group of groups) for (const id of group.nodes) bytes.set(id, (bytes.get(id) ?? 0) + weightOf(group));
  return bytes;
}

function weightOf({ bytes }: SizedGroup): number {
  return Math.max(bytes, groupBytesLeast);
}

export interface Move {
  readonly group: GroupId;
  readonly from: NodeId;
  readonly to: NodeId;
}

/** How full nodes are, and which groups may move. */
class Loads {
  readonly #nodes: ReadonlyMap<NodeId, BalancedNode>;
  readonly #bytes: ReadonlyMap<NodeId, number>;

  constructor(groups: readonly SizedGroup[], nodes: readonly BalancedNode[]) {
    this.#nodes = new Map(nodes.map((node) => [node.id, node]));
    this.#bytes = bytesOn(groups);
  }

  shareOf({ id, capacityBytes }: BalancedNode, change = 0): number {
    return ((this.#bytes.get(id) ?? 0) + change) / Math.max(1, capacityBytes);
  }

  mayMove(group: SizedGroup, from: BalancedNode, to: BalancedNode): boolean {
    const { nodes: members } = group;
    const bytes = weightOf(group);
    return (
      bytes < to.freeBytes / 2 &&
      members.includes(from.id) &&
      !members.includes(to.id) &&
      this.shareOf(from, -bytes) >= this.shareOf(to, bytes) &&
      !members.some((id) => id !== from.id && this.#nodes.get(id)?.host === to.host && from.host !== to.host)
    );
  }
}

/** Whether nodes are more equally full when `to` takes the place of a member of that group. */
export function isWorthMoving(
  id: GroupId,
  to: BalancedNode,
  groups: readonly SizedGroup[],
  nodes: readonly BalancedNode[],
): boolean {
  const loads = new Loads(groups, nodes);
  const group = groups.find((each) => each.group === id);
  return group !== undefined && nodes.some((from) => loads.mayMove(group, from, to));
}

/** The next move that evens out how full nodes are, or undefined: balanced. */
export function nextMove(groups: readonly SizedGroup[], nodes: readonly BalancedNode[]): Move | undefined {
  if (nodes.length < 2) return undefined;
  const loads = new Loads(groups, nodes);
  const sorted = [...nodes].sort((a, b) => loads.shareOf(a) - loads.shareOf(b));
  const mean = nodes.reduce((sum, node) => sum + loads.shareOf(node), 0) / nodes.length;
  const [to] = sorted;
  for (const from of [...sorted].reverse()) {
    if (to === undefined || from === to) return undefined;
    const apart = loads.shareOf(from) - loads.shareOf(to);
    if (apart <= toleranceShare * mean || apart * to.capacityBytes <= toleranceBytes) return undefined;
    const movable = groups.filter((group) => group.bytes > 0 && loads.mayMove(group, from, to));
    const largest = movable.reduce<SizedGroup | undefined>(
      (best, each) => (best === undefined || each.bytes > best.bytes ? each : best),
      undefined,
    );
    if (largest !== undefined) return { group: largest.group, from: from.id, to: to.id };
  }
  return undefined;
}

/**
 * The next place for a node that is in too few of the groups with so many replicas: in the smallest that may move. `all`:
 * also those with other numbers.
 */
export function nextPlace(
  groups: readonly SizedGroup[],
  replicas: number,
  nodes: readonly BalancedNode[],
  all: readonly SizedGroup[],
): Move | undefined {
  const lacking = new Set(
    lackGroups(
      groups.map(({ nodes: members }) => members),
      nodes,
      replicas,
    ),
  );
  const loads = new Loads(all, nodes);
  const smallest = [...groups].sort((a, b) => a.bytes - b.bytes);
  for (const to of nodes) {
    if (!lacking.has(to)) continue;
    for (const group of smallest) {
      // Who lacks groups itself gives none away.
      const from = nodes.find((node) => !lacking.has(node) && loads.mayMove(group, node, to));
      if (from !== undefined) return { group: group.group, from: from.id, to: to.id };
    }
  }
  return undefined;
}
