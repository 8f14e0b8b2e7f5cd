/**
 * What an operation of the namespace is given. Operations are synchronous functions of (context, request): they read and
 * change the transaction, await nothing, and throw FsError having promised nothing; then the transaction is dropped.
 */
import type { Nanos } from "../../base/attributes.ts";
import { FsError } from "../../base/errno.ts";
import type { BlockId, Ino, SessionId } from "../../base/ids.ts";
import { keys } from "../../metadata-store/keys.ts";
import { decodeCounter, encodeCounter } from "../../metadata-store/records.ts";
import type { Numbers } from "./allocator.ts";
import type { Transaction } from "./transaction.ts";

export interface OperationContext {
  readonly transaction: Transaction;
  /** The server's wall clock. */
  readonly nowNanos: Nanos;
  /** For whom: open inodes without a name are kept for it. */
  readonly session: SessionId;
  /** Every other session that may have a removed inode open. */
  readonly otherSessions: readonly SessionId[];
  readonly allocator: Numbers;
  space(): Space;
  /**
   * Applies what the transaction has so far and clears it: called in the middle of a change that is too large for one
   * transaction, and only in states that are right in themselves. What follows may still throw.
   */
  checkpoint(): void;
  /** Less than half of the block is named now, if this step is applied: see name-server/rewrite. */
  noteHalfDead(block: BlockId, owner: Ino | 0): void;
  /** Filled by the operation: inodes that became orphans of other sessions too, which have to be asked. */
  readonly orphaned: Ino[];
}

/** What is free, as statfs shows it: file content, one copy. */
export interface Space {
  readonly bytesTotal: number;
  readonly bytesFree: number;
  readonly filesFree: number;
  /** The name server's own disk is down to its reserve: nothing may grow. */
  readonly metadataFull: boolean;
}

/** Call before anything that adds metadata. */
export function requireRoom(context: OperationContext): void {
  if (context.space().metadataFull) throw new FsError("ENOSPC", "the name server's disk is down to its reserve");
}

const inodesKey = keys.config("inodes");

export function countOfInodes(transaction: Transaction): number {
  const value = transaction.get(inodesKey);
  return value === undefined ? 0 : decodeCounter(value);
}

/** Keeps the number that statfs shows. */
export function countInodes(transaction: Transaction, difference: 1 | -1): void {
  transaction.put(inodesKey, encodeCounter(countOfInodes(transaction) + difference));
}
