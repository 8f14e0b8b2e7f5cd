/**
 * How often and how much blocks are named, collected over one step of an operation and written at its end: a block that
 * loses one extent and gains two costs one change. Invariant after `write`: a block's record counts exactly the extents
 * that name it; without any there is no record, and the block is in the reclaim queue.
 */
import { assert } from "../../base/assert.ts";
import type { BlockId } from "../../base/ids.ts";
import { keys } from "../../metadata-store/keys.ts";
import {
  decodeBlock,
  encodeBlock,
  encodeReclaim,
  reclaimBlocksMax,
  type ExtentRecord,
} from "../../metadata-store/records.ts";
import type { Key } from "../../metadata-store/types.ts";
import type { OperationContext } from "./context.ts";

interface Account {
  readonly block: BlockId;
  length: number;
  references: number;
  liveBytes: number;
}

export class BlockAccounts {
  readonly #context: OperationContext;
  readonly #accounts = new Map<Key, Account>();

  constructor(context: OperationContext) {
    this.#context = context;
  }

  /** How many keys `write` will change, about. */
  get keys(): number {
    return this.#accounts.size;
  }

  /** One more extent names a part of the block. */
  add(extent: ExtentRecord): void {
    if (extent.kind === "inline") return;
    const account = this.#account(extent.block);
    account.references++;
    account.liveBytes += extent.length;
    account.length = Math.max(account.length, extent.blockOffset + extent.length);
  }

  /** An extent that named a part of it is gone. */
  subtract(extent: ExtentRecord): void {
    if (extent.kind === "inline") return;
    const account = this.#account(extent.block);
    account.references--;
    account.liveBytes -= extent.length;
  }

  /** Puts the sums into the transaction and starts anew. */
  write(): void {
    const { transaction } = this.#context;
    const free: BlockId[] = [];
    for (const [key, { block, length, references, liveBytes }] of this.#accounts) {
      assert(references >= 0 && liveBytes >= 0, "a block is named less than never");
      if (references > 0) transaction.put(key, encodeBlock({ length, references, liveBytes }));
      else {
        transaction.remove(key);
        free.push(block);
      }
    }
    this.#accounts.clear();
    queueForDeletion(this.#context, free);
  }

  #account(block: BlockId): Account {
    const key = keys.block(block);
    let account = this.#accounts.get(key);
    if (account === undefined) {
      const value = this.#context.transaction.get(key);
      const found = value === undefined ? { length: 0, references: 0, liveBytes: 0 } : decodeBlock(value);
      account = { block, ...found };
      this.#accounts.set(key, account);
    }
    return account;
  }
}

/** Nothing names these blocks any more, and never will again. */
export function queueForDeletion(context: OperationContext, blocks: readonly BlockId[]): void {
  for (let from = 0; from < blocks.length; from += reclaimBlocksMax) {
    const piece = blocks.slice(from, from + reclaimBlocksMax);
    const record = encodeReclaim({ kind: "blocks", freed: context.nowNanos, blocks: piece });
    context.transaction.put(keys.reclaim(context.allocator.reclaimSequence()), record);
  }
}
