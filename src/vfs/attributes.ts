/** GETATTR, SETATTR and STATFS. A change of size goes through the file's content, which holds writes and flushes back. */
import type { Nanos } from "../base/attributes.ts";
import { sleep } from "../base/clock.ts";
import { FsError } from "../base/errno.ts";
import type { Handle, Ino } from "../base/ids.ts";
import { limits } from "../base/limits.ts";
import type { AttributeChanges, AttributesReply, Operations, RequestContext } from "../fuse/operations.ts";
import { setattrAhead } from "./ahead-attributes.ts";
import { inodeOf, staleIfGone, type Core } from "./core.ts";
import { hasBufferedReader, hold, type Inode } from "./inode.ts";
import { lostPrivileges } from "./privileges.ts";
import { letGo } from "./use.ts";
import { attributesReply, visibleAttributes } from "./visible-attributes.ts";

const blockBytes = 4096;
/** Times are kept as 64 bits of nanoseconds: from 1677 to 2262. What is beyond becomes the nearest. */
const nanosMin = -(2n ** 63n);
const nanosMax = 2n ** 63n - 1n;

export function attributeOperations(core: Core): Pick<Operations, "getattr" | "setattr" | "statfs" | "access"> {
  const { nameServer, coherence, inodes } = core;

  const ask = async (
    request: RequestContext,
    inode: Inode,
    handle: Handle | undefined,
    changes: AttributeChanges,
  ): Promise<AttributesReply> => {
    const { ino } = inode;
    if (changes.size !== undefined && changes.size > limits.fileBytesMax) {
      throw new FsError("EFBIG", `inode ${String(ino)}: a file may have ${String(limits.fileBytesMax)} bytes`);
    }
    const modeBefore = inode.attributes?.mode;
    // A flush that comes later would take the new bits away again.
    if (changes.mode !== undefined && inode.privilegesCleared) await inode.content?.flush(request.signal);
    const asked = isChownOfNothing(request, inode, changes) ? { killPrivileges: true } : withTimesInRange(changes);
    await applyChanges(core, request, inode, handle !== undefined, asked);
    if (changes.mode === undefined && lostPrivileges(modeBefore, inode.attributes?.mode)) {
      await core.notifier?.invalidateAttributes(ino);
    }
    return attributesReply(coherence, inode);
  };

  return {
    getattr(request, ino) {
      const inode = inodes.get(ino);
      if (inode !== undefined && coherence.trusts(inode)) {
        inode.recentlyUsed = true;
        return attributesReply(coherence, inode);
      }
      return askAttributes(core, request, ino);
    },
    setattr(request, ino, handle, changes) {
      const inode = inodeOf(core, ino);
      if (handle !== undefined) core.handles.file(handle);
      if (setattrAhead(core, request, inode, withTimesInRange(changes))) return attributesReply(coherence, inode);
      core.intent.changed(inode);
      return ask(request, inode, handle, changes);
    },
    async statfs(request) {
      const space = await nameServer.ask("statfs", {}, { signal: request.signal });
      const blocksFree = Math.floor(space.bytesFree / blockBytes);
      return {
        blocks: Math.floor(space.bytesTotal / blockBytes),
        blocksFree,
        blocksAvailable: blocksFree,
        files: space.files,
        filesFree: space.filesFree,
        blockBytes,
        nameBytesMax: limits.nameBytesMax,
      };
    },
    access(_request, ino) {
      // With default_permissions the kernel decides by itself, and the server at every operation.
      inodeOf(core, ino);
    },
  };
}

function withTimesInRange(changes: AttributeChanges): AttributeChanges {
  const { atime, mtime } = changes;
  if (isInRange(atime) && isInRange(mtime)) return changes;
  return {
    ...changes,
    ...(atime === undefined ? {} : { atime: nearest(atime) }),
    ...(mtime === undefined ? {} : { mtime: nearest(mtime) }),
  };
}

function isInRange(time: Nanos | "now" | undefined): boolean {
  return typeof time !== "bigint" || (time >= nanosMin && time <= nanosMax);
}

function nearest(time: Nanos | "now"): Nanos | "now" {
  if (time === "now" || isInRange(time)) return time;
  return time < 0n ? nanosMin : nanosMax;
}

/**
 * chown(2) that names neither owner nor group takes privileges as any other, and arrives as no change at all. So does
 * what the kernel sends before a write that takes them. Others than the owner are not refused: that would fail the write.
 */
function isChownOfNothing(request: RequestContext, inode: Inode, changes: AttributeChanges): boolean {
  const isOwner = request.uid === 0 || request.uid === inode.attributes?.uid;
  return isOwner && Object.keys(changes).length === 0;
}

/** Asked so often, a millisecond apart and more, attributes are told without a lease. */
const leaseAttemptsMax = 3;

/**
 * From the server; what was removed and only lives in this table is answered from it.
 *
 * Of a file that the kernel reads through its pages it is asked for with a lease, again if there was none: the kernel
 * drops an answer that another one has overtaken, though that may be the older one, and reads on up to the older size.
 * Under a lease the notice that comes before any change makes it drop the older one.
 */
export async function askAttributes(core: Core, request: RequestContext, ino: Ino): Promise<AttributesReply> {
  const { clock, nameServer, coherence, inodes } = core;
  const known = inodes.get(ino);
  if (known?.removed === true && !known.orphan && known.attributes !== undefined) {
    return { attributes: visibleAttributes(known), attributesValidMillis: 0 };
  }
  try {
    for (let attempt = 1; ; attempt++) {
      const since = coherence.moment;
      const insist = known !== undefined && hasBufferedReader(known);
      const { attributes } = await nameServer.ask("getattr", { ino, insist }, { signal: request.signal });
      const inode = inodes.update(attributes, since);
      if (inode === undefined) return { attributes, attributesValidMillis: 0 };
      const mayBeGranted = insist && core.leases.validMillis() > 0;
      if (!mayBeGranted || coherence.trusts(inode) || attempt === leaseAttemptsMax) {
        return attributesReply(coherence, inode);
      }
      await sleep(clock, attempt, request.signal);
    }
  } catch (error) {
    if (known?.removed === true && known.attributes !== undefined) {
      return { attributes: visibleAttributes(known), attributesValidMillis: 0 };
    }
    throw staleIfGone(error);
  }
}

async function applyChanges(
  core: Core,
  request: RequestContext,
  inode: Inode,
  fromOpenFile: boolean,
  changes: AttributeChanges,
): Promise<void> {
  const { content } = inode;
  const { size } = changes;
  if (size !== undefined) await truncate(core, request, inode, fromOpenFile, { ...changes, size });
  else if (changes.mtime !== undefined && content?.isDirty === true) {
    // An mtime on its way with a flush may not arrive after this one, and what is still unsent has none of its own.
    await content.change({ keepDirty: true }, () => {
      content.forgetDirtyTime();
      return change(core, request, inode, fromOpenFile, changes);
    });
  } else {
    if (changes.mtime !== undefined) content?.forgetDirtyTime();
    await change(core, request, inode, fromOpenFile, changes);
  }
}

async function change(
  core: Core,
  request: RequestContext,
  inode: Inode,
  fromOpenFile: boolean,
  changes: AttributeChanges,
): Promise<void> {
  const { coherence, inodes } = core;
  const ino = inode.ino;
  const since = coherence.moment;
  if (changes.atime !== undefined) core.accessTimes.drop(inode);
  try {
    const { attributes } = await core.identity.as(request, (caller) =>
      core.nameServer.change("setattr", { ...changes, caller, ino, fromOpenFile }, { signal: request.signal }),
    );
    inodes.changed(attributes, since);
  } catch (error) {
    inodes.markStale(inode);
    throw staleIfGone(error);
  }
}

/** Cuts or extends a regular file. What was written beyond the new end is dropped unsent. */
export async function truncate(
  core: Core,
  request: RequestContext,
  inode: Inode,
  fromOpenFile: boolean,
  changes: AttributeChanges & { readonly size: number },
): Promise<void> {
  if (inode.attributes === undefined) await askAttributes(core, request, inode.ino);
  const content = core.inodeContents.of(inode);
  const sizeBefore = content.size;
  // In use: its content may not be closed below the change.
  hold(inode);
  try {
    // The write that took privileges away may be dropped unsent: then this has to say so.
    const all = inode.privilegesCleared ? { ...changes, killPrivileges: true } : changes;
    await content.change({ discardFrom: changes.size }, () => change(core, request, inode, fromOpenFile, all));
    if (!content.isDirty) {
      inode.writtenBytes = 0;
      inode.privilegesCleared = false;
    }
    if (changes.size === 0 && sizeBefore > 0) inode.flushAtClose = true;
  } finally {
    letGo(core, inode);
  }
}
