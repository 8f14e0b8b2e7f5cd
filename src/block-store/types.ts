/**
 * The block store of one storage node: immutable blocks in append-only segment files, with an index. This is the
 * contract; `FORMAT.md` has the bytes.
 */
import type { BlockId, GroupId } from "../base/ids.ts";

export interface StoredBlock {
  readonly block: BlockId;
  readonly length: number;
}

export type Verdict = "whole" | "damaged" | "missing";

export interface BlockStore {
  /**
   * Appends a block whose checksums have been verified; resolves when block and index entry would survive a crash.
   * Borrows until then. The same content again: resolves. Rejects: EEXIST other content, ENOSPC, EIO.
   * `replaces`: larger blocks are removed for it afterwards, so it may use a segment of the reserve.
   */
  put(block: BlockId, bytes: Buffer, checksums: Buffer, options?: { readonly replaces?: boolean }): Promise<void>;
  /**
   * The units of 4 KiB that cover [offset, offset + length) of the block, cut at its end, with their stored checksums
   * (not verified here: the reader does). `into` offers the memory (allocates when it is absent).
   * Rejects: ENOENT no such block, EIO the header or the disk is bad.
   */
  get(
    block: BlockId,
    offset: number,
    length: number,
    take?: (bytes: number) => Buffer,
  ): Promise<{ start: number; bytes: Buffer; checksums: Buffer }>;
  has(block: BlockId): boolean;
  /** Reads the whole block past the page cache and compares it with its checksums. Rejects as the disk's `open` does. */
  verify(block: BlockId): Promise<Verdict>;
  /** Removes blocks: durable when it resolves; unknown ones are ignored. Their space returns by compaction. */
  remove(blocks: readonly BlockId[]): Promise<void>;
  /** All blocks of a group in order of number, from `first` on. */
  list(group: GroupId, first: number, limit: number): readonly StoredBlock[];
  /** The greatest number ever stored, per group (also of removed blocks). */
  greatest(): readonly { group: GroupId; number: number }[];
  /** `capacityBytes`: the limit; `usedBytes`: segment files; `freeBytes`: what put() may still take, reserve excluded. */
  space(): { capacityBytes: number; usedBytes: number; freeBytes: number; liveBytes: number };
  readonly statistics: { readonly blocks: number; readonly segments: number };
  /** Rejects (never resolves) when an append or a sync failed: the process must end. */
  readonly failed: Promise<never>;
  close(): Promise<void>;
}
