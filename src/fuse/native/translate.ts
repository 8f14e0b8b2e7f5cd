/** Attributes, times and statistics in the package's forms: pure, and with what these forms cannot hold. */
import type { Stat, Statvfs } from "fuse-native";
import type { Attributes, Nanos } from "../../base/attributes.ts";
import { FsError } from "../../base/errno.ts";
import { limits } from "../../base/limits.ts";
import type { FilesystemStatistics } from "../operations.ts";

const nanosPerMilli = 1_000_000n;
const preferredBytes = 128 * 1024;
const uint32Max = 2 ** 32 - 1;

export function toStat(attributes: Attributes): Stat {
  const { mode, nlink, uid, gid, rdev, size, blocks, atime, mtime, ctime } = attributes;
  return {
    mode,
    nlink,
    uid,
    gid,
    rdev,
    size,
    blocks,
    blksize: preferredBytes,
    ino: attributes.ino % 2 ** 32,
    atime: toMillis(atime),
    mtime: toMillis(mtime),
    ctime: toMillis(ctime),
  };
}

/** Only what readdir tells. */
export function toEntryStat(ino: number, type: number): Stat {
  return { mode: type, ino: ino % 2 ** 32, atime: 0, mtime: 0, ctime: 0 };
}

/** Times before 1970 cannot be told. */
function toMillis(nanos: Nanos): number {
  return nanos < 0n ? 0 : Number(nanos / nanosPerMilli);
}

export function fromMillis(millis: number): Nanos {
  if (!Number.isSafeInteger(millis)) throw new FsError("EOVERFLOW", `a time of ${String(millis)} ms`);
  return BigInt(millis) * nanosPerMilli;
}

/** The larger the filesystem, the larger its unit: counts have 32 bits. */
export function toStatvfs(statistics: FilesystemStatistics): Statvfs {
  const { blocks, blocksFree, blocksAvailable, files, filesFree, blockBytes, nameBytesMax } = statistics;
  let scale = 1;
  while (blocks / scale > uint32Max) scale *= 2;
  const scaled = (count: number): number => Math.floor(count / scale);
  const clamped = (count: number): number => Math.min(count, uint32Max);
  return {
    bsize: blockBytes * scale,
    frsize: blockBytes * scale,
    blocks: scaled(blocks),
    bfree: scaled(blocksFree),
    bavail: scaled(blocksAvailable),
    files: clamped(files),
    ffree: clamped(filesFree),
    favail: clamped(filesFree),
    namemax: nameBytesMax,
  };
}

/** A size or the place of a write: EFBIG where a double would round it. */
export function checkOffset(offset: number): number {
  if (offset > limits.fileBytesMax) throw new FsError("EFBIG", `an offset of ${String(offset)}`);
  return offset;
}
