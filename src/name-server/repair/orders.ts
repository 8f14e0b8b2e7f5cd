/** What repair asks of a storage node, over the node's own connection, with this server's epoch. */
import { FsError } from "../../base/errno.ts";
import type { BlockId, GroupId, NodeId } from "../../base/ids.ts";
import { limits } from "../../base/limits.ts";
import type { StorageNodeMethods } from "../../protocol/storage-node.ts";
import type { ReplyOf } from "../../rpc/types.ts";
import type { Nodes } from "../nodes.ts";
import type { StorageNode } from "../storage-node.ts";
import type { Numbered } from "./compare.ts";

export type CopyReply = ReplyOf<StorageNodeMethods, "copyBlocks">;

export interface WantedBlock {
  readonly block: BlockId;
  readonly length: number;
}

/** All reject with ENOTCONN when the node is not there, else as the call does. */
export interface Orders {
  copy(node: NodeId, blocks: readonly WantedBlock[], sources: readonly StorageNode[]): Promise<CopyReply>;
  /** At most `limit` blocks from number `first` on. */
  list(node: NodeId, group: GroupId, first: number, limit: number): Promise<Numbered[]>;
  /** Of all its blocks with these numbers, both included. */
  numbers(node: NodeId, group: GroupId, first: number, last: number): Promise<Set<number>>;
  remove(node: NodeId, blocks: readonly BlockId[]): Promise<void>;
}

/** A node may be busy, and sources slow: this is only for one that hangs. */
const copyMillis = 60_000;
const copyMillisPerBlock = 2_000;
const pageBlocks = 1_024;

export function createOrders(nodes: Nodes, epoch: () => number): Orders {
  function connected(id: NodeId): StorageNode & { readonly peer: NonNullable<StorageNode["peer"]> } {
    const node = nodes.get(id);
    if (node?.peer === undefined) throw new FsError("ENOTCONN", `storage node ${id} is not connected`);
    return node as StorageNode & { readonly peer: NonNullable<StorageNode["peer"]> };
  }

  async function list(id: NodeId, group: GroupId, first: number, limit: number): Promise<Numbered[]> {
    const node = connected(id);
    const { reply } = await node.peer.call("listBlocks", {
      ...{ epoch: epoch(), group, first },
      limit: Math.min(limit, limits.blocksListedMax),
    });
    nodes.heardFrom(node);
    return reply.blocks;
  }

  return {
    list,

    async copy(id, blocks, sources) {
      const node = connected(id);
      const request = {
        epoch: epoch(),
        blocks: [...blocks],
        sources: sources.map((source) => ({
          node: source.id,
          address: { host: source.record.host, port: source.record.port },
        })),
      };
      const deadlineMillis = copyMillis + blocks.length * copyMillisPerBlock;
      const { reply } = await node.peer.call("copyBlocks", request, { deadlineMillis });
      nodes.heardFrom(node);
      return reply;
    },

    async numbers(id, group, first, last) {
      const found = new Set<number>();
      for (let from = first; from <= last;) {
        const listed = await list(id, group, from, pageBlocks);
        for (const { number } of listed) if (number <= last) found.add(number);
        if (listed.length < pageBlocks) break;
        from = (listed.at(-1)?.number ?? last) + 1;
      }
      return found;
    },

    async remove(id, blocks) {
      const node = connected(id);
      await node.peer.call("deleteBlocks", { epoch: epoch(), blocks: [...blocks] });
      nodes.heardFrom(node);
    },
  };
}
