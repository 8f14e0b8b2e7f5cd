/** Bad copies made good: each is pulled from a member that has the block undamaged, and verified. */
import type { NodeId, BlockId } from "../../base/ids.ts";
import type { Log } from "../../base/log.ts";
import type { ClusterMaps } from "../cluster-map.ts";
import { sourcesOf } from "../repair/copier.ts";
import type { BadCopy, CopiesParts } from "./check-copies.ts";

export interface MendCopiesParts extends CopiesParts {
  readonly maps: ClusterMaps;
  readonly log: Log;
  /** What could not be made good here is left to repair, which keeps trying, and tells it in the status. */
  readonly suspect: (node: NodeId, block: BlockId) => void;
}

/** Whether the copy is right now, on disk. */
export async function mendCopy(parts: MendCopiesParts, { node, block, length }: BadCopy): Promise<boolean> {
  try {
    const sources = sourcesOf(parts, block.group, node);
    const { failed } = await parts.orders.copy(node, [{ block, length }], sources);
    if (failed.length === 0) return true;
  } catch (error) {
    parts.log.warn({ node, block, problem: String(error) }, "a bad copy was not replaced");
  }
  parts.suspect(node, block);
  return false;
}
