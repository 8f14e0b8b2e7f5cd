/**
 * What a storage node answers: blocks to clients and other nodes; deletions, copies and lists to the name server.
 *
 * A block is verified when it arrives, before anything is done with it. Memory is bounded: writes that are not durable
 * yet share one budget; replies of reads that are not sent yet have one for each connection, so that a client that
 * does not read holds up nobody else.
 */
import type { BufferPool } from "../base/buffer-pool.ts";
import { blockChecksums, firstBadUnit, unitCount } from "../base/checksum.ts";
import { FsError } from "../base/errno.ts";
import { blockName } from "../base/ids.ts";
import { limits } from "../base/limits.ts";
import type { Log } from "../base/log.ts";
import type { NodeIdentity } from "../block-store/identity.ts";
import type { BlockStore } from "../block-store/types.ts";
import type { StorageNodeMethods } from "../protocol/storage-node.ts";
import { WithPayload, type Handlers, type MethodTable, type ReplyOf, type RequestOf } from "../rpc/types.ts";
import { ByteBudget } from "./byte-budget.ts";
import { composeContent } from "./compose.ts";
import { copyBlocks } from "./copying.ts";
import type { ChainMember, Neighbours } from "./neighbours.ts";
import { scrubHandlers } from "./scrub-handlers.ts";
import type { Scrub } from "./scrub.ts";

type Request<M extends keyof StorageNodeMethods> = RequestOf<StorageNodeMethods, M>;
type Reply<M extends keyof StorageNodeMethods> = ReplyOf<StorageNodeMethods, M>;

export interface BlockServiceParts {
  readonly store: BlockStore;
  readonly identity: NodeIdentity;
  readonly neighbours: Neighbours;
  readonly pool: BufferPool;
  readonly log: Log;
  readonly scrub?: Scrub | undefined;
}

export class BlockService {
  readonly #parts: BlockServiceParts;
  readonly #writes = new ByteBudget({
    bytesMax: limits.blockWriteBytesMax,
    waitingBytesMax: limits.blockWriteWaitingBytesMax,
  });
  readonly #reads = new WeakMap<object, ByteBudget>();
  /** Requests of clients, ever. */
  #foreground = 0;

  constructor(parts: BlockServiceParts) {
    this.#parts = parts;
  }

  /** How many requests of clients were served, ever. */
  get foreground(): number {
    return this.#foreground;
  }

  /** For whoever connects here. */
  get handlers(): Handlers<StorageNodeMethods, MethodTable> {
    const ordersOnly = (): never => {
      throw new FsError(
        "EPERM",
        "blocks are deleted, copied, composed and listed by order of the name server only, on the node's own connection to it",
      );
    };
    return {
      ...this.nameServerHandlers,
      deleteBlocks: ordersOnly,
      copyBlocks: ordersOnly,
      listBlocks: ordersOnly,
      composeBlock: ordersOnly,
      checkBlocks: ordersOnly,
      scrubNow: ordersOnly,
    };
  }

  /** For the connection that this node opened to its name server. */
  get nameServerHandlers(): Handlers<StorageNodeMethods, MethodTable> {
    return {
      writeBlock: async (request, { payload, peer }) => {
        if (peer.remote.role === "client") this.#foreground++;
        try {
          if (request.replaces === true && peer.remote.role !== "storage-node")
            throw new FsError("EPERM", "only for blocks that the name server has ordered");
          return await this.#writeBlock(request, payload.bytes);
        } finally {
          payload.release();
        }
      },
      readBlock: (request, { peer }) => {
        if (peer.remote.role === "client") this.#foreground++;
        return this.#readBlock(request, peer);
      },
      deleteBlocks: (request) => this.#deleteBlocks(request),
      copyBlocks: (request) => this.#copyBlocks(request),
      listBlocks: (request) => this.#listBlocks(request),
      composeBlock: async (request, { payload }) => {
        try {
          return await this.#composeBlock(request, payload.bytes);
        } finally {
          payload.release();
        }
      },
      ...scrubHandlers({ identity: this.#parts.identity, scrub: this.#parts.scrub }),
      nodeStatus: () => this.#status(),
    };
  }

  async #writeBlock(request: Request<"writeBlock">, bytes: Buffer): Promise<Reply<"writeBlock">> {
    const { block, length, checksums, forward, replaces } = request;
    if (bytes.length !== length || checksums.length !== 4 * unitCount(length)) {
      throw new FsError(
        "EINVAL",
        `block ${blockName(block)}: the sizes of payload and checksums do not fit its length`,
      );
    }
    const { identity } = this.#parts;
    if (identity.cluster === null) throw new FsError("EAGAIN", `node ${identity.node} has not joined its cluster yet`);
    const waiting = this.#writes.take(length);
    if (waiting !== undefined) await waiting;
    try {
      const bad = firstBadUnit(block, bytes, checksums);
      if (bad !== -1)
        throw new FsError("EBADMSG", `block ${blockName(block)}: unit ${String(bad)} was damaged on its way`);
      await this.#keep({ block, length, checksums, ...only(replaces) }, bytes, forward);
      return {};
    } finally {
      this.#writes.give(length);
    }
  }

  /** Here and at all of `forward`. Borrows the bytes. */
  async #keep(
    write: Omit<Request<"writeBlock">, "forward">,
    bytes: Buffer,
    forward: readonly ChainMember[],
  ): Promise<void> {
    const { store, neighbours } = this.#parts;
    const own = store.put(write.block, bytes, write.checksums, only(write.replaces));
    if (forward.length === 0) {
      await own;
      return;
    }
    const others = neighbours.forward(forward, write, bytes);
    // Both borrow the bytes: neither may be left behind.
    for (const result of await Promise.allSettled([own, others])) {
      if (result.status === "rejected") throw result.reason as Error;
    }
  }

  async #composeBlock(request: Request<"composeBlock">, inline: Buffer): Promise<Reply<"composeBlock">> {
    const { block, length, forward, replaces } = request;
    const { identity, pool } = this.#parts;
    await identity.obey(request.epoch);
    // What is read for it takes as much again at most.
    const budget = length + limits.blockBytesMax;
    const waiting = this.#writes.take(budget);
    if (waiting !== undefined) await waiting;
    let bytes: Buffer | undefined;
    try {
      bytes = await composeContent(this.#parts, request, inline);
      await this.#keep({ block, length, checksums: blockChecksums(block, bytes), ...only(replaces) }, bytes, forward);
      return {};
    } finally {
      if (bytes !== undefined) pool.give(bytes);
      this.#writes.give(budget);
    }
  }

  async #readBlock(
    { block, offset, length }: Request<"readBlock">,
    peer: object,
  ): Promise<WithPayload<Reply<"readBlock">>> {
    const { store, pool } = this.#parts;
    const budget = this.#budgetOf(peer);
    const waiting = budget.take(length);
    if (waiting !== undefined) await waiting;
    let taken: Buffer | undefined;
    const release = (): void => {
      if (taken !== undefined) pool.give(taken);
      budget.give(length);
    };
    try {
      const { start, bytes, checksums } = await store.get(block, offset, length, (size) => {
        taken = pool.take(size);
        return taken;
      });
      return new WithPayload({ start, checksums }, [bytes], release);
    } catch (error) {
      release();
      throw error;
    }
  }

  async #deleteBlocks({ epoch, blocks }: Request<"deleteBlocks">): Promise<Reply<"deleteBlocks">> {
    await this.#parts.identity.obey(epoch);
    await this.#parts.store.remove(blocks);
    return {};
  }

  async #copyBlocks(request: Request<"copyBlocks">): Promise<Reply<"copyBlocks">> {
    const { store, identity, neighbours, log } = this.#parts;
    await identity.obey(request.epoch);
    const before = this.#foreground;
    const done = await copyBlocks({ store, neighbours, log, memory: this.#writes }, request);
    return { ...done, foreground: this.#foreground - before };
  }

  async #listBlocks({ epoch, group, first, limit }: Request<"listBlocks">): Promise<Reply<"listBlocks">> {
    await this.#parts.identity.obey(epoch);
    const listed = this.#parts.store.list(group, first, limit);
    return { blocks: listed.map(({ block, length }) => ({ number: block.number, length })) };
  }

  #status(): Reply<"nodeStatus"> {
    const { store, identity } = this.#parts;
    const { capacityBytes, usedBytes, freeBytes } = store.space();
    return { node: identity.node, cluster: identity.cluster, capacityBytes, usedBytes, freeBytes, ...store.statistics };
  }

  #budgetOf(peer: object): ByteBudget {
    let budget = this.#reads.get(peer);
    if (budget === undefined) {
      budget = new ByteBudget({ bytesMax: limits.blockReadBytesMax, waitingBytesMax: Infinity });
      this.#reads.set(peer, budget);
    }
    return budget;
  }
}

/** What is said only where it is so. */
function only(replaces: boolean | undefined): { replaces?: true } {
  return replaces === true ? { replaces } : {};
}
