/**
 * Which sets of nodes form placement groups: a pure plan. Existing groups never change here; a node that joined later
 * comes in through further groups.
 *
 * What the plan keeps: every node is in equally many groups (a newcomer in its fair share, within a bound), is the
 * first one equally often, and meets every other node equally often, so that the loss of a node spreads its load and
 * its repair over all the others.
 */
import type { NodeId } from "../base/ids.ts";
import { limits } from "../base/limits.ts";

/** How often each node is the first of a group, at least. */
const firstsPerNode = 8;
/** A small cluster gets more groups than that, so that few nodes mix well. */
const groupsMin = 16;
/** Up to so many nodes a newcomer gets up to twice its minimum, to share evenly with groups that are there already. */
const smallClusterNodes = 16;

/** The groups to add, each in the order of writing. Nothing while there are fewer nodes than replicas. */
export function planGroups(
  existing: readonly (readonly NodeId[])[],
  nodes: readonly NodeId[],
  replicas: number,
): NodeId[][] {
  const planned: NodeId[][] = [];
  if (nodes.length < replicas) return planned;
  const counts = countUse(existing);
  const least = Math.max(firstsPerNode, Math.ceil(groupsMin / nodes.length)) * replicas;
  const most = nodes.length <= smallClusterNodes ? 2 * least : least;
  const newcomers = nodes.filter((node) => counts.groups(node) < least);
  while (existing.length + planned.length < limits.groupsMax) {
    const fairShare = (replicas * (existing.length + planned.length)) / nodes.length;
    const wanted = existing.length === 0 ? least : Math.min(most, Math.max(least, fairShare));
    const neediest = minimum(newcomers, (node) => [counts.groups(node)]);
    if (neediest === undefined || counts.groups(neediest) >= wanted) break;
    const group = nextGroup(neediest, nodes, replicas, counts);
    counts.add(group);
    planned.push(group);
  }
  evenFirsts(planned, counts);
  return planned;
}

/** Lets another member go first wherever that evens out: choosing group by group cannot see what comes later. */
function evenFirsts(planned: readonly NodeId[][], counts: Counts): void {
  for (let changed = true; changed;) {
    changed = false;
    for (const group of planned) {
      const first = group[0];
      const least = minimum(group, (node) => [counts.firsts(node)]);
      if (first === undefined || least === undefined || counts.firsts(first) < counts.firsts(least) + 2) continue;
      group.sort((left, right) => Number(right === least) - Number(left === least));
      counts.moveFirst(first, least);
      changed = true;
    }
  }
}

function nextGroup(start: NodeId, nodes: readonly NodeId[], replicas: number, counts: Counts): NodeId[] {
  const chosen = [start];
  while (chosen.length < replicas) {
    const others = nodes.filter((node) => !chosen.includes(node));
    const next = minimum(others, (node) => [
      chosen.reduce((sum, member) => sum + counts.meetings(member, node), counts.groups(node)),
    ]);
    if (next === undefined) break;
    chosen.push(next);
  }
  const first = minimum(chosen, (node) => [counts.firsts(node)]) ?? start;
  return [first, ...chosen.filter((node) => node !== first)];
}

interface Counts {
  groups(node: NodeId): number;
  firsts(node: NodeId): number;
  meetings(left: NodeId, right: NodeId): number;
  add(group: readonly NodeId[]): void;
  moveFirst(from: NodeId, to: NodeId): void;
}

function countUse(existing: readonly (readonly NodeId[])[]): Counts {
  const groups = new Map<NodeId, number>();
  const firsts = new Map<NodeId, number>();
  const meetings = new Map<string, number>();
  const pair = (left: NodeId, right: NodeId): string => (left < right ? left + right : right + left);
  const increment = <K>(map: Map<K, number>, key: K): void => {
    map.set(key, (map.get(key) ?? 0) + 1);
  };
  const add = (group: readonly NodeId[]): void => {
    group.forEach((node, index) => {
      increment(groups, node);
      if (index === 0) increment(firsts, node);
      for (const other of group.slice(index + 1)) increment(meetings, pair(node, other));
    });
  };
  existing.forEach(add);
  return {
    groups: (node) => groups.get(node) ?? 0,
    firsts: (node) => firsts.get(node) ?? 0,
    meetings: (left, right) => meetings.get(pair(left, right)) ?? 0,
    add,
    moveFirst(from, to) {
      firsts.set(from, (firsts.get(from) ?? 0) - 1);
      firsts.set(to, (firsts.get(to) ?? 0) + 1);
    },
  };
}

/** The first of the smallest, comparing lists of numbers from the left. */
function minimum<T>(items: readonly T[], rank: (item: T) => readonly number[]): T | undefined {
  let best: T | undefined;
  let bestRank: readonly number[] = [];
  for (const item of items) {
    const itemRank = rank(item);
    if (best === undefined || isLess(itemRank, bestRank)) {
      best = item;
      bestRank = itemRank;
    }
  }
  return best;
}

function isLess(left: readonly number[], right: readonly number[]): boolean {
  for (let i = 0; i < left.length; i++) {
    const difference = (left[i] ?? 0) - (right[i] ?? 0);
    if (difference !== 0) return difference < 0;
  }
  return false;
}
