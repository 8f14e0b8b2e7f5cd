/**
 * OPEN, FLUSH, RELEASE, FSYNC, SYNCFS. While attributes may be believed, opening costs no message: the kernel has
 * checked the permission by them.
 */
import { FsError } from "../base/errno.ts";
import type { Opened, Operations, RequestContext } from "../fuse/operations.ts";
import { truncate } from "./attributes.ts";
import { inodeOf, staleIfGone, type Core } from "./core.ts";
import { hold, type Inode } from "./inode.ts";
import { releaseClosed, releaseOwner } from "./locks.ts";
import { isAppending, isReading, isTruncating, isWriting } from "./open-flags.ts";
import { letGo } from "./use.ts";

export function fileOperations(core: Core): Pick<Operations, "open" | "flush" | "release" | "fsync" | "syncfs"> {
  const { coherence, handles } = core;

  const opened = (inode: Inode, flags: number): Opened => {
    inode.accessTimeSettled = false;
    const how = coherence.openFlags(inode, isAppending(flags));
    return { handle: handles.openFile(inode, flags, how.directIo !== true).handle, ...how };
  };

  return {
    open(request, ino, flags, killPrivileges) {
      const inode = inodeOf(core, ino);
      const isThere = inode.removing === undefined && !isGone(inode);
      const atOnce = isThere && coherence.trusts(inode) && !isTruncating(flags);
      return atOnce ? opened(inode, flags) : askAndOpen(core, request, inode, { flags, killPrivileges, opened });
    },
    flush(_request, _ino, handle, lockOwner) {
      const { inode, failed } = handles.anyFile(handle);
      const locked = inode.lockOwners?.has(lockOwner) === true;
      if (failed !== undefined) {
        if (!locked) throw failed;
        return releaseOwner(core, inode, lockOwner).then(() => {
          throw failed;
        });
      }
      if (!locked && !inode.lostData && !inode.flushAtClose) return;
      return close(core, inode, locked ? lockOwner : undefined);
    },
    release(_request, _ino, handle, flockOwner) {
      const file = handles.closeFile(handle);
      if (file === undefined) return;
      const locks = releaseClosed(core, file, flockOwner);
      if (locks === undefined) {
        letGo(core, file.inode);
        return;
      }
      return locks.finally(() => {
        letGo(core, file.inode);
      });
    },
    fsync(request, _ino, handle) {
      const inode = handles.file(handle).inode;
      if (inode.content === undefined && core.nameServer.ahead.size === 0) return;
      return synced(core, inode, request.signal);
    },
    async syncfs() {
      await core.contents.flushAll();
      await core.nameServer.ahead.flush();
    },
  };
}

/** Removed, and kept by nobody: what the kernel still has of it (O_PATH) cannot be opened any more. */
function isGone(inode: Inode): boolean {
  return inode.removed && inode.opens === 0;
}

async function askAndOpen(
  core: Core,
  request: RequestContext,
  inode: Inode,
  how: { flags: number; killPrivileges: boolean; opened: (inode: Inode, flags: number) => Opened },
): Promise<Opened> {
  const { flags, killPrivileges, opened } = how;
  const { coherence, inodes } = core;
  const ino = inode.ino;
  while (inode.removing !== undefined) await inode.removing;
  if (isGone(inode)) throw new FsError("ESTALE", `inode ${String(ino)} was removed`);
  // From here on it is in use: removals keep it.
  hold(inode);
  try {
    if (!coherence.trusts(inode)) {
      const since = coherence.moment;
      const asked = { ino, read: isReading(flags), write: isWriting(flags) || isTruncating(flags) };
      const { attributes } = await core.identity.as(request, (caller) =>
        core.nameServer.ask("open", { ...asked, caller }, { signal: request.signal }),
      );
      inodes.update(attributes, since);
    }
    if (isTruncating(flags)) {
      await truncate(core, request, inode, true, killPrivileges ? { size: 0, killPrivileges } : { size: 0 });
    }
    return opened(inode, flags);
  } catch (error) {
    throw staleIfGone(error);
  } finally {
    letGo(core, inode);
  }
}

/** Of a file with locks, an error to tell, or new content after a truncation to nothing. */
async function close(core: Core, inode: Inode, lockOwner: bigint | undefined): Promise<void> {
  try {
    if (inode.lostData || (inode.flushAtClose && inode.content?.isDirty === true)) await flushed(inode);
  } finally {
    inode.flushAtClose = false;
    if (lockOwner !== undefined) await releaseOwner(core, inode, lockOwner);
  }
}

/** What the file has in memory first, then all that was changed before. */
async function synced(core: Core, inode: Inode, signal: AbortSignal): Promise<void> {
  await flushed(inode, signal);
  await core.nameServer.ahead.flush();
}

/** Reports what was lost, once. */
async function flushed(inode: Inode, signal?: AbortSignal): Promise<void> {
  try {
    await inode.content?.flush(signal);
  } finally {
    if (signal?.aborted !== true) inode.lostData = false;
  }
}
