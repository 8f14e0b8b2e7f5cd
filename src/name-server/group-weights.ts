/**
 * How often each placement group should take the next block so that nodes of different size fill evenly: pure arithmetic.
 *
 * Each node should have its share of all copies (`sharesOfCopies`); the weights of a node's groups should sum up to that.
 * Found by proportional fitting: one node after the other has the weights of its groups scaled to its share, several
 * times over. Where the groups do not allow it exactly, it comes close.
 */
import type { NodeId } from "../base/ids.ts";
import { sharesOfCopies } from "./space.ts";

const sweepsMax = 12;
/** Close enough. */
const tolerance = 0.01;
/** What a group without use weighs yet, relative to the mean: it may be all that is left for somebody who avoids nodes. */
const weightMin = 1e-6;

/** In the order of `groups`: above 0, the mean is 1. */
export function groupWeights(
  groups: readonly (readonly NodeId[])[],
  freeBytes: ReadonlyMap<NodeId, number>,
  replicas: number,
): number[] {
  const groupsOf = new Map<NodeId, number[]>();
  groups.forEach((group, at) => {
    for (const id of group) {
      const own = groupsOf.get(id);
      if (own === undefined) groupsOf.set(id, [at]);
      else own.push(at);
    }
  });
  const ids = [...groupsOf.keys()];
  const shares = sharesOfCopies(
    ids.map((id) => freeBytes.get(id) ?? 0),
    replicas,
  );
  const weights = groups.map(() => 1);
  if (shares.length === 0) return weights;
  // In units of the mean weight.
  const wanted = new Map(ids.map((id, i) => [id, (shares[i] ?? 0) * groups.length]));
  for (let sweep = 0; sweep < sweepsMax; sweep++) {
    let worst = 0;
    for (const id of ids) {
      const own = groupsOf.get(id) ?? [];
      const has = own.reduce((sum, at) => sum + (weights[at] ?? 0), 0);
      const factor = has === 0 ? 1 : (wanted.get(id) ?? 0) / has;
      worst = Math.max(worst, Math.abs(factor - 1));
      for (const at of own) weights[at] = (weights[at] ?? 0) * factor;
    }
    if (worst < tolerance) break;
  }
  return normalised(weights);
}

function normalised(weights: readonly number[]): number[] {
  const sum = weights.reduce((total, weight) => total + weight, 0);
  if (sum === 0) return weights.map(() => 1);
  return weights.map((weight) => Math.max(weightMin, (weight * weights.length) / sum));
}
