import test from "ava";
import fc from "fast-check";
import type { NodeId } from "../../src/base/ids.ts";
import { groupWeights } from "../../src/name-server/group-weights.ts";
import { groupsWanted, planGroups, type PlacementNode } from "../../src/name-server/placement.ts";
import { sharesOfCopies, storableBytes } from "../../src/name-server/space.ts";

function nodesOf(sizes: readonly number[]): PlacementNode[] {
  return sizes.map((freeBytes, i) => ({
    id: (i + 1).toString(16).padStart(16, "0") as NodeId,
    host: `host${String(i)}`,
    freeBytes,
  }));
}

/** How many blocks of size 1 can be written one after the other, each to the heaviest group that is behind. */
function fill(nodes: readonly PlacementNode[], replicas: number): { stored: number; free: Map<NodeId, number> } {
  const groups = planGroups([], nodes, replicas, groupsWanted(nodes.length, replicas));
  const free = new Map(nodes.map(({ id, freeBytes }) => [id, freeBytes]));
  let stored = 0;
  for (;;) {
    const weights = groupWeights(groups, free, replicas);
    const sum = weights.reduce((total, weight) => total + weight, 0);
    // About a fiftieth of what fits, between two looks at the free space.
    const batch = Math.max(1, Math.floor(storableBytes([...free.values()], replicas) / 50));
    const credits = groups.map(() => 0);
    let written = 0;
    for (let i = 0; i < batch; i++) {
      let best = -1;
      groups.forEach((group, at) => {
        credits[at] = (credits[at] ?? 0) + (weights[at] ?? 0) / sum;
        const isOpen = group.every((id) => (free.get(id) ?? 0) >= 1);
        if (isOpen && (best < 0 || (credits[at] ?? 0) > (credits[best] ?? 0))) best = at;
      });
      if (best < 0) break;
      credits[best] = (credits[best] ?? 0) - 1;
      for (const id of groups[best] ?? []) free.set(id, (free.get(id) ?? 0) - 1);
      written++;
    }
    stored += written;
    if (written === 0) return { stored, free };
  }
}

test("nodes of any sizes are filled to nearly all that they can hold together", (t) => {
  const sizes = fc.array(fc.integer({ min: 100, max: 2_000 }), { minLength: 3, maxLength: 7 });
  fc.assert(
    fc.property(sizes, fc.integer({ min: 1, max: 3 }), (all, replicas) => {
      const nodes = nodesOf(all);
      const { stored } = fill(nodes, replicas);
      t.true(stored >= 0.95 * storableBytes(all, replicas), `${String(stored)} of ${all.join(" ")}`);
    }),
    { numRuns: 40, seed: 1 },
  );
  t.pass();
});

test("equal nodes weigh equal groups", (t) => {
  const nodes = nodesOf([100, 100, 100, 100]);
  const groups = planGroups([], nodes, 2, groupsWanted(nodes.length, 2));
  const weights = groupWeights(groups, new Map(nodes.map(({ id, freeBytes }) => [id, freeBytes])), 2);
  t.true(weights.every((weight) => Math.abs(weight - 1) < 0.2));
});

test("a large node that two small ones need for their copies is in every block", (t) => {
  const nodes = nodesOf([1_000, 100, 100]);
  const groups = planGroups([], nodes, 2, groupsWanted(nodes.length, 2));
  const weights = groupWeights(groups, new Map(nodes.map(({ id, freeBytes }) => [id, freeBytes])), 2);
  const large = nodes[0] as PlacementNode;
  groups.forEach((group, at) => {
    const weight = weights[at] as number;
    if (group.includes(large.id)) t.true(weight > 0.5);
    else t.true(weight < 0.2 && weight > 0, String(weight));
  });
});

test("every group keeps a weight where nothing can be stored", (t) => {
  const nodes = nodesOf([0, 0]);
  const groups = planGroups([], nodes, 2, groupsWanted(nodes.length, 2));
  t.true(groupWeights(groups, new Map(), 2).every((weight) => weight > 0));
  t.deepEqual(groupWeights([], new Map(), 2), []);
});

test("the shares of all nodes are the copies of a block", (t) => {
  fc.assert(
    fc.property(fc.array(fc.nat(100_000), { maxLength: 8 }), fc.integer({ min: 1, max: 5 }), (free, replicas) => {
      const shares = sharesOfCopies(free, replicas);
      if (storableBytes(free, replicas) < 1_000) return;
      const sum = shares.reduce((total, share) => total + share, 0);
      t.true(sum >= replicas - 0.001 && sum <= replicas + 0.01 && shares.every((share) => share >= 0 && share <= 1));
    }),
  );
  t.pass();
});
