/** Repairs of what hangs on inodes, and of the numbers that count them. */
import type { Ino, SessionId } from "../../base/ids.ts";
import { keys, xattrNameOfKey } from "../../metadata-store/keys.ts";
import {
  decodeCounter,
  decodeOrphan,
  decodeXattr,
  encodeCounter,
  inodeXattrsMask,
} from "../../metadata-store/records.ts";
import type { Key } from "../../metadata-store/types.ts";
import { countOfInodes } from "../namespace/index.ts";
import { changeTime, writeInode } from "../namespace/inodes.ts";
import { releaseOrphan, removeInode } from "../namespace/orphans.ts";
import { flagOf, listXattrs } from "../namespace/xattr-store.ts";
import { inodeOf } from "./records.ts";
import type { Repair } from "./types.ts";

/** Something that no inode, or not this one, can have; numbers are never used again, so that stays so. */
export function removeKey(key: Key, ino: Ino): Repair {
  return {
    text: "it was removed",
    inos: [ino],
    run({ transaction }) {
      if (transaction.get(key) === undefined) return false;
      // An inode that has lost its last name since may be an orphan by right.
      if (key === keys.orphan(ino) && inodeOf(transaction, ino)?.nlink === 0) return false;
      transaction.remove(key);
      return true;
    },
  };
}

/** The first 1,000 keys that begin so. (More: in the next round.) */
export function removeKeys(prefix: Key, ino: Ino): Repair {
  return {
    text: "they were removed",
    inos: [],
    run({ transaction }) {
      if (inodeOf(transaction, ino) !== undefined) return false;
      const bounds = { gte: prefix, lt: keys.xattrsEnd(ino), limit: 1_000 };
      const found = [...transaction.range(bounds)].map(([key]) => key);
      for (const key of found) transaction.remove(key);
      return found.length > 0;
    },
  };
}

export function fixXattrs(ino: Ino): Repair {
  return {
    text: "their count was corrected",
    inos: [ino],
    run(context) {
      const { transaction } = context;
      const record = inodeOf(transaction, ino);
      if (record === undefined) return false;
      let xattrCount = 0;
      let flags = record.flags & ~inodeXattrsMask;
      for (const [key, value] of transaction.range({ gte: keys.xattrsFrom(ino), lt: keys.xattrsEnd(ino) })) {
        const name = xattrNameOfKey(key);
        if (name === undefined) continue;
        xattrCount += decodeXattr(value).pieces;
        flags |= flagOf(name);
      }
      if (record.xattrCount === xattrCount && record.flags === flags) return false;
      writeInode(transaction, ino, { ...record, xattrCount, flags, ctime: changeTime(context, record) });
      return true;
    },
  };
}

/** An xattr that is not whole cannot be read: it goes, with pieces that belong to none. */
export function removeBrokenXattrs(ino: Ino): Repair {
  return {
    text: "what is left of it was removed",
    inos: [ino],
    run(context) {
      const { transaction } = context;
      const record = inodeOf(transaction, ino);
      if (record === undefined) return false;
      const bounds = { gte: keys.xattrsFrom(ino), lt: keys.xattrsEnd(ino) };
      const stray = new Set([...transaction.range(bounds)].map(([key]) => key));
      for (const { name, pieces } of listXattrs(transaction, ino)) {
        const own = Array.from({ length: pieces }, (_, piece) =>
          piece === 0 ? keys.xattr(ino, name) : keys.xattrPiece(ino, name, piece),
        );
        if (own.every((key) => stray.has(key))) for (const key of own) stray.delete(key);
      }
      if (stray.size === 0) return false;
      for (const key of stray) transaction.remove(key);
      const left = listXattrs(transaction, ino);
      const xattrCount = left.reduce((sum, { pieces }) => sum + pieces, 0);
      const flags = left.reduce((sum, { name }) => sum | flagOf(name), record.flags & ~inodeXattrsMask);
      writeInode(transaction, ino, { ...record, xattrCount, flags, ctime: changeTime(context, record) });
      return true;
    },
  };
}

export function fixTargetSize(ino: Ino): Repair {
  return {
    text: "its size was corrected",
    inos: [ino],
    run(context) {
      const { transaction } = context;
      const record = inodeOf(transaction, ino);
      const target = transaction.get(keys.symlink(ino));
      if (record === undefined || target === undefined || record.size === target.length) return false;
      writeInode(transaction, ino, { ...record, size: target.length, ctime: changeTime(context, record) });
      return true;
    },
  };
}

/** Sessions that have ended let go; without any other claim the inode goes. */
export function releaseFrom(ino: Ino, departed: readonly SessionId[]): Repair {
  return {
    text: "it was released",
    inos: [ino],
    run(context) {
      const { transaction } = context;
      const value = transaction.get(keys.orphan(ino));
      if (value === undefined) return false;
      for (const session of departed) releaseOrphan(context, ino, session);
      const record = inodeOf(transaction, ino);
      if (departed.length > 0 || record?.nlink !== 0) return departed.length > 0;
      if (decodeOrphan(value).sessions.length > 0) return false;
      transaction.remove(keys.orphan(ino));
      removeInode(context, ino, record);
      return true;
    },
  };
}

/** By so many: what has been made and removed meanwhile was counted. */
export function fixCount(difference: number): Repair {
  return {
    text: "the count was corrected",
    inos: [],
    run({ transaction }) {
      transaction.put(keys.config("inodes"), encodeCounter(Math.max(0, countOfInodes(transaction) + difference)));
      return true;
    },
  };
}

/** A number in use must not be given again. */
export function reserveInodes(greatest: number): Repair {
  return {
    text: "they begin behind it from now on",
    inos: [],
    run({ transaction, allocator }) {
      const key = keys.config("inosReserved");
      const value = transaction.get(key);
      allocator.passOver(greatest);
      if (value === undefined || decodeCounter(value) <= greatest) transaction.put(key, encodeCounter(greatest + 1));
      return true;
    },
  };
}
