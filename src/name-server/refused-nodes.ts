/**
 * Storage nodes that were not let in, for `dfs status`: of another cluster, or ahead of a metadata store that is an old
 * copy. They ask again every few seconds; who has not for a while is forgotten.
 */
import { errnoOf } from "../base/errno.ts";
import type { NodeId } from "../base/ids.ts";
import type { Address } from "../rpc/types.ts";
import { addressText } from "./storage-node.ts";

export interface RefusedNodes {
  /** A registration failed; only EPERM counts. */
  note(node: NodeId, address: Address, error: unknown): void;
  /** One line for each. */
  list(): string[];
}

const rememberedMillis = 60_000;
const nodesMax = 64;

export function createRefusedNodes(now: () => number): RefusedNodes {
  const refused = new Map<NodeId, { readonly text: string; readonly at: number }>();
  return {
    note(node, address, error) {
      if (errnoOf(error) !== "EPERM" || !(error instanceof Error)) return;
      refused.delete(node);
      const [oldest] = refused.keys();
      if (refused.size >= nodesMax && oldest !== undefined) refused.delete(oldest);
      const why = error.message.replace(/^EPERM: /, "");
      refused.set(node, { text: `the storage node at ${addressText(address)} was refused: ${why}`, at: now() });
    },
    list() {
      for (const [node, { at }] of refused) if (now() - at > rememberedMillis) refused.delete(node);
      return [...refused.values()].map(({ text }) => text);
    },
  };
}
