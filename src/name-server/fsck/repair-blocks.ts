/** Repairs of the accounts of blocks. Nothing is ordered to be deleted that an extent of the living store names. */
import type { BlockId, SessionId } from "../../base/ids.ts";
import { keys } from "../../metadata-store/keys.ts";
import {
  decodeBlock,
  decodePack,
  decodeRange,
  decodeReclaim,
  encodeBlock,
  encodeRange,
  encodeReclaim,
  isNamed,
} from "../../metadata-store/records.ts";
import type { Key } from "../../metadata-store/types.ts";
import { queueForDeletion } from "../namespace/block-accounts.ts";
import { releaseRanges } from "../namespace/index.ts";
import type { Repair } from "./types.ts";

/** Every extent that comes or goes changes the record: as long as it is as it was found, so are the extents. */
export function fixBlock(
  block: BlockId,
  found: Buffer | undefined,
  right: { readonly references: number; readonly liveBytes: number; readonly end: number },
): Repair {
  return {
    text: right.references === 0 ? "it was given to the reclaim queue" : "the count was corrected",
    inos: [],
    run(context) {
      const { transaction } = context;
      const key = keys.block(block);
      const now = transaction.get(key);
      const isUnchanged = now === undefined ? found === undefined : found?.equals(now) === true;
      if (!isUnchanged) return false;
      if (right.references === 0) {
        transaction.remove(key);
        if (transaction.get(keys.pack(block)) !== undefined) transaction.remove(keys.pack(block));
        queueForDeletion(context, [block]);
        return true;
      }
      const before = found === undefined ? undefined : decodeBlock(found);
      const length = Math.max(right.end, before?.length ?? 0);
      const { references, liveBytes } = right;
      transaction.put(key, encodeBlock({ length, references, liveBytes, owner: before?.owner ?? 0 }));
      return true;
    },
  };
}

/** Cleaning looks through all extents instead. */
export function removePack(block: BlockId): Repair {
  return {
    text: "it was removed",
    inos: [],
    run({ transaction }) {
      const pack = transaction.get(keys.pack(block));
      const record = transaction.get(keys.block(block));
      if (pack === undefined || (record !== undefined && isPack(pack) && isPacked(record))) return false;
      transaction.remove(keys.pack(block));
      return true;
    },
  };
}

export function isPack(value: Buffer): boolean {
  try {
    return decodePack(value).contents.length > 0;
  } catch {
    return false;
  }
}

/** Of a record that cannot be read it is not said. */
export function isPacked(record: Buffer): boolean {
  try {
    return decodeBlock(record).owner === 0;
  } catch {
    return true;
  }
}

/** The block stays: something names it. */
export function unqueue(key: Key, block: BlockId): Repair {
  return {
    text: "it was taken out of the queue",
    inos: [],
    run({ transaction }) {
      const value = transaction.get(key);
      if (value === undefined || transaction.get(keys.block(block)) === undefined) return false;
      const record = decodeReclaim(value);
      if (record.kind !== "blocks") return false;
      const blocks = record.blocks.filter(({ group, number }) => group !== block.group || number !== block.number);
      if (blocks.length === record.blocks.length) return false;
      if (blocks.length === 0) transaction.remove(key);
      else transaction.put(key, encodeReclaim({ ...record, blocks }));
      return true;
    },
  };
}

/** A number is named once for ever. */
export function markNamed(key: Key, index: number): Repair {
  return {
    text: "it may not any more",
    inos: [],
    run({ transaction }) {
      const value = transaction.get(key);
      if (value === undefined) return false;
      const range = decodeRange(value);
      if (isNamed(range, index)) return false;
      range.named.writeUInt8(range.named.readUInt8(index >>> 3) | (1 << (index & 7)), index >>> 3);
      transaction.put(key, encodeRange(range));
      return true;
    },
  };
}

export function releaseDeparted(session: SessionId): Repair {
  return {
    text: "those that nothing names were given to the reclaim queue",
    inos: [],
    run(context) {
      const before = context.transaction.keys;
      releaseRanges(context, session);
      return context.transaction.keys > before;
    },
  };
}
