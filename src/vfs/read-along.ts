/**
 * Reading ahead over files: who reads some files of a directory mostly reads more of them. When the content of one has to
 * be asked for, that of the next ones in the listing is asked for in the same request, more and more of them as long as
 * they are read indeed.
 *
 * Only what is believed to be a clean file of which nothing is known here, and only what is the same when the answer is
 * in; the server tells only what nobody has to be asked for.
 */
import { isRegular } from "../base/attributes.ts";
import type { Ino } from "../base/ids.ts";
import { limits } from "../base/limits.ts";
import type { FileContent, ReadFile } from "../cache/types.ts";
import type { Coherence } from "./coherence.ts";
import type { DentryCache } from "./dentry-cache.ts";
import type { InodeTable } from "./inode-table.ts";
import type { Inode } from "./inode.ts";

export interface ReadAlong {
  /** Files to be asked for beside this one. */
  companions(inode: Inode): readonly Ino[];
  /** Their content, asked for at `since`. */
  told(files: readonly ReadFile[], since: number): void;
  /** The content is read now. */
  read(inode: Inode): void;
}

const missedMin = 2;
const filesMin = 32;
/** So many may be told and not read, and so many more for each one that is: programs read in an order of their own. */
const unreadMax = 128;
const unreadPerRead = 4;
/** How many names one request looks at. */
const looksMax = 256;

export function createReadAlong(parts: {
  readonly inodes: InodeTable;
  readonly dentries: DentryCache;
  readonly coherence: Coherence;
  /** See InodeContents. */
  readonly inodeContents: () => { of(inode: Inode): FileContent; closed(inode: Inode): void };
}): ReadAlong {
  const { inodes, dentries, coherence, inodeContents } = parts;

  const directoryOf = ({ seenIn }: Inode): Inode | undefined => (seenIn === undefined ? undefined : inodes.get(seenIn));

  const isWanted = (inode: Inode | undefined): inode is Inode => {
    const { attributes, content } = inode ?? {};
    if (inode === undefined || attributes === undefined || inode.removed || !coherence.trusts(inode)) return false;
    if (!isRegular(attributes.mode) || attributes.size === 0 || attributes.size > limits.blockBytesMax) return false;
    return content === undefined || content.isUnknown;
  };

  return {
    companions(inode) {
      const directory = directoryOf(inode);
      if (directory === undefined) return [];
      const { ino } = directory;
      const along = (directory.along ??= { missed: 0, told: 0, read: 0, children: dentries.children(ino) });
      if (++along.missed < missedMin || along.told >= unreadMax + along.read * unreadPerRead) return [];
      const filesMax = Math.min(limits.readAlongFilesMax, filesMin + along.read);
      const files: Ino[] = [];
      let isAgain = false;
      for (let looks = 0; looks < looksMax && files.length < filesMax; looks++) {
        const next = along.children.next();
        if (next.done === true) {
          if (isAgain) break;
          isAgain = true;
          along.children = dentries.children(ino);
        } else if (next.value !== inode.ino && isWanted(inodes.get(next.value))) files.push(next.value);
      }
      along.told += files.length;
      return files;
    },
    told(files, since) {
      for (const { attributes, extents } of files) {
        const inode = inodes.get(attributes.ino);
        if (!isWanted(inode) || since < inode.staleAt || !coherence.holds(inode.ino, since)) continue;
        if (inode.attributes?.ctime !== attributes.ctime || inode.attributes.size !== attributes.size) continue;
        inodeContents().of(inode).know(extents);
        if (inode.opens === 0) inodeContents().closed(inode);
        inode.toldAlong = true;
      }
    },
    read(inode) {
      if (!inode.toldAlong) return;
      inode.toldAlong = false;
      const along = directoryOf(inode)?.along;
      if (along !== undefined) along.read++;
    },
  };
}
