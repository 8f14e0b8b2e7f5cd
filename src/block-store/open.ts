/** Opens a block store: repairs what a crash left, then puts the parts together. */
import type { Clock } from "../base/clock.ts";
import { assert } from "../base/assert.ts";
import type { Disk } from "../base/disk.ts";
import { FsError } from "../base/errno.ts";
import type { Log } from "../base/log.ts";
import { Appender } from "./appender.ts";
import { Compactor } from "./compactor.ts";
import { DiskSpace } from "./disk-space.ts";
import type { NodeIdentity } from "./identity.ts";
import type { IndexBackendFactory } from "./index-backend.ts";
import { IndexDamaged } from "./index-codec.ts";
import { IndexCommitter } from "./index-committer.ts";
import { lmdbBackend } from "./lmdb-backend.ts";
import { RecordReader } from "./reader.ts";
import type { Owner } from "./record.ts";
import { recover } from "./recovery.ts";
import { SegmentFiles } from "./segment-files.ts";
import { capacityBytesMin, growthLimit, segmentBytesFor } from "./space.ts";
import { Store, type Failure } from "./store.ts";
import type { BlockStore } from "./types.ts";
import { RecordVerifier } from "./verifier.ts";

export interface BlockStoreOptions {
  readonly disk: Disk;
  /** Its cluster has to be adopted before the first put. */
  readonly identity: NodeIdentity;
  readonly capacityBytes: number;
  readonly clock: Clock;
  readonly log: Log;
  /** Default: LMDB in the disk's folder. */
  readonly backend?: IndexBackendFactory;
}

/** Rejects with EINVAL (capacity too small), EPERM (segments of another node or cluster), EIO, ENOSPC... */
export async function openBlockStore(options: BlockStoreOptions): Promise<BlockStore> {
  const { disk, identity, capacityBytes, clock, log } = options;
  if (capacityBytes < capacityBytesMin) {
    throw new FsError(
      "EINVAL",
      `a storage node needs a capacity of ${String(capacityBytesMin / 2 ** 20)} MiB at least`,
    );
  }
  const segmentBytes = segmentBytesFor(capacityBytes);
  const files = new SegmentFiles(disk);
  const backend = options.backend ?? lmdbBackend(disk);
  const { index, resume, nextSegment } = await recover({ files, backend, identity, log });
  const diskSpace = new DiskSpace({ disk, clock, log, reserveBytes: capacityBytes - growthLimit(capacityBytes) });
  await diskSpace.ask();
  const failure = createFailure(backend, log);
  const onFailed = (error: unknown): void => {
    failure.report(error);
  };
  const committer = new IndexCommitter({ index, clock, onFailed });
  const owner = (): Owner => {
    assert(identity.cluster !== null, "a node stores nothing before it has joined a cluster");
    return { node: identity.node, cluster: identity.cluster };
  };
  const appender = new Appender({
    owner,
    segmentBytes,
    nextSegment,
    resume: resume === undefined ? undefined : { ...resume, file: await files.append(resume.segment) },
    async createSegment(segment) {
      const file = await files.create(segment, owner());
      index.addSegment(segment);
      return file;
    },
    onDurable: (records, segment, endBytes) => {
      store.onDurable(records, segment, endBytes);
    },
    onFailed,
  });
  const compactor = new Compactor({
    index,
    files,
    identity,
    clock,
    log,
    copy: (record) => store.copy(record),
    activeSegment: () => appender.activeSegment,
    seal: () => appender.seal(),
    isShort: () => store.isShort,
    onFailed,
  });
  const reader = new RecordReader(files, identity.node);
  const store: Store = new Store({
    capacityBytes,
    index,
    files,
    reader,
    verifier: new RecordVerifier(files, identity.node),
    appender,
    compactor,
    committer,
    diskSpace,
    failure,
  });
  compactor.kick();
  return store;
}

function createFailure(backend: IndexBackendFactory, log: Log): Failure {
  let first: FsError | undefined;
  let reject: (error: FsError) => void = () => undefined;
  const failed = new Promise<never>((_, rejectIt) => {
    reject = rejectIt;
  });
  failed.catch(() => undefined);
  return {
    failed,
    get error() {
      return first;
    },
    report(cause) {
      if (first !== undefined) return;
      const error = cause instanceof FsError ? cause : new FsError("EIO", "the block store failed", { cause });
      first = error;
      log.error({ err: error }, "the block store failed: the process has to end");
      if (!isIndexDamage(cause)) {
        reject(error);
        return;
      }
      // The mark makes the next start build the index again: it has to be there before the process ends.
      backend
        .distrust()
        .catch((err: unknown) => {
          log.error({ err }, "the block index cannot be marked: remove its folder before the next start");
        })
        .finally(() => {
          reject(error);
        });
    },
  };
}

function isIndexDamage(error: unknown): boolean {
  for (let at = error; at instanceof Error; at = at.cause) if (at instanceof IndexDamaged) return true;
  return false;
}
