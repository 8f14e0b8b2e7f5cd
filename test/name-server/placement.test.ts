import test from "ava";
import fc from "fast-check";
import type { NodeId } from "../../src/base/ids.ts";
import { limits } from "../../src/base/limits.ts";
import {
  chooseMember,
  groupsWanted,
  hostsOf,
  lackGroups,
  planGroups,
  type PlacementNode,
} from "../../src/name-server/placement.ts";

const GiB = 1024 ** 3;

/** As many equal nodes, each on a host of its own. */
function nodes(count: number): PlacementNode[] {
  return Array.from({ length: count }, (_, i) => nodeOf(i, { host: `host${String(i)}`, freeBytes: 100 * GiB }));
}

/** The groups of a cluster that was made of these nodes at once. */
function plan(all: readonly PlacementNode[], replicas: number): NodeId[][] {
  return planGroups([], all, replicas, groupsWanted(all.length, replicas));
}

function nodeOf(index: number, rest: Omit<PlacementNode, "id">): PlacementNode {
  return { id: (index + 1).toString(16).padStart(16, "0") as NodeId, ...rest };
}

/** Nodes of all sizes on a few hosts. */
const mixedNodes = fc
  .array(fc.record({ host: fc.constantFrom("a", "b", "c", "d"), freeBytes: fc.nat(1_000).map((n) => n * GiB) }), {
    minLength: 1,
    maxLength: 14,
  })
  .map((all) => all.map((rest, i) => nodeOf(i, rest)));

function spread(counts: readonly number[]): number {
  return Math.max(...counts) - Math.min(...counts);
}

function appearances(groups: readonly NodeId[][], of: readonly PlacementNode[]): number[] {
  return of.map(({ id }) => groups.filter((group) => group.includes(id)).length);
}

function firsts(groups: readonly NodeId[][], of: readonly PlacementNode[]): number[] {
  return of.map(({ id }) => groups.filter((group) => group[0] === id).length);
}

function meetings(groups: readonly NodeId[][], of: readonly PlacementNode[]): number[] {
  return of.flatMap(({ id: left }, i) =>
    of
      .slice(i + 1)
      .map(({ id: right }) => groups.filter((group) => group.includes(left) && group.includes(right)).length),
  );
}

test("there are no groups while nodes are fewer than replicas", (t) => {
  t.is(groupsWanted(1, 2), 0);
  t.deepEqual(planGroups([], nodes(1), 2, 16), []);
});

for (const count of [1, 2, 3, 4, 5, 7, 12, 30]) {
  for (const replicas of [1, 2, 3]) {
    if (replicas > count) continue;
    test(`${String(count)} nodes with ${String(replicas)} replicas are used evenly`, (t) => {
      const all = nodes(count);
      const groups = plan(all, replicas);
      t.is(groups.length, Math.max(16, 8 * count));
      t.true(groups.every((group) => new Set(group).size === replicas));
      t.true(spread(appearances(groups, all)) <= (count <= 7 ? 1 : 2), "in equally many groups");
      // Exactly even is not always reached where many nodes have few groups each.
      t.true(spread(firsts(groups, all)) <= (count <= 3 ? 0 : 2), "first equally often");
      if (replicas > 1 && count > 1) t.true(spread(meetings(groups, all)) <= 2, "every pair equally often");
    });
  }
}

test("a newcomer of a cluster comes first in the groups that are added for it", (t) => {
  const groups = plan(nodes(20), 2);
  const more = planGroups(groups, nodes(21), 2, groupsWanted(21, 2) - groups.length);
  const newcomer = nodes(21)[20];
  t.is(more.length, 8);
  t.true(more.every((group) => newcomer !== undefined && group.includes(newcomer.id)));
});

test("the number of groups is proportional to the nodes, and bounded", (t) => {
  t.deepEqual(
    [0, 1, 2, 3, 10, 100].map((count) => groupsWanted(count, 2)),
    [0, 0, 16, 24, 80, 800],
  );
  t.is(groupsWanted(100_000, 2), limits.groupsMax);
});

test("who is in fewer than half as many groups as would be its share lacks some", (t) => {
  const groups = plan(nodes(3), 2);
  t.deepEqual(lackGroups(groups, nodes(3), 2), []);
  t.deepEqual(
    lackGroups(groups, nodes(4), 2).map(({ id }) => id),
    [nodes(4)[3]?.id],
  );
  const [first] = groups;
  t.deepEqual(lackGroups([...groups, ...planGroups(groups, nodes(4), 2, 8)], nodes(4), 2), []);
  t.deepEqual(lackGroups(first === undefined ? [] : [first], nodes(2), 2), [], "more than all there is not");
});

test("no two members of a group are on one host while there are hosts enough, and as few as possible otherwise", (t) => {
  fc.assert(
    fc.property(mixedNodes, fc.integer({ min: 1, max: 4 }), (all, replicas) => {
      const hosts = hostsOf(all);
      const byId = new Map(all.map((node) => [node.id, node]));
      for (const group of plan(all, replicas)) {
        const members = group.map((id) => byId.get(id) as PlacementNode);
        t.is(new Set(group).size, replicas);
        t.is(hostsOf(members), Math.min(hosts, replicas));
      }
    }),
  );
  t.pass();
});

test("every node is in groups, whatever its size", (t) => {
  fc.assert(
    fc.property(mixedNodes, fc.integer({ min: 1, max: 4 }), (all, replicas) => {
      const groups = plan(all, replicas);
      if (all.length >= replicas) t.true(appearances(groups, all).every((count) => count >= 2 * replicas));
    }),
  );
  t.pass();
});

test("a node with three times the space of the others gets about three times the groups", (t) => {
  const all = [...nodes(12), nodeOf(12, { host: "large", freeBytes: 300 * GiB })];
  const counts = appearances(plan(all, 2), all);
  const large = counts[12] as number;
  const others = counts.slice(0, 12);
  t.true(large >= 2.2 * Math.max(...others) && large <= 3.5 * Math.min(...others), counts.join(" "));
});

test("with one host for all nodes its label says nothing: groups are those of nodes without labels", (t) => {
  const apart = nodes(5);
  const together = apart.map((node) => ({ ...node, host: "127.0.0.1" }));
  t.deepEqual(plan(together, 2), plan(apart, 2));
});

test("a new member is on a host of its own whenever there is one", (t) => {
  fc.assert(
    fc.property(mixedNodes, fc.nat(3), (all, stayingCount) => {
      const staying = all.slice(0, stayingCount);
      const chosen = chooseMember(staying, all, []);
      t.is(chosen === undefined, all.length <= stayingCount);
      if (chosen === undefined) return;
      t.false(staying.includes(chosen));
      const taken = new Set(staying.map(({ host }) => host));
      const hasChoice = all.some(({ host }) => !taken.has(host));
      t.is(taken.has(chosen.host), !hasChoice);
    }),
  );
  t.pass();
});

test("those who take the place of a lost node share its groups by their free space", (t) => {
  const all = nodes(6).map((node, i) => (i === 5 ? { ...node, freeBytes: 200 * GiB } : node));
  const lost = all[0] as PlacementNode;
  const left = all.slice(1);
  const byId = new Map(all.map((node) => [node.id, node]));
  const groups: NodeId[][] = plan(nodes(6), 2);
  groups.forEach((group, at) => {
    if (!group.includes(lost.id)) return;
    const staying = group.filter((id) => id !== lost.id).map((id) => byId.get(id) as PlacementNode);
    const chosen = chooseMember(staying, left, groups);
    groups[at] = [...staying.map(({ id }) => id), chosen?.id as NodeId];
  });
  const counts = appearances(groups, left);
  t.true(spread(counts.slice(0, 4)) <= 3, counts.join(" "));
  t.true((counts[4] as number) > Math.max(...counts.slice(0, 4)), counts.join(" "));
});
