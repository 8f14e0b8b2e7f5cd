/**
 * The right of a session to name blocks: of its own ranges, each number once for ever, under the epoch that its group
 * has now. Marks are collected over one step and written at its end; a range with no number left is removed.
 */
import { FsError } from "../../base/errno.ts";
import { blockName, type BlockId, type GroupId, type SessionId } from "../../base/ids.ts";
import { blockOfKey, keys } from "../../metadata-store/keys.ts";
import {
  decodeGroupEpoch,
  decodeRange,
  encodeRange,
  isExhausted,
  isNamed,
  type RangeRecord,
} from "../../metadata-store/records.ts";
import type { Key } from "../../metadata-store/types.ts";
import type { Extent } from "../../protocol/types.ts";
import type { Transaction } from "./transaction.ts";

interface OpenRange {
  readonly key: Key;
  readonly first: BlockId;
  readonly range: RangeRecord;
  changed: boolean;
}

export interface WrittenUnder {
  readonly group: GroupId;
  readonly epoch: number;
}

/** ESTALE: written under an epoch that has passed. EINVAL: no epoch is given for an extent's group. */
export function requireEpochs(
  transaction: Transaction,
  extents: readonly Extent[],
  epochs: readonly WrittenUnder[],
): void {
  const given = new Map<GroupId, number>();
  for (const { group, epoch } of epochs) given.set(group, epoch);
  const checked = new Set<GroupId>();
  for (const extent of extents) {
    if (extent.kind !== "block" || checked.has(extent.block.group)) continue;
    const { group } = extent.block;
    const epoch = given.get(group);
    if (epoch === undefined) throw new FsError("EINVAL", `no epoch for group ${String(group)}`);
    const record = transaction.get(keys.group(group));
    if (record === undefined) throw new FsError("EINVAL", `there is no group ${String(group)}`);
    const current = decodeGroupEpoch(record);
    if (epoch !== current) {
      throw new FsError("ESTALE", `group ${String(group)} has epoch ${String(current)}, not ${String(epoch)}`);
    }
    checked.add(group);
  }
}

export class BlockClaims {
  readonly #transaction: Transaction;
  readonly #session: SessionId;
  readonly #ranges: OpenRange[] = [];
  /** What this operation has claimed: it may name more parts of the same block. */
  readonly #claimed = new Set<Key>();

  constructor(transaction: Transaction, session: SessionId) {
    this.#transaction = transaction;
    this.#session = session;
  }

  /** How many keys `write` will change, at most. */
  get keys(): number {
    return this.#ranges.length;
  }

  /** True: the block may be named from now on, by this operation only. False: the session had named it before. EINVAL. */
  claim(block: BlockId): boolean {
    const key = keys.block(block);
    if (this.#claimed.has(key)) return true;
    const open = this.#rangeOf(block);
    const index = block.number - open.first.number;
    open.changed = true;
    if (isNamed(open.range, index)) return false;
    const { named } = open.range;
    named.writeUInt8(named.readUInt8(index >>> 3) | (1 << (index & 7)), index >>> 3);
    this.#claimed.add(key);
    return true;
  }

  /** Puts the marks into the transaction. A range without a number left stays until the operation is at its end. */
  write(atEnd: boolean): void {
    for (const open of this.#ranges) {
      if (!open.changed) continue;
      if (!atEnd || !isExhausted(open.range)) this.#transaction.put(open.key, encodeRange(open.range));
      else this.#transaction.remove(open.key);
    }
  }

  #rangeOf(block: BlockId): OpenRange {
    const { group, number } = block;
    for (const open of this.#ranges) {
      const { first, range } = open;
      if (first.group === group && number >= first.number && number < first.number + range.count) return open;
    }
    const bounds = { gte: keys.range(group, 0), lt: keys.range(group, number) + "\0", reverse: true, limit: 1 };
    for (const [key, value] of this.#transaction.range(bounds)) {
      const range = decodeRange(value);
      const first = blockOfKey(key);
      if (range.session !== this.#session || number >= first.number + range.count) break;
      const open = { key, first, range, changed: false };
      this.#ranges.push(open);
      return open;
    }
    throw new FsError("EINVAL", `block ${blockName(block)} is of no range of session ${this.#session}`);
  }
}
