/**
 * The content of inodes: opened at the first use, closed when the file has been closed and is clean. Of closed files a
 * bounded number stay, because their extents are worth remembering.
 */
import { FsError } from "../base/errno.ts";
import type { Ino } from "../base/ids.ts";
import type { Contents, FileContent } from "../cache/types.ts";
import type { Background } from "./background.ts";
import { InodeOwner, type InodeOwnerParts } from "./inode-owner.ts";
import type { Inode } from "./inode.ts";

export interface InodeContents {
  /** At hand after an open; ESTALE if nothing is known of the inode. */
  of(inode: Inode): FileContent;
  /** Nobody has it open any more: dirty data goes out, or is dropped with the file. */
  closed(inode: Inode): void;
  /** Nothing but its content is left of the inode: clean it, then let go of both. */
  retire(inode: Inode): void;
  readonly idleCount: number;
}

export interface InodeContentsParts extends InodeOwnerParts {
  readonly contents: Contents;
  readonly background: Background;
  readonly idleMax: number;
}

export function createInodeContents(parts: InodeContentsParts): InodeContents {
  const { contents, background, log, idleMax } = parts;
  const idle = new Map<Ino, Inode>();
  const retiring = new Set<Inode>();

  const open = (inode: Inode): FileContent => {
    if (inode.attributes === undefined) throw new FsError("ESTALE", `inode ${String(inode.ino)} has no attributes`);
    return (inode.content = contents.open(new InodeOwner(parts, inode), inode.attributes));
  };

  const close = (inode: Inode): void => {
    idle.delete(inode.ino);
    if (inode.content === undefined) return;
    contents.close(inode.ino);
    inode.content = undefined;
    inode.writtenBytes = 0;
    inode.privilegesCleared = false;
    inode.lostData = false;
    inode.flushAtClose = false;
    parts.inodes().dropIfUnused(inode);
  };

  /**
   * Cleans it first, however long that takes; who opens it meanwhile keeps it. What cannot be sent now stays among the
   * idle ones and is tried again when it is the oldest of them.
   */
  const retire = (inode: Inode): void => {
    if (retiring.has(inode) || inode.opens > 0) return;
    const content = inode.content;
    if (content?.isDirty !== true) {
      close(inode);
      return;
    }
    retiring.add(inode);
    const flushed = content.flush().catch((error: unknown) => {
      log.error(
        { ino: inode.ino, error: String(error) },
        "what was written before the last close could not be flushed",
      );
    });
    background.run(
      "flush a closed file",
      flushed.then(() => {
        retiring.delete(inode);
        if (inode.opens > 0 || inode.content !== content) return;
        if (content.isDirty) idle.set(inode.ino, inode);
        else close(inode);
      }),
    );
  };

  return {
    of: (inode) => inode.content ?? open(inode),
    closed(inode) {
      const content = inode.content;
      if (content === undefined) return;
      if (inode.removed) {
        content.discard();
        close(inode);
        return;
      }
      if (content.isDirty) content.flushSoon();
      idle.delete(inode.ino);
      idle.set(inode.ino, inode);
      if (idle.size <= idleMax) return;
      for (const [ino, oldest] of idle) {
        idle.delete(ino);
        retire(oldest);
        break;
      }
    },
    retire,
    get idleCount() {
      return idle.size;
    },
  };
}
