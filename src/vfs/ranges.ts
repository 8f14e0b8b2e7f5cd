/**
 * FALLOCATE, LSEEK and COPY_FILE_RANGE: changes and questions about ranges of a file, at the server. A copy that would be
 * kept inline is made here, as a write: a request that waits for the disk takes much longer.
 */
import { FsError } from "../base/errno.ts";
import { limits } from "../base/limits.ts";
import { fallocateModes, type Operations } from "../fuse/operations.ts";
import { staleIfGone, type Core } from "./core.ts";
import type { ByteRange, Inode } from "./inode.ts";
import { isReading, isWriting } from "./open-flags.ts";
import { lostPrivileges } from "./privileges.ts";
import { transferOperations } from "./transfer.ts";

const { keepSize, punchHole, zeroRange } = fallocateModes;
const offered = new Set([0, keepSize, punchHole | keepSize, zeroRange, zeroRange | keepSize]);

export function rangeOperations(core: Core): Pick<Operations, "fallocate" | "lseek" | "copyFileRange"> {
  const { nameServer, coherence, inodes, handles, inodeContents } = core;
  const { write } = transferOperations(core);

  return {
    async fallocate(request, ino, handle, offset, length, mode) {
      const { inode } = handles.file(handle);
      if (length <= 0 || offset < 0) throw new FsError("EINVAL", `inode ${String(ino)}: fallocate of an empty range`);
      if (!offered.has(mode)) throw new FsError("EOPNOTSUPP", `fallocate mode ${String(mode)}`);
      if (offset + length > limits.fileBytesMax) throw new FsError("EFBIG", `inode ${String(ino)}: fallocate`);
      await changeContent(inode, async () => {
        const since = coherence.moment;
        const { attributes } = await core.identity.as(request, (caller) =>
          nameServer.change("fallocate", { caller, ino, offset, length, mode }, { signal: request.signal }),
        );
        inodes.changed(attributes, since);
      });
    },

    lseek(_request, _ino, handle, offset, whence) {
      return inodeContents.of(handles.file(handle).inode).seek(offset, whence);
    },

    async copyFileRange(request, from, to, length) {
      const source = handles.file(from.handle);
      const target = handles.file(to.handle);
      if (!isReading(source.flags) || !isWriting(target.flags)) throw new FsError("EBADF", "copy_file_range");
      const size = inodeContents.of(source.inode).size;
      if (Math.min(length, size - from.offset) <= 0) return 0;
      if (to.offset >= limits.fileBytesMax) throw new FsError("EFBIG", `inode ${String(to.ino)}: copy_file_range`);
      const possible = Math.min(length, size - from.offset, limits.fileBytesMax - to.offset);
      const sameFile = source.inode === target.inode;
      if (sameFile && from.offset < to.offset + possible && to.offset < from.offset + possible) {
        throw new FsError("EINVAL", `inode ${String(from.ino)}: copy_file_range onto itself`);
      }
      if (possible <= limits.inlineBytesMax && coherence.mayBuffer(target.inode)) {
        const content = await readWhole(source.inode, { offset: from.offset, length: possible }, request.signal);
        core.accessTimes.read(source.inode);
        const how = { flags: target.flags, fromPageCache: false, killPrivileges: false };
        return content.length === 0 ? 0 : await write(request, to.ino, to.handle, to.offset, content, how);
      }
      // A change flushes its own file; the source, if it is another one, has to be at the server too.
      if (!sameFile) await inodeContents.of(source.inode).flush(request.signal);
      const copied = await changeContent(target.inode, async () => {
        const since = coherence.moment;
        const what = { from: from.ino, fromOffset: from.offset, to: to.ino, toOffset: to.offset, length: possible };
        const reply = await core.identity.as(request, (caller) =>
          nameServer.change("copyFileRange", { ...what, caller }, { signal: request.signal }),
        );
        inodes.changed(reply.attributes, since);
        return reply.copied;
      });
      core.accessTimes.read(source.inode);
      coherence.transferred(target.inode, { offset: to.offset, length: copied }, coherence.moment);
      return copied;
    },
  };

  /** A copy. */
  async function readWhole(inode: Inode, { offset, length }: ByteRange, signal: AbortSignal): Promise<Buffer> {
    const { pieces, release } = await inodeContents.of(inode).read(offset, length, signal);
    const content = Buffer.concat(pieces);
    release?.();
    return content;
  }

  async function changeContent<T>(inode: Inode, run: () => Promise<T>): Promise<T> {
    const modeBefore = inode.attributes?.mode;
    try {
      return await inodeContents.of(inode).change({}, run);
    } catch (error) {
      inodes.markStale(inode);
      throw staleIfGone(error);
    } finally {
      if (lostPrivileges(modeBefore, inode.attributes?.mode)) await core.notifier?.invalidateAttributes(inode.ino);
    }
  }
}
