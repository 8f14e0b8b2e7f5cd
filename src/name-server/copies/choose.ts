/** Which nodes keep the journal's copies: members that answer stay, others are sought, on as many hosts as there are. */
import type { NodeId } from "../../base/ids.ts";
import type { CopyNode } from "./types.ts";

export interface Choice {
  /** Members that stay. */
  readonly kept: readonly NodeId[];
  /** Nodes whose copies are brought up to be members instead of those that are missing. */
  readonly candidates: readonly NodeId[];
}

export function chooseMembers(options: {
  readonly nodes: readonly CopyNode[];
  readonly present: readonly NodeId[];
  readonly wanted: number;
  readonly isConnected: (node: NodeId) => boolean;
  readonly isSilent: (node: NodeId) => boolean;
  /** Those whose copies are on their way already. */
  readonly following: readonly NodeId[];
  /** Those whose disks had no room for a copy a moment ago. */
  readonly isFull: (node: NodeId) => boolean;
}): Choice {
  const { nodes, present, wanted, isConnected, isSilent, following, isFull } = options;
  const labels = new Map(nodes.map(({ node, label }) => [node, label]));
  const kept = present.filter((node) => labels.has(node) && !isSilent(node)).slice(0, wanted);
  const taken = new Set(kept.map((node) => labels.get(node)));
  // A member that was silent may come back: it has nearly everything.
  const open = nodes.filter(({ node }) => !kept.includes(node) && isConnected(node) && !isSilent(node));
  const candidates: NodeId[] = [];
  while (kept.length + candidates.length < wanted && open.length > 0) {
    open.sort((a, b) => rank(b) - rank(a) || (a.node < b.node ? -1 : 1));
    const [best] = open.splice(0, 1) as [CopyNode];
    candidates.push(best.node);
    taken.add(best.label);
  }
  return { kept, candidates };

  function rank({ node, label, isUp }: CopyNode): number {
    return (isFull(node) ? 0 : 8) + (taken.has(label) ? 0 : 4) + (isUp ? 2 : 0) + (following.includes(node) ? 1 : 0);
  }
}
