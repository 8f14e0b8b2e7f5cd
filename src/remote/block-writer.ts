/**
 * Writes blocks: under a fresh number of a healthy group, to its first node, which forwards along the chain of the
 * others. What fails is written again under another number, in another group: a number whose write failed is never used
 * again, so no replica can hold other content under it.
 *
 * A node that failed is reported, and left out by all writes for a while (node-pool.ts; a full one here).
 */
import { assert } from "../base/assert.ts";
import { sleep, type Clock } from "../base/clock.ts";
import { FsError } from "../base/errno.ts";
import { blockName, type BlockId, type NodeId } from "../base/ids.ts";
import { limits } from "../base/limits.ts";
import type { Log } from "../base/log.ts";
import type { ClusterMap, ClusterNode, PlacementGroup } from "../protocol/types.ts";
import { BlockNumbers, type NumberedBlock } from "./block-numbers.ts";
import { giveUp } from "./give-up.ts";
import type { NodePool } from "./node-pool.ts";
import type { NodeReports } from "./node-reports.ts";
import { scatteredChecksums } from "./scattered-checksums.ts";
import { UnusedBlocks } from "./unused-blocks.ts";
import type { BlockWriteOptions, BlockWriter, NameServer, WrittenBlock } from "./types.ts";
import { failureOf } from "./write-failure.ts";

export interface BlockWriterOptions {
  readonly nameServer: Pick<NameServer, "change" | "map" | "session">;
  readonly nodes: NodePool;
  readonly reports: NodeReports;
  readonly clock: Clock;
  readonly log: Log;
}

/** One block under way. */
interface Writing {
  readonly pieces: readonly Uint8Array[];
  readonly length: number;
  readonly startedAt: number;
  readonly signal: AbortSignal | undefined;
  readonly numbers: BlockNumbers;
  /** Copies wanted; undefined: as many as the cluster has by default. */
  readonly copies: number | undefined;
  /** Nodes that failed this very write; forgotten when nothing else is left. */
  readonly avoided: Set<NodeId>;
  /** Answers that more attempts will hardly change. */
  refusals: number;
  /** Since when (monotonic) it has met with full nodes. */
  fullSince: number | undefined;
}

const refusalsMax = 3;
const pauseMillis = 200;
const pauseMillisMax = 1_000;
/** Full nodes and nothing else: for so long space may yet come back by reclaim, before a write fails with ENOSPC. */
const reclaimMillis = 2 * limits.reclaimGraceMillis;
/** A full node is tried again when it has told the name server how full it is. */
const fullMillis = 2 * limits.nodeHeartbeatMillis;
/** How long a node may take: a busy disk, and a slow network for what is long. */
const answerMillis = 10_000;
const answerMillisPerMiB = 5_000;

export function createBlockWriter(options: BlockWriterOptions): BlockWriter {
  return new Writer(options);
}

class Writer implements BlockWriter {
  readonly #options: BlockWriterOptions;
  /** By number of copies; undefined: the cluster's default. */
  readonly #numbers = new Map<number | undefined, BlockNumbers>();
  readonly #unused: UnusedBlocks;
  /** Until when (monotonic) a node counts as full. */
  readonly #fullUntil = new Map<NodeId, number>();
  #nodesOf: ClusterMap | undefined;
  #upNodes = new Map<NodeId, ClusterNode>();

  constructor(options: BlockWriterOptions) {
    this.#options = options;
    this.#unused = new UnusedBlocks(options);
  }

  discard(block: BlockId): void {
    this.#unused.add(block);
  }

  async write(pieces: readonly Uint8Array[], options: BlockWriteOptions = {}): Promise<WrittenBlock> {
    const { signal } = options;
    let length = 0;
    for (const piece of pieces) length += piece.length;
    assert(length > 0 && length <= limits.blockBytesMax, `a block of ${String(length)} bytes`);
    const startedAt = this.#options.clock.monotonicMillis();
    const writing: Writing = {
      pieces,
      length,
      startedAt,
      signal,
      numbers: this.#numbersFor(options.replicas),
      copies: options.replicas,
      avoided: new Set(),
      refusals: 0,
      fullSince: undefined,
    };
    for (;;) {
      const numbered = writing.numbers.take((group) => this.#isUsable(group, writing)) ?? (await this.#wait(writing));
      try {
        await this.#send(numbered, writing);
        return { block: numbered.block, epoch: numbered.group.epoch };
      } catch (error) {
        // Some of the nodes may have it.
        this.discard(numbered.block);
        if (signal?.aborted === true) throw error;
        this.#failed(numbered, writing, error as Error);
      }
    }
  }

  #numbersFor(copies: number | undefined): BlockNumbers {
    const replicas = copies === this.#options.nameServer.map.replicas ? undefined : copies;
    let numbers = this.#numbers.get(replicas);
    if (numbers === undefined) {
      numbers = new BlockNumbers({ ...this.#options, replicas });
      this.#numbers.set(replicas, numbers);
    }
    return numbers;
  }

  #send({ block, group }: NumberedBlock, { pieces, length, startedAt, signal }: Writing): Promise<unknown> {
    const { nodes, clock } = this.#options;
    const [first, ...others] = group.nodes as [NodeId, ...NodeId[]];
    const forward = others.map((id) => ({ node: id, address: (this.#upNodes.get(id) as ClusterNode).address }));
    const left = startedAt + limits.blockWriteMillis - clock.monotonicMillis();
    const patience = answerMillis + (length / (1024 * 1024)) * answerMillisPerMiB;
    const request = { block, length, checksums: scatteredChecksums(block, pieces), forward };
    return nodes.call(first, length, "writeBlock", request, {
      payload: pieces,
      deadlineMillis: Math.max(1_000, Math.min(patience, left)),
      ...(signal === undefined ? {} : { signal }),
    });
  }

  /** Draws the consequences of a failed attempt; throws when there is to be no other. */
  #failed({ block, group }: NumberedBlock, writing: Writing, error: Error): void {
    const { nodes, reports, clock, log } = this.#options;
    const now = clock.monotonicMillis();
    const failure = failureOf(error, group.nodes);
    log.warn({ block: blockName(block), ...failure, err: error }, "a block is written again, under another number");
    switch (failure.kind) {
      case "unreachable":
        nodes.suspect(failure.node, error);
        reports.report(failure.node, "unreachable");
        writing.avoided.add(failure.node);
        break;
      case "full":
        this.#fullUntil.set(failure.node, now + fullMillis);
        writing.fullSince ??= now;
        reports.report(failure.node, "full");
        writing.avoided.add(failure.node);
        break;
      case "busy":
        writing.avoided.add(failure.node);
        break;
      case "refused":
        if (++writing.refusals >= refusalsMax) throw error;
        break;
    }
    if (now - writing.startedAt >= limits.blockWriteMillis) throw tooLong(error);
  }

  /** There is no usable number at hand: fetches some, or waits until that makes sense. */
  async #wait(writing: Writing): Promise<NumberedBlock> {
    const { clock } = this.#options;
    const { signal, numbers } = writing;
    const usable = (group: PlacementGroup): boolean => this.#isUsable(group, writing);
    for (let pause = pauseMillis; ; pause = Math.min(2 * pause, pauseMillisMax)) {
      const problem = await this.#refill(writing);
      // Where this write has failed before is better than nowhere.
      const numbered = numbers.take(usable) ?? (writing.avoided.clear(), numbers.take(usable));
      if (numbered !== undefined) return numbered;
      this.#checkPatience(writing, problem);
      await sleep(clock, pause, signal);
      const later = numbers.take(usable);
      if (later !== undefined) return later;
    }
  }

  /** Returns why there may still be no number: EAGAIN. Rejects when that is final. */
  async #refill(writing: Writing): Promise<FsError> {
    const { clock } = this.#options;
    try {
      await giveUp(writing.numbers.refill(this.#nodesToAvoid(writing)), { clock, signal: writing.signal });
      return new FsError("EAGAIN", "no group of storage nodes is healthy");
    } catch (error) {
      if (error instanceof FsError && error.errno === "EAGAIN") return error;
      // ENOSPC: the name server has waited for reclaim already.
      throw error;
    }
  }

  #checkPatience(writing: Writing, problem: FsError): void {
    const now = this.#options.clock.monotonicMillis();
    if (writing.fullSince !== undefined && now - writing.fullSince >= reclaimMillis) {
      throw new FsError("ENOSPC", "the storage nodes are full", { cause: problem });
    }
    if (now - writing.startedAt >= limits.blockWriteMillis) throw tooLong(problem);
  }

  #isUsable(group: PlacementGroup, { avoided, copies }: Writing): boolean {
    const up = this.#up();
    const { replicas, minReplicas = Infinity } = this.#options.nameServer.map;
    if (group.nodes.length < Math.min(copies ?? replicas, minReplicas)) return false;
    return group.nodes.every((id) => up.has(id) && !avoided.has(id) && !this.#isPoor(id));
  }

  #nodesToAvoid({ avoided }: Writing): NodeId[] {
    const { map } = this.#options.nameServer;
    return map.nodes.map(({ id }) => id).filter((id) => avoided.has(id) || this.#isPoor(id));
  }

  #isPoor(id: NodeId): boolean {
    if (this.#options.nodes.isSuspect(id)) return true;
    const until = this.#fullUntil.get(id);
    if (until === undefined) return false;
    if (until > this.#options.clock.monotonicMillis()) return true;
    this.#fullUntil.delete(id);
    return false;
  }

  #up(): Map<NodeId, ClusterNode> {
    const { map } = this.#options.nameServer;
    if (map !== this.#nodesOf) {
      this.#nodesOf = map;
      this.#upNodes = new Map(map.nodes.filter(({ state }) => state === "up").map((node) => [node.id, node]));
    }
    return this.#upNodes;
  }
}

function tooLong(cause: Error): FsError {
  const seconds = String(limits.blockWriteMillis / 1_000);
  return new FsError("EIO", `a block could not be written within ${seconds} s: ${cause.message}`, { cause });
}
