/** fallocate(2). Space is not set aside: extending makes a hole, and zeroing or punching makes one. */
import { FsError } from "../../base/errno.ts";
import { limits } from "../../base/limits.ts";
import { requireRoom } from "./context.ts";
import { discardStretch } from "./discard.ts";
import { attributesOf, changeTime, readFile, writeInode } from "./inodes.ts";
import { afterWrite } from "./privileges.ts";
import type { Method } from "./types.ts";

/** include/uapi/linux/falloc.h */
const modes = { keepSize: 1, punchHole: 2, zeroRange: 16 } as const;

export const fallocate: Method<"fallocate"> = (context, { caller, ino, offset, length, mode }) => {
  const { transaction } = context;
  const record = readFile(transaction, ino);
  const end = offset + length;
  const keepSize = (mode & modes.keepSize) !== 0;
  const kind = mode & ~modes.keepSize;
  const punch = kind === modes.punchHole && keepSize;
  if (kind !== 0 && kind !== modes.zeroRange && !punch) throw new FsError("EOPNOTSUPP", `fallocate ${String(mode)}`);
  if (end > limits.fileBytesMax) throw new FsError("EFBIG", `inode ${String(ino)} up to ${String(end)}`);
  if (!punch) {
    requireRoom(context);
    const { bytesFree } = context.space();
    if (length > bytesFree) throw new FsError("ENOSPC", `${String(length)} bytes of ${String(bytesFree)} free`);
  }
  const cutEnd = Math.min(end, record.size);
  const cut =
    kind === 0 || offset >= cutEnd
      ? record
      : discardStretch(context, ino, record, { start: offset, end: cutEnd, truncate: false });
  const now = changeTime(context, record);
  const changed = {
    ...afterWrite(transaction, ino, cut, caller),
    size: keepSize ? record.size : Math.max(record.size, end),
    mtime: now,
    ctime: now,
  };
  writeInode(transaction, ino, changed);
  return { attributes: attributesOf(ino, changed) };
};
