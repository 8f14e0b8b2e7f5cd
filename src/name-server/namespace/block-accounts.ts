/**
 * How often and how much blocks are named, and what inline content takes, collected over one step of an operation and
 * written at its end: a block that loses one extent and gains two costs one change. Invariants after `write`: a block's
 * record counts exactly the extents that name it; without any there is no record, and the block is in the reclaim queue;
 * a pack record is there only beside a block's record.
 */
import { assert } from "../../base/assert.ts";
import type { BlockId, Ino } from "../../base/ids.ts";
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
import { changeInlineSum, inlineTableBytes } from "./inline-sum.ts";

interface Account {
  readonly block: BlockId;
  length: number;
  references: number;
  liveBytes: number;
  owner: Ino | 0;
  /** Before this step. */
  readonly liveBefore: number;
}

/** A block of which less than half is named is worth a new one. */
export function isHalfDead({ length, liveBytes }: { length: number; liveBytes: number }): boolean {
  return liveBytes * 2 < length;
}

export class BlockAccounts {
  readonly #context: OperationContext;
  readonly #accounts = new Map<Key, Account>();
  #inlineBytes = 0;

  constructor(context: OperationContext) {
    this.#context = context;
  }

  /** How many keys `write` will change, about. */
  get keys(): number {
    return this.#accounts.size;
  }

  /** One more extent of `content` names a part of the block, or has inline bytes. */
  add(extent: ExtentRecord, content: Ino): void {
    if (extent.kind === "inline") {
      this.#inlineBytes += inlineTableBytes(extent.length);
      return;
    }
    const account = this.#account(extent.block);
    if (account.references === 0 && account.liveBefore === 0) account.owner = content;
    account.references++;
    account.liveBytes += extent.length;
    account.length = Math.max(account.length, extent.blockOffset + extent.length);
  }

  /** An extent that named a part of it, or had inline bytes, is gone. */
  subtract(extent: ExtentRecord): void {
    if (extent.kind === "inline") {
      this.#inlineBytes -= inlineTableBytes(extent.length);
      return;
    }
    const account = this.#account(extent.block);
    account.references--;
    account.liveBytes -= extent.length;
  }

  /** An extent belongs to another content from now on. */
  moved(extent: ExtentRecord, from: Ino, to: Ino): void {
    if (extent.kind === "inline") return;
    const account = this.#account(extent.block);
    if (account.owner === from) account.owner = to;
  }

  /** The block was put together from several contents: which, its pack record says. */
  hasManyOwners(block: BlockId): void {
    this.#account(block).owner = 0;
  }

  /** Puts the sums into the transaction and starts anew. */
  write(): void {
    const { transaction } = this.#context;
    const free: BlockId[] = [];
    for (const [key, account] of this.#accounts) {
      const { block, references, liveBytes, liveBefore } = account;
      assert(references >= 0 && liveBytes >= 0, "a block is named less than never");
      if (references > 0) {
        transaction.put(key, encodeBlock(account));
        if (liveBytes < liveBefore && isHalfDead(account)) this.#context.noteHalfDead(block, account.owner);
      } else {
        transaction.remove(key);
        const pack = keys.pack(block);
        if (account.owner === 0 && transaction.get(pack) !== undefined) transaction.remove(pack);
        free.push(block);
      }
    }
    this.#accounts.clear();
    queueForDeletion(this.#context, free);
    changeInlineSum(transaction, this.#inlineBytes);
    this.#inlineBytes = 0;
  }

  #account(block: BlockId): Account {
    const key = keys.block(block);
    let account = this.#accounts.get(key);
    if (account === undefined) {
      const value = this.#context.transaction.get(key);
      const found =
        value === undefined ? { length: 0, references: 0, liveBytes: 0, owner: 0 as const } : decodeBlock(value);
      account = { block, ...found, liveBefore: found.liveBytes };
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
