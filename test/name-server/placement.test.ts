import test from "ava";
import type { NodeId } from "../../src/base/ids.ts";
import { limits } from "../../src/base/limits.ts";
import { planGroups } from "../../src/name-server/placement.ts";

function nodes(count: number): NodeId[] {
  return Array.from({ length: count }, (_, i) => (i + 1).toString(16).padStart(16, "0") as NodeId);
}

function spread(counts: readonly number[]): number {
  return Math.max(...counts) - Math.min(...counts);
}

function appearances(groups: readonly NodeId[][], of: readonly NodeId[]): number[] {
  return of.map((node) => groups.filter((group) => group.includes(node)).length);
}

function firsts(groups: readonly NodeId[][], of: readonly NodeId[]): number[] {
  return of.map((node) => groups.filter((group) => group[0] === node).length);
}

function meetings(groups: readonly NodeId[][], of: readonly NodeId[]): number[] {
  return of.flatMap((left, i) =>
    of.slice(i + 1).map((right) => groups.filter((group) => group.includes(left) && group.includes(right)).length),
  );
}

test("there are no groups while nodes are fewer than replicas", (t) => {
  t.deepEqual(planGroups([], nodes(1), 2), []);
});

for (const count of [1, 2, 3, 4, 5, 7, 12, 30]) {
  for (const replicas of [1, 2, 3]) {
    if (replicas > count) continue;
    test(`${String(count)} nodes with ${String(replicas)} replicas are used evenly`, (t) => {
      const all = nodes(count);
      const groups = planGroups([], all, replicas);
      const least = Math.max(8, Math.ceil(16 / count)) * count;
      t.true(groups.length >= least && groups.length <= least + 4, `${String(groups.length)} groups`);
      t.true(groups.every((group) => new Set(group).size === replicas));
      t.true(spread(appearances(groups, all)) <= 1, "in equally many groups");
      // Exactly even is not always reached where many nodes have few groups each.
      t.true(spread(firsts(groups, all)) <= (count <= 3 ? 0 : 2), "first equally often");
      if (replicas > 1 && count > 1) t.true(spread(meetings(groups, all)) <= 2, "every pair equally often");
    });
  }
}

test("nodes that join one by one end up with even shares in a small cluster", (t) => {
  const all = nodes(3);
  const groups: NodeId[][] = [];
  for (let count = 1; count <= 3; count++) groups.push(...planGroups(groups, all.slice(0, count), 2));
  t.true(spread(appearances(groups, all)) <= 1);
  t.true(spread(firsts(groups, all)) <= 2);
});

test("a cluster that has its groups plans no more", (t) => {
  const groups = planGroups([], nodes(5), 2);
  t.deepEqual(planGroups(groups, nodes(5), 2), []);
});

test("each newcomer of a large cluster gets at least the common minimum", (t) => {
  const groups = planGroups([], nodes(20), 2);
  const more = planGroups(groups, nodes(21), 2);
  const newcomer = nodes(21)[20];
  t.true(more.every((group) => newcomer !== undefined && group.includes(newcomer)));
  t.is(more.length, 16);
});

test("the number of groups is bounded", (t) => {
  const many = Array.from({ length: limits.groupsMax }, () => nodes(2));
  t.deepEqual(planGroups(many, nodes(3), 2), []);
});
