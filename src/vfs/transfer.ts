/**
 * READ and WRITE: no promise when everything is at hand. Content holds a write from its arrival on, so every later read
 * sees it, whatever the kernel was told to drop meanwhile.
 */
import { sleep } from "../base/clock.ts";
import { FsError } from "../base/errno.ts";
import { limits } from "../base/limits.ts";
import type { MaybePromise, Operations, ReadResult, RequestContext } from "../fuse/operations.ts";
import type { ReadPieces } from "../cache/types.ts";
import { timeFor, type Core } from "./core.ts";
import { hasBufferedReader, type ByteRange, type Inode } from "./inode.ts";
import { openFlag } from "./open-flags.ts";
import { hasPrivileges, mayLoseSetgid } from "./privileges.ts";
import { visibleAttributes } from "./visible-attributes.ts";

interface Reading {
  readonly since: number;
  readonly result: MaybePromise<ReadPieces>;
}

/** After so many, a millisecond apart and more, an answer goes into the page cache without a lease. */
const leaseAttemptsMax = 3;

export function transferOperations(core: Core): Pick<Operations, "read" | "write"> {
  const { clock, coherence, handles, inodeContents, accessTimes } = core;

  /** What the kernel puts into its page cache by this answer may not stay there without a lease. */
  const passing = (inode: Inode, range: ByteRange, since: number, result: ReadPieces): ReadResult => {
    if (coherence.holds(inode.ino, since)) return result;
    return {
      pieces: result.pieces,
      release() {
        result.release?.();
        coherence.transferred(inode, range, since);
      },
    };
  };

  const startReading = (inode: Inode, { offset, length }: ByteRange, signal: AbortSignal | undefined): Reading => ({
    since: coherence.moment,
    result: inodeContents.of(inode).read(offset, length, signal),
  });

  /**
   * Asks again, `attempts` times in all, while nothing was granted: of a change elsewhere we would not be told, and it
   * could be seen to be missing until the pages are dropped.
   */
  const finishReading = async (
    inode: Inode,
    range: ByteRange,
    first: Reading,
    attempts: number,
    signal: AbortSignal | undefined,
  ): Promise<ReadResult> => {
    inode.readsUnanswered++;
    try {
      for (let [attempt, { since, result }] = [1, first]; ; attempt++) {
        const pieces = await result;
        if (attempt === attempts || coherence.holds(inode.ino, since)) return passing(inode, range, since, pieces);
        pieces.release?.();
        await sleep(clock, attempt, signal);
        ({ since, result } = startReading(inode, range, signal));
      }
    } finally {
      inode.readsUnanswered--;
    }
  };

  return {
    read({ signal }, _ino, handle, offset, length, intoPageCache) {
      const file = handles.file(handle);
      const { inode } = file;
      if (intoPageCache) file.buffered = true;
      if ((file.flags & openFlag.noAccessTime) === 0) accessTimes.read(inode);
      core.readAlong.read(inode);
      const range = { offset, length };
      const started = startReading(inode, range, signal);
      const { since, result } = started;
      if (!(result instanceof Promise)) return passing(inode, range, since, result);
      return finishReading(inode, range, started, intoPageCache ? leaseAttemptsMax : 1, signal);
    },

    write(request, _ino, handle, offset, content, { flags, fromPageCache, killPrivileges }) {
      const file = handles.file(handle);
      const inode = file.inode;
      const append = !fromPageCache && (flags & openFlag.append) !== 0;
      if (!append && offset + content.length > limits.fileBytesMax) {
        throw new FsError("EFBIG", `inode ${String(inode.ino)}: write beyond the largest file`);
      }
      const clearPrivileges =
        (killPrivileges || (!fromPageCache && request.uid !== 0)) && mayHavePrivileges(core, inode);
      const options = { time: timeFor(core, inode), clearPrivileges };
      inode.accessTimeSettled = false;
      inode.writtenBytes += content.length;
      const since = coherence.moment;
      const range = { offset, length: content.length };
      const body = inodeContents.of(inode);
      let done: MaybePromise<void>;
      try {
        done = append
          ? appended(core, inode, offset, content.length, body.append(content, options))
          : body.write(offset, content, options);
      } catch (error) {
        core.invalidations.add(inode.ino, offset, content.length);
        throw error;
      }
      const told = tellOfPrivileges(core, request, inode, clearPrivileges);
      if (done === undefined && told === undefined) {
        coherence.transferred(inode, range, since);
        return content.length;
      }
      return finished(core, inode, { range, since }, done, told);
    },
  };
}

async function finished(
  core: Core,
  inode: Inode,
  { range, since }: { readonly range: ByteRange; readonly since: number },
  done: MaybePromise<void>,
  told: Promise<unknown> | undefined,
): Promise<number> {
  const { offset, length } = range;
  (inode.writesUnanswered ??= new Set()).add(range);
  try {
    await done;
    await told;
  } catch (error) {
    // The kernel has these bytes in its pages, and they are not in the file.
    core.invalidations.add(inode.ino, offset, length);
    throw error;
  } finally {
    inode.writesUnanswered.delete(range);
  }
  core.coherence.transferred(inode, range, since);
  return length;
}

/** What other readers' pages had at that place was not there yet. */
function appended(
  core: Core,
  inode: Inode,
  guessed: number,
  length: number,
  at: MaybePromise<number>,
): MaybePromise<void> {
  const drop = (position: number): void => {
    if (position !== guessed || hasBufferedReader(inode)) core.invalidations.add(inode.ino, position, length);
  };
  if (typeof at === "number") {
    drop(at);
    return;
  }
  return at.then(drop);
}

function mayHavePrivileges(core: Core, inode: Inode): boolean {
  const attributes = inode.attributes;
  return attributes === undefined || hasPrivileges(attributes.mode) || !core.coherence.trusts(inode);
}

function tellOfPrivileges(
  core: Core,
  request: RequestContext,
  inode: Inode,
  clear: boolean,
): Promise<unknown> | undefined {
  const told = clear ? clearPrivilegesHere(core, inode) : undefined;
  const { attributes } = inode;
  if (attributes === undefined || !mayLoseSetgid(request, attributes)) return told;
  return Promise.all([told, askForSetgid(core, request, inode)]);
}

async function askForSetgid(core: Core, request: RequestContext, { ino }: Inode): Promise<void> {
  const { coherence, identity, inodes, nameServer, notifier } = core;
  const since = coherence.moment;
  const { attributes } = await identity.as(request, (caller) =>
    nameServer.change("setattr", { caller, ino, killPrivileges: true }, { signal: request.signal }),
  );
  inodes.changed(attributes, since);
  await notifier?.invalidateAttributes(ino);
}

/** Undefined when there is nothing to clear; else resolves when the kernel knows. */
function clearPrivilegesHere(core: Core, inode: Inode): Promise<unknown> | undefined {
  if (inode.attributes === undefined || !hasPrivileges(visibleAttributes(inode).mode)) return undefined;
  inode.privilegesCleared = true;
  return core.notifier?.invalidateAttributes(inode.ino);
}
