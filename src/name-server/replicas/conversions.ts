/**
 * Gives content that is there already the number of copies that was set for it, in the background: directory by
 * directory the inodes below what was named, and file by file their blocks. The queue is in the store, so it goes on
 * after a restart where it was; only as many files are queued ahead as `filesAheadMax`.
 *
 * Invariants: an entry leaves the queue only when nothing was put into it anew meanwhile; what cannot be converted now
 * (no nodes, no space) stays and is tried again later, and does not keep the others waiting.
 */
import type { Clock } from "../../base/clock.ts";
import { errnoOf } from "../../base/errno.ts";
import type { Ino } from "../../base/ids.ts";
import type { Log } from "../../base/log.ts";
import { inoOfConversionKey, keys } from "../../metadata-store/keys.ts";
import {
  decodeConversion,
  decodeInode,
  replicasOfInode,
  type ConversionRecord,
  type InodeRecord,
} from "../../metadata-store/records.ts";
import type { Key, MetadataStore } from "../../metadata-store/types.ts";
import type { Execution } from "../execution.ts";
import { convertEntries, queueTree, type OperationContext, type Transaction } from "../namespace/index.ts";

export interface Conversions {
  /** There may be something to do: twice a second. */
  tick(): void;
  /** Files and directories that wait (counted up to a bound). */
  readonly queued: number;
  close(): Promise<void>;
}

/**
 * Rewrites all blocks of a content that are of groups with another number of copies; to be called until it returns 0
 * (bytes that have a new place).
 */
export type ConvertContent = (
  content: Ino,
  options: { readonly copies: number; readonly signal: AbortSignal },
) => Promise<number>;

interface Queued {
  readonly key: Key;
  readonly ino: Ino;
  readonly record: ConversionRecord;
}

const retryMillis = 5_000;
/** Directories wait while so many files are queued. */
const filesAheadMax = 1_024;
const countedMax = 10_000;

export function createConversions(parts: {
  store: MetadataStore;
  execution: Execution;
  clock: Clock;
  log: Log;
  /** The cluster's default. */
  replicas: number;
  makeContext: (transaction: Transaction) => OperationContext;
  convert: ConvertContent;
}): Conversions {
  const { store, execution, clock, log, makeContext, convert } = parts;
  const stopping = new AbortController();
  const { signal } = stopping;
  let running: Promise<void> | undefined;
  let retryAt = -Infinity;

  function next(kind: "file" | "tree", after: Key | undefined): Queued | undefined {
    const gte = after === undefined ? keys.conversionsFrom(kind) : after + "\0";
    const lt = kind === "file" ? keys.conversionsFrom("tree") : keys.conversionsEnd;
    for (const [key, value] of store.range({ gte, lt, limit: 1 })) {
      return { key, ino: inoOfConversionKey(key), record: decodeConversion(value) };
    }
    return undefined;
  }

  function inodeOf(ino: Ino): InodeRecord | undefined {
    const value = store.get(keys.inode(ino));
    return value === undefined ? undefined : decodeInode(value);
  }

  /** Takes it from the queue, unless it was put there again since. */
  async function done({ key, record }: Queued): Promise<void> {
    await execution.change((transaction) => {
      const found = transaction.get(key);
      if (found !== undefined && decodeConversion(found).stamp === record.stamp) transaction.remove(key);
    });
  }

  async function convertFile(queued: Queued): Promise<void> {
    for (let moved = 1; moved > 0;) {
      const inode = inodeOf(queued.ino);
      if (inode === undefined) break;
      moved = await convert(inode.content, { copies: replicasOfInode(inode) ?? parts.replicas, signal });
    }
    await done(queued);
  }

  async function convertTree(queued: Queued): Promise<void> {
    await execution.change((transaction) => {
      // Read again: it may have been set anew.
      const found = transaction.get(queued.key);
      const record = found === undefined ? undefined : decodeConversion(found);
      if (record?.kind !== "tree") return;
      const context = makeContext(transaction);
      const cookie = convertEntries(context, queued.ino, record);
      if (cookie === undefined) transaction.remove(queued.key);
      else queueTree(context, queued.ino, record.replicas, cookie);
    });
  }

  /** (A function, because the compiler does not see that an await lets it change.) */
  function isStopping(): boolean {
    return signal.aborted;
  }

  /** Every file once, and then the directories as far as there is room for their files, until nothing is left to do. */
  async function pass(): Promise<void> {
    let failed = false;
    for (let moreTrees = true; moreTrees && !isStopping();) {
      for (let queued = next("file", undefined); queued !== undefined && !isStopping();) {
        const { key, ino } = queued;
        try {
          await convertFile(queued);
        } catch (error) {
          failed = true;
          tell(error, ino);
        }
        queued = next("file", key);
      }
      const room = count("file", filesAheadMax) < filesAheadMax;
      const tree = room ? next("tree", undefined) : undefined;
      if (tree === undefined) moreTrees = false;
      else await convertTree(tree);
    }
    if (failed) retryAt = clock.monotonicMillis() + retryMillis;
  }

  function tell(error: unknown, ino: Ino): void {
    if (isStopping()) return;
    const errno = errnoOf(error);
    const fields = { ino, err: error };
    if (errno === "EAGAIN" || errno === "ENOSPC" || errno === "ESTALE") log.debug(fields, "copies are not changed yet");
    else log.warn(fields, "the number of copies of a file could not be changed, trying again");
  }

  function count(kind: "file" | "tree", most: number): number {
    const lt = kind === "file" ? keys.conversionsFrom("tree") : keys.conversionsEnd;
    return [...store.range({ gte: keys.conversionsFrom(kind), lt, limit: most })].length;
  }

  return {
    tick() {
      if (running !== undefined || signal.aborted || clock.monotonicMillis() < retryAt) return;
      if (next("file", undefined) === undefined && next("tree", undefined) === undefined) return;
      running = pass()
        .catch((error: unknown) => {
          retryAt = clock.monotonicMillis() + retryMillis;
          log.error({ err: error }, "changing the number of copies failed, trying again");
        })
        .finally(() => {
          running = undefined;
        });
    },
    get queued() {
      return count("file", countedMax) + count("tree", countedMax);
    },
    async close() {
      stopping.abort();
      await running;
    },
  };
}
