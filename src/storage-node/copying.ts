/**
 * Blocks that this node pulls from others by order of the name server: into a group that it joined, or in the place of a
 * copy that is damaged or missing. Every unit is verified before it is stored. What the order names twice, or is here
 * already, does no harm.
 */
import { firstBadUnit, unitCount } from "../base/checksum.ts";
import { errnoOf, FsError } from "../base/errno.ts";
import { blockName, type BlockId, type NodeId } from "../base/ids.ts";
import { limits } from "../base/limits.ts";
import type { Log } from "../base/log.ts";
import type { BlockStore } from "../block-store/types.ts";
import type { CopyProblem } from "../protocol/copy-methods.ts";
import type { StorageNodeMethods } from "../protocol/storage-node.ts";
import type { Payload, ReplyOf, RequestOf } from "../rpc/types.ts";
import type { ByteBudget } from "./byte-budget.ts";
import type { ChainMember, Neighbours } from "./neighbours.ts";

type Order = RequestOf<StorageNodeMethods, "copyBlocks">;
type Done = ReplyOf<StorageNodeMethods, "copyBlocks">;
type Wanted = Order["blocks"][number];

export interface CopyingParts {
  readonly store: BlockStore;
  readonly neighbours: Neighbours;
  /** Shared with the writes of clients. */
  readonly memory: ByteBudget;
  readonly log: Log;
}

/** Blocks that one order pulls at a time. */
const atOnce = 2;
/** How long a source may take for one block. */
const readMillis = 10_000;

/** Does not reject for what happens to a single block. */
export async function copyBlocks(parts: CopyingParts, { blocks, sources }: Order): Promise<Omit<Done, "foreground">> {
  const copied: BlockId[] = [];
  const failed: Done["failed"] = [];
  const unreachable = new Set<NodeId>();
  const left = [...blocks].reverse();
  let isFull = false;
  const work = async (): Promise<void> => {
    for (let next = left.pop(); next !== undefined; next = left.pop()) {
      const problem = isFull ? "full" : await copyOne(parts, next, sources, unreachable);
      if (problem === undefined) copied.push(next.block);
      else failed.push({ block: next.block, problem });
      isFull ||= problem === "full";
    }
  };
  await Promise.all(Array.from({ length: atOnce }, work));
  return { copied, failed };
}

/** Returns what was in the way, or undefined. */
async function copyOne(
  parts: CopyingParts,
  wanted: Wanted,
  sources: readonly ChainMember[],
  unreachable: Set<NodeId>,
): Promise<CopyProblem | undefined> {
  if (await isWhole(parts.store, wanted)) return undefined;
  let verdict: CopyProblem = "missing";
  for (const source of sources) {
    if (unreachable.has(source.node)) {
      verdict = "unreachable";
      continue;
    }
    const memory = parts.memory.take(limits.blockBytesMax);
    if (memory !== undefined) await memory;
    try {
      await pull(parts, wanted, source);
      return undefined;
    } catch (error) {
      const problem = problemOf(error);
      parts.log.warn(
        { block: blockName(wanted.block), from: source.node, problem, err: error },
        "a block could not be copied",
      );
      if (problem === "full" || problem === "refused") return problem;
      if (problem === "unreachable") unreachable.add(source.node);
      if (verdict !== "unreachable" && problem !== "missing") verdict = problem;
    } finally {
      parts.memory.give(limits.blockBytesMax);
    }
  }
  return verdict;
}

async function isWhole(store: BlockStore, { block, length }: Wanted): Promise<boolean> {
  const [stored] = store.list(block.group, block.number, 1);
  if (stored?.block.number !== block.number || stored.length < length) return false;
  return (await store.verify(block)) === "whole";
}

/** Why a copy failed, thrown from where that is known. */
class CopyFailure extends Error {
  readonly problem: CopyProblem;

  constructor(problem: CopyProblem, cause: unknown) {
    super(problem, { cause });
    this.problem = problem;
  }
}

async function pull(
  { store, neighbours }: CopyingParts,
  { block, length }: Wanted,
  source: ChainMember,
): Promise<void> {
  let payload: Payload | undefined;
  try {
    const request = { block, offset: 0, length: limits.blockBytesMax };
    const answer = await neighbours
      .ask(source, (peer) => peer.call("readBlock", request, { deadlineMillis: readMillis }))
      .catch((error: unknown) => {
        throw new CopyFailure(sourceProblem(error), error);
      });
    ({ payload } = answer);
    const { bytes } = payload;
    const { start, checksums } = answer.reply;
    const isCut = start !== 0 || bytes.length < length || checksums.length !== 4 * unitCount(bytes.length);
    if (isCut || firstBadUnit(block, bytes, checksums) !== -1) {
      throw new CopyFailure("damaged", new FsError("EBADMSG", `block ${blockName(block)} from ${source.node}`));
    }
    await store.put(block, bytes, checksums);
  } finally {
    payload?.release();
  }
}

/** What the error of a call to a source says of its copy. */
function sourceProblem(error: unknown): CopyProblem {
  const errno = errnoOf(error);
  if (errno === "ENOENT") return "missing";
  return errno === "EIO" || errno === "EINVAL" ? "damaged" : "unreachable";
}

function problemOf(error: unknown): CopyProblem {
  if (error instanceof CopyFailure) return error.problem;
  return errnoOf(error) === "ENOSPC" ? "full" : "refused";
}
