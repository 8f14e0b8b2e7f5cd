/**
 * What all inline content takes in the metadata store, kept in the batch of every change of it, so that nobody has to add
 * it up: the bound of the inline table is about this number.
 */
import { keys } from "../../metadata-store/keys.ts";
import { decodeCounter, encodeCounter } from "../../metadata-store/records.ts";
import type { MetadataReader } from "../../metadata-store/types.ts";
import type { Transaction } from "./transaction.ts";

const sumKey = keys.config("inlineBytes");
const page = 4_096;
/** Larger values have pages of their own in LMDB, with a header in the first. */
const sharedPageBytesMax = 1_950;
const pageHeaderBytes = 16;
/** The key, its node, the value's CRC. */
const besideBytes = 40;

/** What inline content of so many bytes takes on disk, about. */
export function inlineTableBytes(length: number): number {
  if (length <= sharedPageBytesMax) return besideBytes + length;
  return besideBytes + Math.ceil((length + pageHeaderBytes) / page) * page;
}

export function inlineBytesSum(reader: Pick<MetadataReader, "get">): number {
  const value = reader.get(sumKey);
  return value === undefined ? 0 : decodeCounter(value);
}

export function changeInlineSum(transaction: Transaction, difference: number): void {
  if (difference === 0) return;
  transaction.put(sumKey, encodeCounter(Math.max(0, inlineBytesSum(transaction) + difference)));
}

/** Adds up what there is if the sum was never kept: in a new store, or one of an earlier version. */
export function beginInlineSum(transaction: Transaction): void {
  if (transaction.get(sumKey) !== undefined) return;
  let sum = 0;
  for (const [, value] of transaction.range({ gte: "n", lt: "o" })) sum += inlineTableBytes(value.length);
  transaction.put(sumKey, encodeCounter(sum));
}
