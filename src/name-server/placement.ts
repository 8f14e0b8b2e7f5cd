/**
 * Which sets of nodes form placement groups, and who takes the place of a member that is gone: pure plans.
 *
 * What the plans keep: the members of a group are on different hosts whenever there are enough hosts. The number of groups
 * is proportional to the number of nodes. Among nodes that have as much space as each other every one is in equally many
 * groups, is the first one equally often, and meets every other node equally often, so that the loss of a node spreads its
 * load and its repair over all the others; a larger one is in more groups, as far as its space is of use.
 */
import type { NodeId } from "../base/ids.ts";
import { limits } from "../base/limits.ts";
import type { NodeRecord } from "../metadata-store/records.ts";
import { sharesOfCopies } from "./space.ts";

/** A node as far as placement is concerned. */
export interface PlacementNode {
  readonly id: NodeId;
  /** Nodes with the same one fail together (a machine, a rack): copies go to different ones whenever there is a choice. */
  readonly host: string;
  readonly freeBytes: number;
}

/** A storage node as the name server knows it. */
interface KnownNode {
  readonly id: NodeId;
  readonly record: Pick<NodeRecord, "state" | "out" | "host" | "hostLabel">;
  readonly freeBytes: number;
}

export function placementNodeOf({ id, record, freeBytes }: KnownNode): PlacementNode {
  return { id, host: record.hostLabel === "" ? record.host : record.hostLabel, freeBytes };
}

/** Those that groups may be made of. */
export function placeableNodes(nodes: readonly KnownNode[]): PlacementNode[] {
  return nodes.filter(({ record }) => record.state === "member" && !record.out).map(placementNodeOf);
}

/** Groups for each node: so often it is the first of one. */
const groupsPerNode = 8;
/** A small cluster has more groups than that, so that few nodes mix well. */
const groupsMin = 16;
/** A node with more space than others is in more groups, at most so many times as many. */
const preferenceMax = 4;

/** How many groups so many nodes are to have: none while they are fewer than the replicas. */
export function groupsWanted(nodes: number, replicas: number): number {
  return nodes < replicas ? 0 : Math.min(limits.groupsMax, Math.max(groupsMin, groupsPerNode * nodes));
}

/**
 * So many groups beside the `existing` ones of as many replicas, each in the order of writing: those that are in few
 * groups come first. None while there are fewer nodes than replicas.
 */
export function planGroups(
  existing: readonly (readonly NodeId[])[],
  nodes: readonly PlacementNode[],
  replicas: number,
  count: number,
): NodeId[][] {
  const planned: NodeId[][] = [];
  if (nodes.length < replicas) return planned;
  const counts = countUse(existing);
  const preference = preferenceOf(nodes, replicas);
  while (planned.length < count) {
    const neediest = minimum(nodes, (node) => [counts.groups(node.id) / preference(node)]);
    if (neediest === undefined) break;
    const group = nextGroup(neediest, nodes, replicas, { counts, preference });
    counts.add(group);
    planned.push(group);
  }
  evenFirsts(planned, counts);
  return planned;
}

/** Who is in fewer than half as many of these groups as would be its fair share. */
export function lackGroups(
  groups: readonly (readonly NodeId[])[],
  nodes: readonly PlacementNode[],
  replicas: number,
): PlacementNode[] {
  const counts = countUse(groups);
  const preference = preferenceOf(nodes, replicas);
  const sum = nodes.reduce((total, node) => total + preference(node), 0);
  const fair = (node: PlacementNode): number => (replicas * groups.length * preference(node)) / sum;
  return nodes.filter((node) => counts.groups(node.id) < Math.min(fair(node), groups.length) / 2);
}

/**
 * Who of `candidates` joins a group in which `staying` remain: on a host of its own if there is such a candidate, and
 * among those the one with the fewest groups for its free space. `groups`: all groups with that many replicas, as far as
 * they are planned (so that several choices spread). Candidates that are members already are not chosen; undefined: there
 * is none. Who may be a candidate (up, not draining, not out) is for the caller to say.
 */
export function chooseMember(
  staying: readonly PlacementNode[],
  candidates: readonly PlacementNode[],
  groups: readonly (readonly NodeId[])[],
): PlacementNode | undefined {
  const members = new Set(staying.map(({ id }) => id));
  const hosts = new Set(staying.map(({ host }) => host));
  const uses = new Map<NodeId, number>();
  for (const group of groups) for (const id of group) uses.set(id, (uses.get(id) ?? 0) + 1);
  const others = candidates.filter(({ id }) => !members.has(id));
  return minimum(others, ({ id, host, freeBytes }) => [
    Number(hosts.has(host)),
    Number(freeBytes === 0),
    ((uses.get(id) ?? 0) + 1) / Math.max(1, freeBytes),
    uses.get(id) ?? 0,
  ]);
}

/** On how many hosts the members of a group are. */
export function hostsOf(members: readonly Pick<PlacementNode, "host">[]): number {
  return new Set(members.map(({ host }) => host)).size;
}

/** How many times as many groups as the least a node should have. */
function preferenceOf(nodes: readonly PlacementNode[], replicas: number): (node: PlacementNode) => number {
  const shares = sharesOfCopies(
    nodes.map(({ freeBytes }) => freeBytes),
    replicas,
  );
  const fair = replicas / nodes.length;
  const preferences = new Map(
    nodes.map(({ id }, i) => [id, Math.min(preferenceMax, Math.max(1, (shares[i] ?? fair) / fair))]),
  );
  return ({ id }) => preferences.get(id) ?? 1;
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

function nextGroup(
  start: PlacementNode,
  nodes: readonly PlacementNode[],
  replicas: number,
  { counts, preference }: { counts: Counts; preference: (node: PlacementNode) => number },
): NodeId[] {
  const chosen = [start];
  while (chosen.length < replicas) {
    const others = nodes.filter((node) => !chosen.includes(node));
    const next = minimum(others, (node) => [
      Number(chosen.some(({ host }) => host === node.host)),
      chosen.reduce((sum, member) => sum + counts.meetings(member.id, node.id), counts.groups(node.id)) /
        preference(node),
    ]);
    if (next === undefined) break;
    chosen.push(next);
  }
  const ids = chosen.map(({ id }) => id);
  const first = minimum(ids, (node) => [counts.firsts(node)]) ?? start.id;
  return [first, ...ids.filter((node) => node !== first)];
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
