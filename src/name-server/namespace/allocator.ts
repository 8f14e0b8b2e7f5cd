/**
 * Numbers that are never given twice: inodes (and contents, from the same row), and places in the reclaim queue.
 * Inode numbers are reserved in the store 4,096 at a time; what a crash or a dropped transaction leaves of a
 * reservation is never used. One allocator for a store's whole life in this process.
 */
import { rootIno, toIno, type Ino } from "../../base/ids.ts";
import { keys, reclaimSequenceOfKey } from "../../metadata-store/keys.ts";
import { decodeCounter, detachedFirst, encodeCounter } from "../../metadata-store/records.ts";
import type { MetadataReader } from "../../metadata-store/types.ts";
import type { Transaction } from "./transaction.ts";

const reservedKey = keys.config("inosReserved");
const reservation = 4_096;

/** What operations take their numbers from. */
export interface Numbers {
  ino(transaction: Transaction): Ino;
  reclaimSequence(): number;
  /** Inode numbers up to this one are in use, whatever the counter said. */
  passOver(ino: number): void;
}

export class Allocator implements Numbers {
  #nextIno: number;
  #nextReclaim: number;

  constructor(reader: MetadataReader) {
    this.#nextIno = reservedBelow(reader);
    this.#nextReclaim = afterLastReclaim(reader);
  }

  ino(transaction: Transaction): Ino {
    return this.inos(transaction, 1);
  }

  /** The first of so many in a row. */
  inos(transaction: Transaction, count: number): Ino {
    const first = this.#nextIno;
    this.#nextIno += count;
    const last = this.#nextIno - 1;
    // Looked up each time: the transaction that reserved may have been dropped.
    if (last >= reservedBelow(transaction)) transaction.put(reservedKey, encodeCounter(last + reservation));
    return toIno(first);
  }

  passOver(ino: number): void {
    this.#nextIno = Math.max(this.#nextIno, ino + 1);
  }

  /** The place behind everything in the queue of blocks to delete. */
  reclaimSequence(): number {
    return this.#nextReclaim++;
  }
}

function reservedBelow(reader: MetadataReader): number {
  const value = reader.get(reservedKey);
  return value === undefined ? rootIno + 1 : decodeCounter(value);
}

function afterLastReclaim(reader: MetadataReader): number {
  const bounds = { gte: keys.reclaim(0), lt: keys.reclaim(detachedFirst), reverse: true, limit: 1 };
  for (const [key] of reader.range(bounds)) return reclaimSequenceOfKey(key) + 1;
  return 1;
}
