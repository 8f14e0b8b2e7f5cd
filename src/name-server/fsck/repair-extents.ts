/**
 * Repairs of extents that contradict each other or have lost their bytes. Nothing that can still be read is lost; what cannot
 * becomes a hole. Sums of inodes and accounts of blocks are made right by the next round.
 */
import type { Ino } from "../../base/ids.ts";
import { keys } from "../../metadata-store/keys.ts";
import {
  decodeBlock,
  decodeExtent,
  encodeBlock,
  encodeExtent,
  type ExtentRecord,
} from "../../metadata-store/records.ts";
import { endOf, extentBefore } from "../namespace/content.ts";
import type { Transaction } from "../namespace/index.ts";
import { changeTime, writeInode } from "../namespace/inodes.ts";
import { inodeOf, ownsContent } from "./records.ts";
import type { Repair } from "./types.ts";

/** The later one stays whole, as it was written last or is as good; of the one before it what lies on either side. */
export function cutOverlapped(ino: Ino, content: Ino, offset: number): Repair {
  return ofExtent("the one before it was cut", { ino, content, offset }, (transaction, later) => {
    const before = extentBefore(transaction, content, offset);
    if (before === undefined || endOf(before) <= offset) return false;
    const { record } = before;
    const bytes = record.kind === "inline" ? transaction.get(keys.inline(content, before.offset)) : undefined;
    if (record.kind === "inline" && bytes?.length !== record.length) return false;
    const whole = bytes === undefined ? undefined : Buffer.from(bytes);
    const put = (from: number, to: number): void => {
      const skip = from - before.offset;
      const length = to - from;
      if (record.kind === "inline") {
        transaction.put(keys.inline(content, from), whole?.subarray(skip, skip + length) ?? Buffer.alloc(0));
        transaction.put(keys.extent(content, from), encodeExtent({ kind: "inline", length }));
      } else {
        const blockOffset = record.blockOffset + skip;
        transaction.put(keys.extent(content, from), encodeExtent({ ...record, length, blockOffset }));
      }
    };
    put(before.offset, offset);
    const end = offset + later.length;
    if (endOf(before) > end && transaction.get(keys.extent(content, end)) === undefined) {
      put(end, endOf(before));
      // One extent more from now on: the block must not seem unnamed when the first of them goes.
      if (record.kind === "block") nameOnceMore(transaction, keys.block(record.block));
    }
    return true;
  });
}

/** As much as there is of both stays; nothing: a hole. */
export function fitInline(ino: Ino, content: Ino, offset: number): Repair {
  return ofExtent("what is missing reads as zeros now", { ino, content, offset }, (transaction, extent) => {
    if (extent.kind !== "inline") return false;
    const bytes = transaction.get(keys.inline(content, offset)) ?? Buffer.alloc(0);
    if (bytes.length === extent.length) return false;
    const length = Math.min(bytes.length, extent.length);
    if (length === 0) {
      transaction.remove(keys.extent(content, offset));
      transaction.remove(keys.inline(content, offset));
      return true;
    }
    transaction.put(keys.inline(content, offset), Buffer.from(bytes.subarray(0, length)));
    transaction.put(keys.extent(content, offset), encodeExtent({ kind: "inline", length }));
    return true;
  });
}

export function removeEmpty(ino: Ino, content: Ino, offset: number): Repair {
  return ofExtent("it was removed", { ino, content, offset }, (transaction, extent) => {
    if (extent.length > 0) return false;
    transaction.remove(keys.extent(content, offset));
    return true;
  });
}

function ofExtent(
  text: string,
  { ino, content, offset }: { readonly ino: Ino; readonly content: Ino; readonly offset: number },
  change: (transaction: Transaction, extent: ExtentRecord) => boolean,
): Repair {
  return {
    text,
    inos: [ino],
    run(context) {
      const { transaction } = context;
      const record = inodeOf(transaction, ino);
      const value = transaction.get(keys.extent(content, offset));
      if (!ownsContent(record, content) || value === undefined) return false;
      if (!change(transaction, decodeExtent(value))) return false;
      writeInode(transaction, ino, { ...record, ctime: changeTime(context, record) });
      return true;
    },
  };
}

function nameOnceMore(transaction: Transaction, key: string): void {
  const value = transaction.get(key);
  if (value === undefined) return;
  const record = decodeBlock(value);
  transaction.put(key, encodeBlock({ ...record, references: record.references + 1 }));
}
