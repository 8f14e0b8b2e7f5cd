import test from "ava";
import fc from "fast-check";
import type { NodeId } from "../../src/base/ids.ts";
import { limits } from "../../src/base/limits.ts";
import { chooseMember, hostsOf, planGroups, type PlacementNode } from "../../src/name-server/placement.ts";

const GiB = 1024 ** 3;

/** As many equal nodes, each on a host of its own. */
function nodes(count: number): PlacementNode[] {
  return Array.from({ length: count }, (_, i) => nodeOf(i, { host: `host${String(i)}`, freeBytes: 100 * GiB }));
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
  t.true(more.every((group) => newcomer !== undefined && group.includes(newcomer.id)));
  t.is(more.length, 16);
});

test("the number of groups is bounded", (t) => {
  const many = Array.from({ length: limits.groupsMax }, () => nodes(2).map(({ id }) => id));
  t.deepEqual(planGroups(many, nodes(3), 2), []);
});

test("no two members of a group are on one host while there are hosts enough, and as few as possible otherwise", (t) => {
  fc.assert(
    fc.property(mixedNodes, fc.integer({ min: 1, max: 4 }), (all, replicas) => {
      const hosts = hostsOf(all);
      const byId = new Map(all.map((node) => [node.id, node]));
      for (const group of planGroups([], all, replicas)) {
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
      const groups = planGroups([], all, replicas);
      if (all.length >= replicas) t.true(appearances(groups, all).every((count) => count >= 8));
      t.true(groups.length <= 4 * Math.max(16, 8 * all.length) + all.length);
    }),
  );
  t.pass();
});

test("a node with three times the space of the others gets about three times the groups", (t) => {
  const all = [...nodes(12), nodeOf(12, { host: "large", freeBytes: 300 * GiB })];
  const counts = appearances(planGroups([], all, 2), all);
  const large = counts[12] as number;
  const others = counts.slice(0, 12);
  t.true(large >= 2.2 * Math.max(...others) && large <= 3.5 * Math.min(...others), counts.join(" "));
});

test("with one host for all nodes its label says nothing: groups are those of nodes without labels", (t) => {
  const apart = nodes(5);
  const together = apart.map((node) => ({ ...node, host: "127.0.0.1" }));
  t.deepEqual(planGroups([], together, 2), planGroups([], apart, 2));
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
  const groups: NodeId[][] = planGroups([], nodes(6), 2);
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
