/**
 * Single copies that are said to be damaged or missing: the node has its own copy verified, and replaced by a good one of
 * another member. Kept in memory: a report that is lost with the server comes again with the next read or scrub.
 */
import type { Clock } from "../../base/clock.ts";
import { blockName, type BlockId, type NodeId } from "../../base/ids.ts";
import { limits } from "../../base/limits.ts";
import type { Log } from "../../base/log.ts";
import { keys } from "../../metadata-store/keys.ts";
import { decodeBlock } from "../../metadata-store/records.ts";
import { areAllUp, sourcesOf, type CopierParts } from "./copier.ts";

export interface Suspects {
  /** `from`: a node that is no member (any more) and is known to have it. */
  add(node: NodeId, block: BlockId, from?: NodeId): void;
  /** No member has it undamaged. */
  addLost(block: BlockId): void;
  /** Somebody came back who may have what was lost: looked for again, and from now on over `node` too. */
  nodeRegistered(node: NodeId): void;
  /** Looks at what is due. */
  tick(signal: AbortSignal): Promise<void>;
  readonly waiting: number;
  /** Copies that were replaced or found undamaged, since the start. */
  readonly settled: number;
  readonly lost: readonly BlockId[];
}

interface Suspect {
  readonly node: NodeId;
  readonly block: BlockId;
  from: NodeId | undefined;
  failures: number;
  dueAt: number;
}

const retryMillis = 2_000;
const retryMillisMax = 60_000;
/** Looked at in one tick. */
const perTick = 64;

export function createSuspects(
  parts: Pick<CopierParts, "store" | "maps" | "nodes" | "orders" | "pace"> & { clock: Clock; log: Log },
): Suspects {
  const { store, maps, nodes, orders, pace, clock, log } = parts;
  const waiting = new Map<string, Suspect>();
  const lost = new Map<string, BlockId>();
  let settled = 0;

  function isNamed(block: BlockId): boolean {
    return store.get(keys.block(block)) !== undefined;
  }

  function add(node: NodeId, block: BlockId, from?: NodeId): void {
    if (maps.group(block.group)?.nodes.includes(node) !== true) return;
    const name = `${node} ${blockName(block)}`;
    const known = waiting.get(name);
    if (known !== undefined) known.from ??= from;
    else if (waiting.size < limits.suspectsMax) {
      waiting.set(name, { node, block, from, failures: 0, dueAt: clock.monotonicMillis() });
    }
  }

  function addLost(block: BlockId): void {
    const name = blockName(block);
    if (lost.has(name)) return;
    const group = maps.group(block.group);
    log.error({ block: name, nodes: group?.nodes }, "a block is lost: no storage node has an undamaged copy");
    if (lost.size < limits.suspectsMax) lost.set(name, block);
  }

  /** Returns whether it is done with. */
  async function look(suspect: Suspect, signal: AbortSignal): Promise<boolean> {
    const { node, block } = suspect;
    const value = store.get(keys.block(block));
    const isMember = maps.group(block.group)?.nodes.includes(node) === true;
    if (value === undefined || !isMember) return true;
    if (nodes.get(node)?.state !== "up") return false;
    const { length } = decodeBlock(value);
    const beside = suspect.from === undefined ? undefined : nodes.get(suspect.from);
    const sources = sourcesOf(parts, block.group, node);
    if (beside?.state === "up" && !sources.includes(beside)) sources.push(beside);
    let isDone = false;
    await pace.paced(async () => {
      const { failed, foreground } = await orders.copy(node, [{ block, length }], sources);
      const problem = failed[0]?.problem;
      if (problem === undefined) {
        isDone = true;
        settled++;
        lost.delete(blockName(block));
        log.info({ node, block: blockName(block) }, "a suspected copy is right again");
      } else if ((problem === "missing" || problem === "damaged") && areAllUp(parts, block.group, node)) {
        isDone = true;
        if (isNamed(block)) addLost(block);
      }
      return foreground;
    }, signal);
    return isDone;
  }

  return {
    add,
    addLost,

    nodeRegistered(node) {
      for (const [name, block] of lost) {
        const members = maps.group(block.group)?.nodes ?? [];
        if (!isNamed(block)) lost.delete(name);
        else if (members.includes(node)) for (const member of members) add(member, block);
        else for (const member of members) add(member, block, node);
      }
      const now = clock.monotonicMillis();
      for (const suspect of waiting.values()) suspect.dueAt = now;
    },

    async tick(signal) {
      const now = clock.monotonicMillis();
      let looked = 0;
      for (const [name, suspect] of waiting) {
        if (signal.aborted || looked >= perTick) return;
        if (suspect.dueAt > now) continue;
        looked++;
        let isDone = false;
        try {
          isDone = await look(suspect, signal);
        } catch (error) {
          log.warn({ node: suspect.node, block: blockName(suspect.block), err: error }, "a copy could not be verified");
        }
        if (isDone) waiting.delete(name);
        else {
          const pause = Math.min(retryMillis * 2 ** Math.min(suspect.failures++, 10), retryMillisMax);
          suspect.dueAt = clock.monotonicMillis() + pause;
        }
      }
    },

    get waiting() {
      return waiting.size;
    },
    get settled() {
      return settled;
    },
    get lost() {
      for (const [name, block] of lost) if (!isNamed(block)) lost.delete(name);
      return [...lost.values()];
    },
  };
}
