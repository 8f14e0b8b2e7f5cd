/**
 * Compares what every storage node holds with what is named, group by group, round after round: so that a copy that arrived
 * after its deletion, or that a node lost without noticing, is found some day without anybody's asking.
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
  let round: { node: NodeId; group: GroupId }[] = [];
  let next = 0;
  let beganAt = clock.monotonicMillis();

  function begin(now: number): void {
    round = maps.groups.flatMap((group) => group.nodes.map((node) => ({ node, group: group.group })));
    next = 0;
    beganAt = now;
  }

  return {
    tick() {
      const now = clock.monotonicMillis();
      if (now - beganAt >= roundMillis && next >= round.length) begin(now);
      const due = Math.min(
        round.length,
        Math.ceil((round.length * (now - beganAt)) / roundMillis),
        next + pairsPerTick,
      );
      for (; next < due; next++) {
        const pair = round[next];
        // Who is not there is compared when it comes back.
        if (pair !== undefined && nodes.get(pair.node)?.state === "up") parts.compare(pair.node, pair.group);
      }
    },
  };
}
