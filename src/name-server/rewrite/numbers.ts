/**
 * Block numbers for rewriting: of groups whose members are all there and have space, or have to use their reserve for what
 * frees more than it takes. Ranges are the server's own, committed before a number is used; what is left of them at an end
 * of the server is given up at its next start.
 */
import { errnoOf, FsError } from "../../base/errno.ts";
import type { BlockId, GroupId } from "../../base/ids.ts";
import { limits } from "../../base/limits.ts";
import type { PlacementGroup } from "../../protocol/types.ts";
import { takeNumbers, type Allocation } from "../allocation.ts";
import type { ClusterMaps } from "../cluster-map.ts";
import type { Execution } from "../execution.ts";
import type { Nodes } from "../nodes.ts";
import { rewriteOwner } from "./swap.ts";

export interface Numbers {
  /**
   * A number of a group with so many copies: of `wished` if that takes blocks now, else of one that allocation chooses.
   * When all are full, what `replaces` gets one of `wished` all the same. EAGAIN, ENOSPC: there is none.
   */
  next(
    copies: number,
    wished: GroupId | undefined,
    replaces: boolean,
  ): Promise<{ block: BlockId; group: PlacementGroup }>;
}

const rangeNumbers = 8;
/** What a member must still take: the last space is for writers. */
const spareBytes = 4 * limits.blockBytesMax;

export function createNumbers(parts: {
  execution: Execution;
  maps: ClusterMaps;
  nodes: Nodes;
  allocation: Allocation;
}): Numbers {
  const { execution, maps, nodes, allocation } = parts;
  const open = new Map<GroupId, { next: number; end: number }>();

  /** All its members are there, and can still take so much. */
  function takesBlocks(id: GroupId, copies: number, freeBytes = spareBytes): boolean {
    const group = maps.group(id);
    if (group === undefined || maps.replicasOf(id) !== copies || group.nodes.length < copies) return false;
    return group.nodes.every((member) => {
      const node = nodes.get(member);
      return node?.state === "up" && node.peer !== undefined && node.freeBytes >= freeBytes;
    });
  }

  async function allocate(copies: number): Promise<GroupId> {
    const request = { session: rewriteOwner, count: rangeNumbers, avoid: [], replicas: copies };
    const [range] = await execution.change((transaction) => allocation.allocate(transaction, request));
    if (range === undefined) throw new FsError("ENOSPC", `no group with ${String(copies)} copies has space`);
    // Numbers of the group that were left are given up at the next start.
    open.set(range.group, { next: range.first, end: range.first + range.count });
    // What has all its copies is not rewritten with fewer.
    if ((maps.group(range.group)?.nodes.length ?? 0) < copies)
      throw new FsError("EAGAIN", `no group has nodes for ${String(copies)} copies now`);
    return range.group;
  }

  async function allocateIn(group: GroupId): Promise<GroupId> {
    const first = await execution.change((transaction) => takeNumbers(transaction, group, rewriteOwner, rangeNumbers));
    open.set(group, { next: first, end: first + rangeNumbers });
    return group;
  }

  function hasNumbers(group: GroupId): boolean {
    const range = open.get(group);
    return range !== undefined && range.next < range.end;
  }

  function numbersOf(group: GroupId): GroupId | Promise<GroupId> {
    return hasNumbers(group) ? group : allocateIn(group);
  }

  async function choose(copies: number, wished: GroupId | undefined, replaces: boolean): Promise<GroupId> {
    if (wished !== undefined && takesBlocks(wished, copies)) return numbersOf(wished);
    for (const id of open.keys()) if (hasNumbers(id) && takesBlocks(id, copies)) return id;
    try {
      return await allocate(copies);
    } catch (error) {
      // What it replaces is at these very nodes.
      const mayGrow = replaces && wished !== undefined && takesBlocks(wished, copies, 0);
      const isFull = errnoOf(error) === "ENOSPC" || errnoOf(error) === "EAGAIN";
      if (!mayGrow || !isFull) throw error;
      return numbersOf(wished);
    }
  }

  return {
    async next(copies, wished, replaces) {
      for (;;) {
        const id = await choose(copies, wished, replaces);
        const group = maps.group(id);
        const range = open.get(id);
        // Somebody else may have taken the last one meanwhile.
        if (group === undefined || range === undefined || range.next >= range.end) continue;
        return { block: { group: id, number: range.next++ }, group };
      }
    },
  };
}
