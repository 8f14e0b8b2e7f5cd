/**
 * Which group moves to an emptier node next: pure. A move is worth it only if the one that gives is afterwards still no
 * emptier than the one that takes, and they were well apart before: so nothing moves back and forth.
 */
import type { GroupId, NodeId } from "../../base/ids.ts";
import type { PlacementNode } from "../placement.ts";

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

/** Bytes of blocks on each node, by the groups that it is in. */
export function bytesOn(groups: readonly SizedGroup[]): Map<NodeId, number> {
  const bytes = new Map<NodeId, number>();
  for (const group of groups) for (const id of group.nodes) bytes.set(id, (bytes.get(id) ?? 0) + group.bytes);
  return bytes;
}

export interface Move {
  readonly group: GroupId;
  readonly from: NodeId;
  readonly to: NodeId;
}

/** The next move, or undefined: balanced. */
export function nextMove(groups: readonly SizedGroup[], nodes: readonly BalancedNode[]): Move | undefined {
  if (nodes.length < 2) return undefined;
  const bytes = bytesOn(groups);
  const shareOf = (node: BalancedNode, change = 0): number =>
    ((bytes.get(node.id) ?? 0) + change) / Math.max(1, node.capacityBytes);
  const sorted = [...nodes].sort((a, b) => shareOf(a) - shareOf(b));
  const mean = nodes.reduce((sum, node) => sum + shareOf(node), 0) / nodes.length;
  const hosts = new Map(nodes.map(({ id, host }) => [id, host]));
  const [to] = sorted;
  for (const from of [...sorted].reverse()) {
    if (to === undefined || from === to) return undefined;
    const apart = shareOf(from) - shareOf(to);
    if (apart <= toleranceShare * mean || apart * to.capacityBytes <= toleranceBytes) return undefined;
    const movable = groups.filter(
      ({ nodes: members, bytes: size }) =>
        size > 0 &&
        size < to.freeBytes / 2 &&
        members.includes(from.id) &&
        !members.includes(to.id) &&
        shareOf(from, -size) >= shareOf(to, size) &&
        !members.some((id) => id !== from.id && hosts.get(id) === to.host && from.host !== to.host),
    );
    const largest = movable.reduce<SizedGroup | undefined>(
      (best, each) => (best === undefined || each.bytes > best.bytes ? each : best),
      undefined,
    );
    if (largest !== undefined) return { group: largest.group, from: from.id, to: to.id };
  }
  return undefined;
}
