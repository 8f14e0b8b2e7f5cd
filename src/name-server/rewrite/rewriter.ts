/**
 * Copies content into new blocks: has a storage node put a block together from pieces of others and inline bytes, and
 * swaps the extents when it is on disk at every member of its group. A block that came to nothing is deleted.
 */
import { checksum } from "../../base/checksum.ts";
import { sleep, type Clock } from "../../base/clock.ts";
import { errnoOf, FsError } from "../../base/errno.ts";
import { blockName, type GroupId, type Ino, type NodeId } from "../../base/ids.ts";
import { limits } from "../../base/limits.ts";
import type { Log } from "../../base/log.ts";
import { keys } from "../../metadata-store/keys.ts";
import type { MetadataStore } from "../../metadata-store/types.ts";
import type { StorageNodeMethods } from "../../protocol/storage-node.ts";
import type { Address, RequestOf } from "../../rpc/types.ts";
import type { ClusterMaps } from "../cluster-map.ts";
import type { Execution } from "../execution.ts";
import { extentsFrom } from "../namespace/content.ts";
import type { OperationContext, Transaction } from "../namespace/index.ts";
import { nextTurn } from "../next-turn.ts";
import type { Nodes } from "../nodes.ts";
import type { Numbers } from "./numbers.ts";
import { byBlock, byContent, planBlocks, type PlannedBlock } from "./plan-blocks.ts";
import { discardComposed, swapExtents } from "./swap.ts";
import type { Place, Rewriter } from "./types.ts";

type Order = RequestOf<StorageNodeMethods, "composeBlock">;
type NodeAt = Order["forward"][number];
type Options = Parameters<Rewriter["rewrite"]>[1];
type Numbered = Awaited<ReturnType<Numbers["next"]>>;

/** How long a node may take for a block, with those behind it. */
const composeMillis = limits.callMillis;
const extentsPerStep = 512;

export function createRewriter(parts: {
  store: MetadataStore;
  execution: Execution;
  clock: Clock;
  log: Log;
  nodes: Nodes;
  maps: ClusterMaps;
  numbers: Numbers;
  makeContext: (transaction: Transaction) => OperationContext;
  /** No pause is made between blocks. */
  isUrgent: () => boolean;
}): Rewriter {
  const { store, execution, clock, log, nodes, maps, numbers, makeContext } = parts;

  function at(id: NodeId): NodeAt | undefined {
    const node = nodes.get(id);
    if (node === undefined) return undefined;
    const address: Address = { host: node.record.host, port: node.record.port };
    return { node: id, address };
  }

  /** The members that may have everything of the group, those that are up first. */
  function sourcesOf(id: GroupId): Order["sources"][number] {
    const group = maps.group(id);
    const members = (group?.nodes ?? []).filter((node) => group?.copying.includes(node) !== true);
    const isUp = (node: NodeId): boolean => nodes.get(node)?.state === "up";
    const inOrder = [...members.filter(isUp), ...members.filter((node) => !isUp(node))];
    return { group: id, nodes: inOrder.flatMap((node) => at(node) ?? []) };
  }

  function orderOf(
    { block, group }: Numbered,
    plan: PlannedBlock,
    replaces: boolean,
  ): { order: Order; inline: Buffer[] } {
    const inline = plan.stretches.flatMap((stretch) => (stretch.kind === "inline" ? [stretch.content] : []));
    const groups = new Set<GroupId>();
    for (const stretch of plan.stretches) if (stretch.kind === "block") groups.add(stretch.block.group);
    const order: Order = {
      epoch: store.epoch,
      block,
      length: plan.length,
      pieces: plan.stretches.map((stretch) =>
        stretch.kind === "inline" ? { kind: "inline", length: stretch.length } : { ...stretch },
      ),
      inlineChecksum: inline.reduce((sum, bytes) => checksum(bytes, sum), 0),
      sources: [...groups].map(sourcesOf),
      forward: group.nodes.slice(1).flatMap((node) => at(node) ?? []),
      ...(replaces && groups.size === 1 && groups.has(group.group) ? { replaces } : {}),
    };
    return { order, inline };
  }

  async function compose(into: Numbered, plan: PlannedBlock, { replaces = false, signal }: Options): Promise<void> {
    const { group } = into;
    const [first] = group.nodes;
    const node = first === undefined ? undefined : nodes.get(first);
    if (node?.peer === undefined) throw new FsError("EAGAIN", `group ${String(group.group)}: its first node is gone`);
    const { order, inline } = orderOf(into, plan, replaces);
    await node.peer.call("composeBlock", order, { payload: inline, deadlineMillis: composeMillis, signal });
    nodes.heardFrom(node);
  }

  /** One new block. Returns the bytes that have a new place. */
  async function rewriteOne(plan: PlannedBlock, options: Options): Promise<number> {
    const first = plan.stretches.find((stretch) => stretch.kind === "block");
    const into = await numbers.next(options.copies, first?.block.group, options.replaces === true);
    const { block, group } = into;
    const { epoch } = group;
    try {
      await compose(into, plan, options);
      const pieces = [...plan.placed].sort(byContent);
      return await execution.change((transaction) => swapExtents(makeContext(transaction), { block, epoch, pieces }));
    } catch (error) {
      log.debug({ block: blockName(block), err: error }, "content was not rewritten");
      await execution.change((transaction) => {
        discardComposed(makeContext(transaction), block);
      });
      throw error;
    }
  }

  /** A copy: the store's buffers are borrowed. Undefined: it is not as it was found. */
  function inlineOf({ content, offset, record }: Place): Buffer | undefined {
    const found = store.get(keys.inline(content, offset));
    return found?.length === record.length ? Buffer.from(found) : undefined;
  }

  const rewriter: Rewriter = {
    async rewrite(places, options) {
      const { isShared, signal } = options;
      const sorted = [...places].sort(isShared === true ? byBlock : byContent);
      let moved = 0;
      for (const plan of planBlocks(sorted, inlineOf)) {
        if (signal.aborted) throw new FsError("ECANCELED", "rewriting stops");
        const began = clock.monotonicMillis();
        const bytes = await rewriteOne(plan, options);
        moved += bytes;
        const took = clock.monotonicMillis() - began;
        const pause = (1_000 * bytes) / limits.rewriteBytesPerSecond - took;
        if (pause > 0 && !parts.isUrgent()) await sleep(clock, pause, signal);
      }
      return moved;
    },

    async convert(content: Ino, options) {
      let moved = 0;
      for (let from = 0; !options.signal.aborted;) {
        const found = extentsFrom(store, content, from, Number.MAX_SAFE_INTEGER, extentsPerStep);
        const last = found.at(-1);
        if (last === undefined) break;
        const places = found
          .filter(({ record }) => record.kind === "block" && maps.replicasOf(record.block.group) !== options.copies)
          .map((stored): Place => ({ content, ...stored }));
        if (places.length > 0) moved += await rewriter.rewrite(places, options);
        from = last.offset + 1;
        await nextTurn();
      }
      return moved;
    },
  };

  return rewriter;
}

/** Whether trying again soon may help, and nobody needs to hear of it. */
export function isPassing(error: unknown): boolean {
  const errno = errnoOf(error);
  return errno === "EAGAIN" || errno === "ESTALE" || errno === "ENOSPC" || errno === "ECANCELED";
}
