import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ExecutionContext } from "ava";
import { blockChecksums } from "../../src/base/checksum.ts";
import type { Disk } from "../../src/base/disk.ts";
import { FsError, type ErrnoName } from "../../src/base/errno.ts";
import { toGroupId, type BlockId, type ClusterId, type NodeId } from "../../src/base/ids.ts";
import { systemClock, type Clock } from "../../src/base/clock.ts";
import { silentLog } from "../../src/base/log.ts";
import { seededRandom, systemRandom } from "../../src/base/random.ts";
import { openSystemDisk } from "../../src/base/system-disk.ts";
import type { NodeIdentity } from "../../src/block-store/identity.ts";
import type { IndexBackendFactory } from "../../src/block-store/index-backend.ts";
import { openBlockStore } from "../../src/block-store/open.ts";
import type { BlockStore } from "../../src/block-store/types.ts";
import { FaultyDisk } from "../support/faulty-disk.ts";

export const MiB = 1024 * 1024;
const node = "00000000000000aa" as NodeId;
const cluster = "00000000000000cc" as ClusterId;

export const identity: NodeIdentity = {
  node,
  cluster,
  epoch: 0,
  adopt: () => Promise.resolve(),
  obey: () => Promise.resolve(),
};

export function id(number: number, group = 1): BlockId {
  return { group: toGroupId(group), number };
}

/** Content that follows from the block's number and length. */
export function content(number: number, length: number): Buffer {
  const pattern = seededRandom(number).bytes(Math.min(length, 997));
  return Buffer.alloc(length, pattern);
}

export function put(store: BlockStore, number: number, length: number): Promise<void> {
  const bytes = content(number, length);
  return store.put(id(number), bytes, blockChecksums(id(number), bytes));
}

export async function holds(store: BlockStore, number: number, length: number): Promise<boolean> {
  const { start, bytes, checksums } = await store.get(id(number), 0, length);
  const expected = content(number, length);
  return start === 0 && bytes.equals(expected) && checksums.equals(blockChecksums(id(number), expected));
}

export interface OpenOptions {
  readonly capacityBytes?: number;
  readonly clock?: Clock;
  readonly backend?: IndexBackendFactory;
  readonly identity?: NodeIdentity;
}

export function openStore(disk: Disk, options: OpenOptions = {}): Promise<BlockStore> {
  return openBlockStore({
    disk,
    identity: options.identity ?? identity,
    capacityBytes: options.capacityBytes ?? 64 * MiB,
    clock: options.clock ?? systemClock,
    log: silentLog,
    ...(options.backend === undefined ? {} : { backend: options.backend }),
  });
}

/** A disk in memory that answers in a later turn of the event loop, as real ones do. */
export function memoryDisk(): FaultyDisk {
  const disk = new FaultyDisk();
  disk.turns = () => 1;
  return disk;
}

/** A folder of its own on the real disk, gone after the test. */
export async function temporaryDisk(t: ExecutionContext): Promise<Disk> {
  const folder = await mkdtemp(join(tmpdir(), "dfs-block-store-"));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  return openSystemDisk(folder);
}

export async function rejectsWith(t: ExecutionContext, errno: ErrnoName, promise: Promise<unknown>): Promise<void> {
  const error = await t.throwsAsync(promise, { instanceOf: FsError });
  t.is(error.errno, errno, error.message);
}

export function randomSeed(t: ExecutionContext): number {
  const seed = systemRandom.below(2 ** 31);
  t.log(`seed ${String(seed)}`);
  return seed;
}
