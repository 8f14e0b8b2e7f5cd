/** How much file content fits: pure arithmetic over the nodes' free bytes. */
import { limits } from "../base/limits.ts";

/** What a full block needs on a node's disk: its bytes and a header's page. */
const blockFootprintBytes = limits.blockBytesMax + limits.checksumUnitBytes;

/**
 * The largest U with sum(min(free_i, U)) >= replicas * U: so many bytes can be stored `replicas` times on distinct nodes.
 * With the nodes from the fullest-free down, U is bounded for each k < replicas by what all but the k largest share
 * among the replicas - k copies that those k cannot hold.
 */
export function storableBytes(freeBytes: readonly number[], replicas: number): number {
  const descending = [...freeBytes].sort((left, right) => right - left);
  let rest = descending.reduce((sum, free) => sum + free, 0);
  let storable = Infinity;
  for (let k = 0; k < replicas; k++) {
    storable = Math.min(storable, rest / (replicas - k));
    rest -= descending[k] ?? 0;
  }
  return Math.max(0, Math.floor(storable));
}

/**
 * Which part of all blocks should have a copy on each node, so that none is full before all that can be stored is
 * stored: min(free_i, U) / U with U as above, which sums up to `replicas`. Empty where nothing can be stored.
 */
export function sharesOfCopies(freeBytes: readonly number[], replicas: number): number[] {
  const storable = storableBytes(freeBytes, replicas);
  return storable === 0 ? [] : freeBytes.map((free) => Math.min(free, storable) / storable);
}

/** What of a node's free bytes can be given to blocks: 0 is what clients take for full. */
export function wholeBlockBytes(freeBytes: number): number {
  return Math.floor(freeBytes / blockFootprintBytes) * blockFootprintBytes;
}

/** What can be stored, in bytes of file content: less what the nodes keep beside each block. */
export function contentBytes(freeBytes: readonly number[], replicas: number): number {
  return Math.floor((storableBytes(freeBytes, replicas) * limits.blockBytesMax) / blockFootprintBytes);
}
