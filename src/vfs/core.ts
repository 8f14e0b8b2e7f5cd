/**
 * What every operation of the vfs works with.
 *
 * Order of what may be held across an await, outermost first: a removal of the inode (`Inode.removing`), the change of a
 * target's content (`FileContent.change`), the flush of a source's content. Nothing here holds two of a kind, and
 * nothing waits for the kernel while it holds one, except `invalidateAttributes`, which takes no lock.
 */
import type { Nanos } from "../base/attributes.ts";
import type { Clock } from "../base/clock.ts";
import { FsError } from "../base/errno.ts";
import type { Ino } from "../base/ids.ts";
import type { Log } from "../base/log.ts";
import type { Leases } from "../cache/leases.ts";
import type { Contents } from "../cache/types.ts";
import type { Notifier } from "../fuse/operations.ts";
import type { NameServer } from "../remote/types.ts";
import type { AccessTimes } from "./access-times.ts";
import type { Background } from "./background.ts";
import type { Coherence } from "./coherence.ts";
import type { DentryCache } from "./dentry-cache.ts";
import type { Handles } from "./handles.ts";
import type { Identity } from "./identity.ts";
import type { Intent } from "./intent.ts";
import type { InodeTable } from "./inode-table.ts";
import type { Inode } from "./inode.ts";
import type { InodeContents } from "./inode-contents.ts";
import type { Invalidations } from "./invalidations.ts";
import type { KernelCaches } from "./kernel-caches.ts";
import type { ListAhead } from "./list-ahead.ts";
import type { Orphans } from "./orphans.ts";
import type { ReadAlong } from "./read-along.ts";

export interface Core {
  readonly nameServer: NameServer;
  readonly contents: Contents;
  readonly leases: Leases;
  readonly clock: Clock;
  readonly log: Log;
  readonly background: Background;
  readonly coherence: Coherence;
  readonly inodes: InodeTable;
  readonly dentries: DentryCache;
  readonly listAhead: ListAhead;
  readonly intent: Intent;
  readonly handles: Handles;
  readonly identity: Identity;
  readonly inodeContents: InodeContents;
  readonly readAlong: ReadAlong;
  readonly invalidations: Invalidations;
  readonly orphans: Orphans;
  readonly accessTimes: AccessTimes;
  /** Set by `start`. */
  notifier: Notifier | undefined;
  kernelCaches: KernelCaches | undefined;
}

/** The inode of a request: one that the kernel has looked up. */
export function inodeOf(core: Core, ino: Ino): Inode {
  const inode = core.inodes.get(ino);
  if (inode === undefined) throw new FsError("ESTALE", `inode ${String(ino)} is not known here`);
  return inode;
}

/** The server's time, never below the inode's ctime. */
export function timeFor(core: Core, inode: Inode): Nanos {
  const now = core.nameServer.nowNanos();
  const ctime = inode.attributes?.ctime;
  return ctime !== undefined && ctime > now ? ctime : now;
}

/** ENOENT about an inode (not a name): it was removed elsewhere. The kernel then looks the name up again. */
export function staleIfGone(error: unknown): unknown {
  if (error instanceof FsError && error.errno === "ENOENT") {
    return new FsError("ESTALE", "the inode was removed", { cause: error });
  }
  return error;
}
