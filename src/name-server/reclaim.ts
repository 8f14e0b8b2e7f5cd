/**
 * Brings space back, in the background: lets the namespace take detached contents apart, and has blocks that nothing
 * names deleted from their nodes once their grace time is over (at once when space is short).
 *
 * Invariants: an order to delete goes out only when the decision is durable and nothing names the block; an entry
 * leaves the queue only when every member of every group in it has answered (a node that is down: when it has come
 * back); one pass at a time, in transactions small enough that requests do not notice.
 */
import { sleep, type Clock } from "../base/clock.ts";
import { blockName, type BlockId, type NodeId } from "../base/ids.ts";
import { limits } from "../base/limits.ts";
import type { Log } from "../base/log.ts";
import { keys } from "../metadata-store/keys.ts";
import type { MetadataStore } from "../metadata-store/types.ts";
import type { ClusterMaps } from "./cluster-map.ts";
import type { Execution } from "./execution.ts";
import {
  type OperationContext,
  blocksDeleted,
  dueBlocks,
  reclaimStep,
  type DueBlocks,
  type ReclaimPlace,
  type Transaction,
} from "./namespace/index.ts";
import type { Nodes } from "./nodes.ts";
import type { StorageNode } from "./storage-node.ts";
import type { Rewriting } from "./rewrite/rewriting.ts";

export interface Reclaim {
  /** Something may have become due: twice a second. */
  tick(): void;
  /** A node registered: it may be asked for what it missed. */
  nodeRegistered(): void;
  /** Deletes without grace until `hasRoom`, as long as that may still help. Resolves in any case. */
  makeRoom(hasRoom: () => boolean): Promise<void>;
  /** Blocks that wait to be deleted (counted up to a bound). */
  readonly queuedBlocks: number;
  close(): Promise<void>;
}

/** Extents dereferenced in one transaction. */
const stepExtents = 256;
/** Blocks looked at in one round of orders. */
const roundBlocks = 4_096;
const retryMillis = 5_000;
/** Who runs out of space waits so long at most for deletions, and for the nodes to compact what they deleted... */
const makeRoomMillis = 20_000;
/** ...which they do within this time of a deletion, if it helps at all. */
const compactMillis = 10_000;
const pollMillis = 250;
/** Entries of which it is remembered who has answered; of others everybody is asked again, which is harmless. */
const rememberedMax = 65_536;
const countedMax = 100_000;

export function createReclaim(parts: {
  store: MetadataStore;
  execution: Execution;
  clock: Clock;
  log: Log;
  nodes: Nodes;
  maps: ClusterMaps;
  graceMillis: number;
  /** What may free more than is queued by now. */
  rewriting: () => Pick<Rewriting, "urge" | "isBusy">;
  makeContext: (transaction: Transaction) => OperationContext;
}): Reclaim {
  const { store, execution, clock, log, nodes, maps, makeContext } = parts;
  const graceNanos = BigInt(parts.graceMillis) * 1_000_000n;
  const stopping = new AbortController();
  /** Entries that wait for a node: who has answered already. */
  const answered = new Map<number, Set<NodeId>>();
  /** Where in the queue the entries begin that have not been tried yet; set back to try all again. */
  let from = 0;
  let again = false;
  let retryAt = Infinity;
  let urgent = 0;
  let running: Promise<void> | undefined;
  let lastDeletedAt = -Infinity;

  async function pass(): Promise<void> {
    let place: ReclaimPlace | undefined;
    do {
      const after = place;
      place = await execution.change((transaction) => reclaimStep(makeContext(transaction), stepExtents, after));
    } while (place !== undefined && !stopping.signal.aborted);
    if (clock.monotonicMillis() >= retryAt) {
      again = true;
      retryAt = Infinity;
    }
    while (!stopping.signal.aborted) {
      if (again) from = 0;
      again = false;
      const freedBefore = urgent > 0 ? endOfTime : clock.wallNanos() - graceNanos;
      const due = dueBlocks(store, freedBefore, roundBlocks, from);
      const last = due.at(-1);
      if (last === undefined) return;
      // What is due may have been decided a moment ago.
      await execution.whenDurable(() => undefined);
      await order(due);
      from = last.sequence + 1;
    }
  }

  /** Has all nodes delete what is theirs of these entries, and strikes out what is gone everywhere. */
  async function order(due: readonly DueBlocks[]): Promise<void> {
    const safe = due.filter(isUnnamed);
    await Promise.all(nodes.all().map((node) => orderNode(node, safe)));
    const done = safe.filter((entry) => membersOf(entry).every((id) => answered.get(entry.sequence)?.has(id)));
    if (done.length === 0) return;
    lastDeletedAt = clock.monotonicMillis();
    const sequences = done.map(({ sequence }) => sequence);
    await execution.change((transaction) => {
      blocksDeleted(transaction, sequences);
    });
    for (const sequence of sequences) answered.delete(sequence);
  }

  async function orderNode(node: StorageNode, due: readonly DueBlocks[]): Promise<void> {
    const { peer } = node;
    if (peer === undefined) return;
    const mine = due.filter((entry) => answered.get(entry.sequence)?.has(node.id) !== true && concerns(entry, node.id));
    const blocks = mine.flatMap((entry) =>
      entry.blocks.filter(({ group }) => maps.group(group)?.nodes.includes(node.id)),
    );
    try {
      for (let at = 0; at < blocks.length; at += deleteBatch) {
        await peer.call("deleteBlocks", { epoch: store.epoch, blocks: blocks.slice(at, at + deleteBatch) });
      }
      nodes.heardFrom(node);
      for (const { sequence } of mine) remember(sequence, node.id);
    } catch (error) {
      retryAt = Math.min(retryAt, clock.monotonicMillis() + retryMillis);
      log.warn(
        { node: node.id, blocks: blocks.length, problem: String(error) },
        "blocks were not deleted, trying again",
      );
    }
  }

  function remember(sequence: number, node: NodeId): void {
    const known = answered.get(sequence);
    if (known !== undefined) known.add(node);
    else {
      const oldest = answered.size >= rememberedMax ? answered.keys().next().value : undefined;
      if (oldest !== undefined) answered.delete(oldest);
      answered.set(sequence, new Set([node]));
    }
  }

  function concerns(entry: DueBlocks, node: NodeId): boolean {
    return entry.blocks.some(({ group }) => maps.group(group)?.nodes.includes(node));
  }

  function membersOf(entry: DueBlocks): NodeId[] {
    const members = new Set<NodeId>();
    for (const { group } of entry.blocks) for (const id of maps.group(group)?.nodes ?? []) members.add(id);
    return [...members];
  }

  /** The last safeguard before something irrevocable: such an entry stays, and somebody has to look. */
  function isUnnamed(entry: DueBlocks): boolean {
    const named = entry.blocks.find((block: BlockId) => store.get(keys.block(block)) !== undefined);
    if (named !== undefined)
      log.error({ block: blockName(named) }, "a block that is to be deleted is still named: it stays");
    return named === undefined;
  }

  function run(): Promise<void> {
    running ??= pass()
      .catch((error: unknown) => {
        log.error({ err: error }, "reclaim failed, trying again");
        retryAt = clock.monotonicMillis() + retryMillis;
      })
      .finally(() => {
        running = undefined;
      });
    return running;
  }

  async function makeRoomNow(hasRoom: () => boolean): Promise<void> {
    const until = clock.monotonicMillis() + makeRoomMillis;
    parts.rewriting().urge();
    for (;;) {
      await run();
      await run();
      await Promise.all(
        nodes
          .all()
          .filter(({ peer }) => peer !== undefined)
          .map((node) => nodes.check(node)),
      );
      const now = clock.monotonicMillis();
      if (hasRoom() || now >= until || stopping.signal.aborted) return;
      const mayHelp = countQueued(1) > 0 || parts.rewriting().isBusy || now - lastDeletedAt < compactMillis;
      if (!mayHelp) return;
      await sleep(clock, pollMillis, stopping.signal).catch(() => undefined);
    }
  }

  function countQueued(most: number): number {
    let count = 0;
    for (let next = 0; count < most;) {
      const entries = dueBlocks(store, endOfTime, roundBlocks, next);
      const last = entries.at(-1);
      if (last === undefined) break;
      for (const { blocks } of entries) count += blocks.length;
      next = last.sequence + 1;
    }
    return count;
  }

  return {
    tick() {
      void run();
    },
    nodeRegistered() {
      again = true;
    },
    async makeRoom(hasRoom) {
      urgent++;
      try {
        await makeRoomNow(hasRoom);
      } finally {
        urgent--;
      }
    },
    get queuedBlocks() {
      return countQueued(countedMax);
    },
    async close() {
      stopping.abort();
      await running;
    },
  };
}

const deleteBatch = Math.min(limits.transactionKeysMax, roundBlocks);
const endOfTime = 2n ** 63n - 1n;
