/**
 * Compares what every storage node holds with what is named, group by group, round after round: so that a copy that arrived
 * after its deletion, or after the node had left the group, or that a node lost without noticing, is found some day without
 * anybody's asking.
 */
import type { Clock } from "../../base/clock.ts";
import type { GroupId, NodeId } from "../../base/ids.ts";
import type { ClusterMaps } from "../cluster-map.ts";
import type { Nodes } from "../nodes.ts";

export interface ComparisonRounds {
  /** Twice a second. */
  tick(): void;
}

/** So many pairs of node and group are begun with in one tick at most. */
const pairsPerTick = 64;

export function createComparisonRounds(parts: {
  clock: Clock;
  nodes: Nodes;
  maps: ClusterMaps;
  /** How long one round takes at least. */
  roundMillis: number;
  compare: (node: NodeId, group: GroupId) => void;
}): ComparisonRounds {
  const { clock, nodes, maps, roundMillis } = parts;
  /** Every one of these nodes with every one of these groups: nobody knows of what else a node has copies. */
  let round: { readonly ids: readonly NodeId[]; readonly groups: readonly GroupId[] } = { ids: [], groups: [] };
  let next = 0;
  let beganAt = clock.monotonicMillis();

  function begin(now: number): void {
    round = { ids: nodes.all().map(({ id }) => id), groups: maps.groups.map(({ group }) => group) };
    next = 0;
    beganAt = now;
  }

  return {
    tick() {
      const now = clock.monotonicMillis();
      const { ids, groups } = round;
      const pairs = ids.length * groups.length;
      if (now - beganAt >= roundMillis && next >= pairs) {
        begin(now);
        return;
      }
      const due = Math.min(pairs, Math.ceil((pairs * (now - beganAt)) / roundMillis), next + pairsPerTick);
      for (; next < due; next++) {
        const node = ids[next % ids.length];
        const group = groups[Math.floor(next / ids.length)];
        if (node === undefined || group === undefined) continue;
        // Who is not there is compared when it comes back.
        if (nodes.get(node)?.state === "up") parts.compare(node, group);
      }
    },
  };
}
