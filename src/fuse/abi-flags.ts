/** Bits and codes of the kernel's protocol (include/uapi/linux/fuse.h, 7.45), and its versions that we speak. */

export const protocol = {
  major: 7,
  /** The newest minor version that is understood here. */
  minorMax: 45,
  /** Linux 5.4: the oldest minor version whose structures are all of the sizes below. */
  minorMin: 31,
  /** INC_EPOCH is known from here on. */
  minorIncEpoch: 44,
} as const;

/** fuse_init_in.flags and fuse_init_out.flags: bits 0 to 31. */
export const initFlags = {
  asyncRead: 2 ** 0,
  posixLocks: 2 ** 1,
  atomicTruncate: 2 ** 3,
  exportSupport: 2 ** 4,
  bigWrites: 2 ** 5,
  dontMask: 2 ** 6,
  flockLocks: 2 ** 10,
  readdirplus: 2 ** 13,
  readdirplusAuto: 2 ** 14,
  asyncDirectIo: 2 ** 15,
  writebackCache: 2 ** 16,
  parallelDirops: 2 ** 18,
  posixAcl: 2 ** 20,
  maxPages: 2 ** 22,
  cacheSymlinks: 2 ** 23,
  explicitInvalData: 2 ** 25,
  handleKillprivV2: 2 ** 28,
  setxattrExt: 2 ** 29,
  /** flags2 is there, both ways. */
  initExt: 2 ** 30,
} as const;

/** fuse_init_in.flags2 and fuse_init_out.flags2: bits 32 to 63 of the flags, shifted down. */
export const initFlags2 = {
  createSuppGroup: 2 ** 2,
  directIoAllowMmap: 2 ** 4,
  hasResend: 2 ** 7,
} as const;

/** fuse_setattr_in.valid */
export const setattrValid = {
  mode: 1 << 0,
  uid: 1 << 1,
  gid: 1 << 2,
  size: 1 << 3,
  atime: 1 << 4,
  mtime: 1 << 5,
  handle: 1 << 6,
  atimeNow: 1 << 7,
  mtimeNow: 1 << 8,
  ctime: 1 << 10,
  killSuidgid: 1 << 11,
} as const;

/** fuse_open_out.open_flags (FOPEN_...) */
export const openedFlags = {
  directIo: 1 << 0,
  keepCache: 1 << 1,
  nonSeekable: 1 << 2,
  cacheDirectory: 1 << 3,
  noFlush: 1 << 5,
} as const;

/** fuse_open_in.open_flags (FUSE_OPEN_...) */
export const openFlags = { killSuidgid: 1 << 0 } as const;
/** fuse_getattr_in.getattr_flags */
export const getattrFlags = { handle: 1 << 0 } as const;
/** fuse_read_in.read_flags: `lockOwner` where a program reads by itself, not the page cache */
export const readFlags = { lockOwner: 1 << 1 } as const;
/** fuse_write_in.write_flags */
export const writeFlags = { fromPageCache: 1 << 0, killSuidgid: 1 << 2 } as const;
/** fuse_release_in.release_flags */
export const releaseFlags = { flockUnlock: 1 << 1 } as const;
/** fuse_fsync_in.fsync_flags */
export const fsyncFlags = { dataOnly: 1 << 0 } as const;
/** fuse_lk_in.lk_flags */
export const lockFlags = { flock: 1 << 0 } as const;
/** fuse_setxattr_in.setxattr_flags */
export const setxattrFlags = { aclKillSgid: 1 << 0 } as const;
/** fuse_ext_header.type */
export const extensionTypes = { groups: 32 } as const;

/** fcntl.h, as in fuse_file_lock.type */
export const lockTypes = { read: 0, write: 1, unlock: 2 } as const;

/** fuse_out_header.error of a message that is no reply (its unique is 0) */
export const notifyCodes = { invalInode: 2, invalEntry: 3, resend: 7, incEpoch: 8, prune: 9 } as const;

/** statx(2): STATX_BASIC_STATS | STATX_BTIME */
export const statxMaskAll = 0xfff;
