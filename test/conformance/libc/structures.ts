/** Structures of the Linux headers, as bytes. */
import { UTIME } from "./constants.ts";

export interface Stat {
  readonly mode: number;
  readonly nlink: number;
  readonly uid: number;
  readonly gid: number;
  readonly ino: bigint;
  readonly size: bigint;
  readonly blocks: bigint;
  readonly rdevMajor: number;
  readonly rdevMinor: number;
  readonly atime: bigint;
  readonly mtime: bigint;
  readonly ctime: bigint;
  readonly btime: bigint;
  readonly mask: number;
}

/** struct statx of linux/stat.h; times in nanoseconds. */
export function parseStatx(b: Buffer): Stat {
  const time = (at: number): bigint => b.readBigInt64LE(at) * 1_000_000_000n + BigInt(b.readUInt32LE(at + 8));
  return {
    mask: b.readUInt32LE(0),
    nlink: b.readUInt32LE(16),
    uid: b.readUInt32LE(20),
    gid: b.readUInt32LE(24),
    mode: b.readUInt16LE(28),
    ino: b.readBigUInt64LE(32),
    size: b.readBigUInt64LE(40),
    blocks: b.readBigUInt64LE(48),
    atime: time(64),
    btime: time(80),
    ctime: time(96),
    mtime: time(112),
    rdevMajor: b.readUInt32LE(128),
    rdevMinor: b.readUInt32LE(132),
  };
}

/** Two struct timespec. Bigints are nanoseconds since 1970; UTIME.NOW and UTIME.OMIT as they are. */
export function timespecs(times: readonly [bigint | "now" | "omit", bigint | "now" | "omit"]): Buffer {
  const b = Buffer.alloc(32);
  times.forEach((time, i) => {
    const nanos =
      time === "now"
        ? UTIME.NOW
        : time === "omit"
          ? UTIME.OMIT
          : ((time % 1_000_000_000n) + 1_000_000_000n) % 1_000_000_000n;
    b.writeBigInt64LE(typeof time === "bigint" ? (time - nanos) / 1_000_000_000n : 0n, i * 16);
    b.writeBigInt64LE(nanos, i * 16 + 8);
  });
  return b;
}

export interface FileLock {
  readonly type: number;
  readonly whence?: number;
  readonly start?: bigint;
  /** 0: to the end. */
  readonly length?: bigint;
  readonly pid?: number;
}

/** struct flock of x86-64 and arm64. */
export function packLock(lock: FileLock): Buffer {
  const b = Buffer.alloc(32);
  b.writeInt16LE(lock.type, 0);
  b.writeInt16LE(lock.whence ?? 0, 2);
  b.writeBigInt64LE(lock.start ?? 0n, 8);
  b.writeBigInt64LE(lock.length ?? 0n, 16);
  b.writeInt32LE(lock.pid ?? 0, 24);
  return b;
}
