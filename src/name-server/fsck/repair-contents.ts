/** Repairs of contents: of their sums, and of what belongs to no file. Single extents: `repair-extents.ts`. */
import type { Ino } from "../../base/ids.ts";
import { inoOfKey, keys, offsetOfKey } from "../../metadata-store/keys.ts";
import { decodeExtent, detachedFirst, type InodeRecord } from "../../metadata-store/records.ts";
import type { Key } from "../../metadata-store/types.ts";
import { detachContent, endOf, extentsFrom } from "../namespace/content.ts";
import type { OperationContext } from "../namespace/index.ts";
import { changeInlineSum } from "../namespace/inline-sum.ts";
import { changeTime, writeInode } from "../namespace/inodes.ts";
import { inodeOf, ownsContent } from "./records.ts";
import type { Repair } from "./types.ts";

/** What so many extents add up to is found in one step. */
const extentsMax = 200_000;

export function fixUsed(ino: Ino, content: Ino): Repair {
  return fromExtents("the sum was corrected", ino, content, (record, { used }) =>
    record.bytesUsed === used ? undefined : { ...record, bytesUsed: used },
  );
}

export function fixSize(ino: Ino, content: Ino): Repair {
  return fromExtents("the file reaches to the end of its extents now", ino, content, (record, { end }) =>
    record.size >= end ? undefined : { ...record, size: end },
  );
}

function fromExtents(
  text: string,
  ino: Ino,
  content: Ino,
  change: (record: InodeRecord, sums: { readonly used: number; readonly end: number }) => InodeRecord | undefined,
): Repair {
  return {
    text,
    inos: [ino],
    run(context: OperationContext) {
      const { transaction } = context;
      const record = inodeOf(transaction, ino);
      if (!ownsContent(record, content)) return false;
      const found = extentsFrom(transaction, content, 0, Number.MAX_SAFE_INTEGER, extentsMax + 1);
      if (found.length > extentsMax) return false;
      const last = found.at(-1);
      const used = found.reduce((sum, { record: { length } }) => sum + length, 0);
      const changed = change(record, { used, end: last === undefined ? 0 : endOf(last) });
      if (changed === undefined) return false;
      writeInode(transaction, ino, { ...changed, ctime: changeTime(context, record) });
      return true;
    },
  };
}

/** No file has this number, and none will: numbers are never used again. */
export function detach(content: Ino): Repair {
  return {
    text: "they were given to the reclaim queue",
    inos: [],
    run({ transaction }) {
      const isQueued = transaction.get(keys.reclaim(detachedFirst + content)) !== undefined;
      if (isQueued || extentsFrom(transaction, content, 0, Number.MAX_SAFE_INTEGER, 1).length === 0) return false;
      detachContent(transaction, content);
      return true;
    },
  };
}

export function keepContent(ino: Ino, content: Ino): Repair {
  return {
    text: "it was taken out of the queue",
    inos: [],
    run({ transaction }) {
      const key = keys.reclaim(detachedFirst + content);
      if (transaction.get(key) === undefined || !ownsContent(inodeOf(transaction, ino), content)) return false;
      transaction.remove(key);
      return true;
    },
  };
}

/** By so much: what has changed meanwhile was counted. */
export function fixInlineSum(difference: number): Repair {
  return {
    text: "the sum was corrected",
    inos: [],
    run({ transaction }) {
      changeInlineSum(transaction, difference);
      return true;
    },
  };
}

export function removeInline(key: Key): Repair {
  return {
    text: "they were removed",
    inos: [],
    run({ transaction }) {
      if (transaction.get(key) === undefined) return false;
      const extent = transaction.get(keys.extent(inoOfKey(key), offsetOfKey(key)));
      if (extent !== undefined && decodeExtent(extent).kind === "inline") return false;
      transaction.remove(key);
      return true;
    },
  };
}
