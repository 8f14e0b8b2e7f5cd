/**
 * Fills members that copy: compares, page by page, the group's block records with what the member holds, and has it pull
 * what it lacks. All state is in the group records: who died in the middle begins again, and skips what is there.
 *
 * Invariants: a member stops counting as copying only after a pass over all records in which nothing was missing (or only
 * what no member has). Blocks that are named after the pass looked at their place were written to the member itself,
 * because their epoch is not older than its membership.
 */
import type { GroupId, NodeId } from "../../base/ids.ts";
import { blockName, type BlockId } from "../../base/ids.ts";
import { limits } from "../../base/limits.ts";
import type { Log } from "../../base/log.ts";
import { keys } from "../../metadata-store/keys.ts";
import type { MetadataStore } from "../../metadata-store/types.ts";
import type { ClusterMaps } from "../cluster-map.ts";
import type { Nodes } from "../nodes.ts";
import type { StorageNode } from "../storage-node.ts";
import { blockRecords, compareBlocks, type Numbered } from "./compare.ts";
import type { CopyReply, Orders, WantedBlock } from "./orders.ts";
import type { Pace } from "./pace.ts";

/** How a pass over a group ended. */
export type PassResult =
  | "whole"
  /** Something could not be copied now: to be tried again later. */
  | "incomplete"
  /** The member has no space. */
  | "full"
  /** The member left the group, or repair stopped. */
  | "stopped";

export interface CopierParts {
  readonly store: MetadataStore;
  readonly maps: ClusterMaps;
  readonly nodes: Nodes;
  readonly orders: Orders;
  readonly pace: Pace;
  readonly log: Log;
  /** These lost their last name while they were copied: whoever has them now is to delete them. */
  readonly discard: (blocks: readonly BlockId[]) => Promise<void>;
  /** No member of the block's group has it undamaged. */
  readonly lost: (block: BlockId) => void;
}

export interface CopyJob {
  readonly group: GroupId;
  readonly target: NodeId;
  /** Aborted when the member leaves the group or repair stops. */
  readonly signal: AbortSignal;
  /** So many bytes of the group's are at the member. */
  progressed(bytes: number): void;
}

const pageBlocks = 1_024;
/** What one order names: small enough that the pause after it comes soon. */
const orderBlocks = 64;
const orderBytes = 2 * limits.blockBytesMax;

export async function copyGroup(parts: CopierParts, job: CopyJob): Promise<PassResult> {
  const { store, orders } = parts;
  const { group, target, signal } = job;
  let isComplete = true;
  for (let first = 0; first !== Infinity;) {
    const records = blockRecords(store, group, first, pageBlocks);
    if (records.length === 0) break;
    const held = await orders.list(target, group, first, pageBlocks);
    if (signal.aborted) return "stopped";
    const page = { limit: pageBlocks, records, held, queued: noNumbers };
    const { to, lacking } = compareBlocks(store, group, page);
    const looked = records.filter(({ number }) => number <= to);
    job.progressed(bytesOf(looked) - bytesOf(lacking));
    for (const batch of batches(group, lacking)) {
      const result = await copyBatch(parts, job, batch);
      if (result === "full" || result === "stopped") return result;
      isComplete &&= result === "whole";
    }
    first = to + 1;
  }
  return isComplete ? "whole" : "incomplete";
}

async function copyBatch(parts: CopierParts, job: CopyJob, batch: readonly WantedBlock[]): Promise<PassResult> {
  const { orders, pace } = parts;
  const { target, signal } = job;
  let result: PassResult = "whole";
  await pace.paced(async () => {
    const sources = sourcesOf(parts, job.group, target);
    const reply = await orders.copy(target, batch, sources);
    const copied = batch.filter(({ block }) => !reply.failed.some((failure) => failure.block.number === block.number));
    const bytes = copied.reduce((sum, { length }) => sum + length, 0);
    pace.copied(bytes);
    job.progressed(bytes);
    await discardUnnamed(parts, batch);
    result = judge(parts, job, reply);
    return reply.foreground;
  }, signal);
  return signal.aborted ? "stopped" : result;
}

/** Members to copy from: those that are whole first. */
export function sourcesOf(
  { maps, nodes }: Pick<CopierParts, "maps" | "nodes">,
  id: GroupId,
  target: NodeId,
): StorageNode[] {
  const group = maps.group(id);
  const others = (group?.nodes ?? []).filter((node) => node !== target).map((node) => nodes.get(node));
  const up = others.filter((node): node is StorageNode => node?.state === "up");
  const isCopying = (node: StorageNode): number => Number(group?.copying.includes(node.id) === true);
  return up.sort((a, b) => isCopying(a) - isCopying(b));
}

/** Whether every other member of the group could be asked. */
export function areAllUp({ maps, nodes }: Pick<CopierParts, "maps" | "nodes">, id: GroupId, target: NodeId): boolean {
  return maps.group(id)?.nodes.every((node) => node === target || nodes.get(node)?.state === "up") === true;
}

function judge(parts: CopierParts, { group, target }: CopyJob, { failed }: CopyReply): PassResult {
  let result: PassResult = "whole";
  for (const { block, problem } of failed) {
    if (parts.store.get(keys.block(block)) === undefined) continue;
    switch (problem) {
      case "full":
        return "full";
      case "missing":
      case "damaged":
        if (areAllUp(parts, group, target)) parts.lost(block);
        else result = "incomplete";
        break;
      case "refused":
        parts.log.error({ block: blockName(block), node: target }, "a storage node could not store a copy");
        result = "incomplete";
        break;
      case "unreachable":
        result = "incomplete";
        break;
    }
  }
  return result;
}

/** Their deletion may have overtaken the copy. */
async function discardUnnamed({ store, discard }: CopierParts, batch: readonly WantedBlock[]): Promise<void> {
  const unnamed = batch.map(({ block }) => block).filter((block) => store.get(keys.block(block)) === undefined);
  if (unnamed.length > 0) await discard(unnamed);
}

function* batches(group: GroupId, lacking: readonly Numbered[]): Generator<WantedBlock[]> {
  let batch: WantedBlock[] = [];
  let bytes = 0;
  for (const { number, length } of lacking) {
    if (batch.length > 0 && (batch.length >= orderBlocks || bytes + length > orderBytes)) {
      yield batch;
      batch = [];
      bytes = 0;
    }
    batch.push({ block: { group, number }, length });
    bytes += length;
  }
  if (batch.length > 0) yield batch;
}

function bytesOf(blocks: readonly Numbered[]): number {
  return blocks.reduce((sum, { length }) => sum + length, 0);
}

const noNumbers = (): ReadonlySet<number> => new Set();
