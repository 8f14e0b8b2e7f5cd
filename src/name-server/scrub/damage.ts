/**
 * Damage on storage nodes, as the name server hears of it: from a node's own scrub, and from clients that got rot or
 * nothing. What a client says is looked into by the node itself before anything is copied: its network or its memory
 * may be what is broken. What is confirmed is handed to the repair, which copies the block from a good replica.
 *
 * Nothing is remembered but what waits to be looked into, which is bounded: what is lost or dropped is complained about
 * at the next read, and found by the next scrub.
 */
import { blockName, type BlockId, type NodeId } from "../../base/ids.ts";
import { limits } from "../../base/limits.ts";
import type { Log } from "../../base/log.ts";
import type { Background } from "../background.ts";
import type { Nodes } from "../nodes.ts";
import type { RemotePeer } from "../types.ts";

export interface Damage {
  /** A client could not get the block from the node. */
  complain(node: NodeId, block: BlockId): void;
  /** A node's scrub has found these. ENOTCONN: no node on this connection. */
  reported(peer: RemotePeer, blocks: readonly BlockId[]): void;
  /** Orders a pass of every node that is up. */
  scrubAll(): Promise<{ nodes: { node: NodeId; ordered: number | null; problem: string }[] }>;
}

/** Verifying an order's worth of whole blocks on a slow disk. */
const checkMillis = 60_000;
const orderMillis = 10_000;

export function createDamage(parts: {
  readonly nodes: Nodes;
  readonly epoch: () => number;
  readonly background: Background;
  readonly log: Log;
  /** That node's copy of the block is damaged or missing. */
  readonly suspect: (node: NodeId, block: BlockId) => void;
}): Damage {
  const { nodes, background, log, suspect } = parts;
  const waiting = new Map<NodeId, Map<string, BlockId>>();
  let complaints = 0;

  async function lookInto(id: NodeId): Promise<void> {
    for (;;) {
      const blocks = take(id);
      const peer = nodes.get(id)?.peer;
      if (blocks.length === 0 || peer === undefined || background.isClosing) break;
      const request = { epoch: parts.epoch(), blocks };
      const { reply } = await peer.call("checkBlocks", request, { deadlineMillis: checkMillis });
      for (const block of [...reply.damaged, ...reply.missing]) suspect(id, block);
      const confirmed = reply.damaged.length + reply.missing.length;
      log.warn({ node: id, blocks: blocks.length, confirmed }, "a storage node has looked into complaints of clients");
    }
  }

  function take(id: NodeId): BlockId[] {
    const all = waiting.get(id) ?? new Map<string, BlockId>();
    const blocks = [...all.values()].slice(0, limits.blocksPerOrderMax);
    for (const block of blocks) all.delete(blockName(block));
    complaints -= blocks.length;
    return blocks;
  }

  return {
    complain(id, block) {
      const isLookedInto = waiting.has(id);
      const blocks = waiting.get(id) ?? new Map<string, BlockId>();
      if (complaints >= limits.complaintsMax || blocks.has(blockName(block))) return;
      blocks.set(blockName(block), block);
      waiting.set(id, blocks);
      complaints += 1;
      if (isLookedInto) return;
      background.run("look into complaints about a storage node", () =>
        lookInto(id).finally(() => {
          complaints -= waiting.get(id)?.size ?? 0;
          waiting.delete(id);
        }),
      );
    },

    reported(peer, blocks) {
      const node = nodes.of(peer);
      log.warn({ node: node.id, blocks: blocks.map(blockName) }, "a storage node has found damaged blocks");
      for (const block of blocks) suspect(node.id, block);
    },

    async scrubAll() {
      const order = async (node: ReturnType<Nodes["all"]>[number]) => {
        if (node.peer === undefined || node.state === "down")
          return { node: node.id, ordered: null, problem: "it is down" };
        try {
          const { reply } = await node.peer.call("scrubNow", { epoch: parts.epoch() }, { deadlineMillis: orderMillis });
          return { node: node.id, ordered: reply.ordered, problem: "" };
        } catch (error) {
          return { node: node.id, ordered: null, problem: String(error) };
        }
      };
      return { nodes: await Promise.all(nodes.all().map(order)) };
    },
  };
}
