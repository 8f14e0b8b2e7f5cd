/**
 * Structures of the kernel's protocol as tables: each field's offset from the structure's start, and the size of all.
 * Little endian; fields are u64 where the next offset is 8 further, else u32 (u16 where marked).
 * From include/uapi/linux/fuse.h, 7.45.
 */

/* ---- both directions ---- */

/** Before every request. `extensionWords` (u16): how many times 8 bytes of extensions end the request. */
// prettier-ignore
export const inHeader = {
  len: 0, opcode: 4, unique: 8, nodeid: 16, uid: 24, gid: 28, pid: 32, extensionWords: 36, bytes: 40,
} as const;
/** Before every reply (error: i32, 0 or a negative errno) and notification (error: its code, unique 0). */
// prettier-ignore
export const outHeader = { len: 0, error: 4, unique: 8, bytes: 16 } as const;
// prettier-ignore
export const fileLock = { start: 0, end: 8, type: 16, pid: 20, bytes: 24 } as const;

/* ---- requests; names follow, each ended by NUL ---- */

// prettier-ignore
export const initIn = { major: 0, minor: 4, maxReadahead: 8, flags: 12, flags2: 16, bytesBeforeFlags2: 16, bytes: 64 } as const;
export const forgetIn = { nlookup: 0, bytes: 8 } as const;
export const batchForgetIn = { count: 0, bytes: 8 } as const;
export const forgetOne = { nodeid: 0, nlookup: 8, bytes: 16 } as const;
export const getattrIn = { flags: 0, fh: 8, bytes: 16 } as const;
export const statxIn = { flags: 0, fh: 8, statxFlags: 16, statxMask: 20, bytes: 24 } as const;
// prettier-ignore
export const setattrIn = {
  valid: 0, fh: 8, size: 16, lockOwner: 24, atime: 32, mtime: 40, ctime: 48, atimeNanos: 56, mtimeNanos: 60,
  ctimeNanos: 64, mode: 68, uid: 76, gid: 80, bytes: 88,
} as const;
export const mknodIn = { mode: 0, rdev: 4, umask: 8, bytes: 16 } as const;
export const mkdirIn = { mode: 0, umask: 4, bytes: 8 } as const;
export const renameIn = { newDirectory: 0, bytes: 8 } as const;
export const rename2In = { newDirectory: 0, flags: 8, bytes: 16 } as const;
export const linkIn = { oldNodeid: 0, bytes: 8 } as const;
export const openIn = { flags: 0, openFlags: 4, bytes: 8 } as const;
export const createIn = { flags: 0, mode: 4, umask: 8, openFlags: 12, bytes: 16 } as const;
export const releaseIn = { fh: 0, flags: 8, releaseFlags: 12, lockOwner: 16, bytes: 24 } as const;
export const flushIn = { fh: 0, lockOwner: 16, bytes: 24 } as const;
// prettier-ignore
export const readIn = { fh: 0, offset: 8, size: 16, readFlags: 20, lockOwner: 24, flags: 32, bytes: 40 } as const;
// prettier-ignore
export const writeIn = { fh: 0, offset: 8, size: 16, writeFlags: 20, lockOwner: 24, flags: 32, bytes: 40 } as const;
export const fsyncIn = { fh: 0, flags: 8, bytes: 16 } as const;
/** The second half only when SETXATTR_EXT was negotiated. */
export const setxattrIn = { size: 0, flags: 4, setxattrFlags: 8, bytesBeforeExt: 8, bytes: 16 } as const;
export const getxattrIn = { size: 0, bytes: 8 } as const;
export const lockIn = { fh: 0, owner: 8, lock: 16, lockFlags: 40, bytes: 48 } as const;
export const accessIn = { mask: 0, bytes: 8 } as const;
export const interruptIn = { unique: 0, bytes: 8 } as const;
export const fallocateIn = { fh: 0, offset: 8, length: 16, mode: 24, bytes: 32 } as const;
export const lseekIn = { fh: 0, offset: 8, whence: 16, bytes: 24 } as const;
// prettier-ignore
export const copyFileRangeIn = {
  fhIn: 0, offsetIn: 8, nodeidOut: 16, fhOut: 24, offsetOut: 32, length: 40, flags: 48, bytes: 56,
} as const;
/** Extensions at a request's end: this header, then (groups) a u32 count and that many u32; padded to 8 bytes. */
export const extensionHeader = { size: 0, type: 4, bytes: 8 } as const;

/* ---- replies ---- */

/** maxBackground, congestionThreshold, maxPages, mapAlignment: u16. */
// prettier-ignore
export const initOut = {
  major: 0, minor: 4, maxReadahead: 8, flags: 12, maxBackground: 16, congestionThreshold: 18, maxWrite: 20,
  timeGranularity: 24, maxPages: 28, mapAlignment: 30, flags2: 32, bytes: 64,
} as const;
// prettier-ignore
export const attr = {
  ino: 0, size: 8, blocks: 16, atime: 24, mtime: 32, ctime: 40, atimeNanos: 48, mtimeNanos: 52, ctimeNanos: 56,
  mode: 60, nlink: 64, uid: 68, gid: 72, rdev: 76, blockSize: 80, flags: 84, bytes: 88,
} as const;
// prettier-ignore
export const entryOut = {
  nodeid: 0, generation: 8, entryValid: 16, attrValid: 24, entryValidNanos: 32, attrValidNanos: 36, attr: 40, bytes: 128,
} as const;
export const attrOut = { attrValid: 0, attrValidNanos: 8, attr: 16, bytes: 104 } as const;
export const statxOut = { attrValid: 0, attrValidNanos: 8, flags: 12, stat: 32, bytes: 288 } as const;
/** mode: u16. Each time is a `statxTime`. */
// prettier-ignore
export const statx = {
  mask: 0, blockSize: 4, attributes: 8, nlink: 16, uid: 20, gid: 24, mode: 28, ino: 32, size: 40, blocks: 48,
  attributesMask: 56, atime: 64, btime: 80, ctime: 96, mtime: 112, rdevMajor: 128, rdevMinor: 132, bytes: 256,
} as const;
export const statxTime = { seconds: 0, nanos: 8, bytes: 16 } as const;
/** write_out, getxattr_out (u32 and padding), lseek_out, copy_file_range_out (u64): one number. */
export const countOut = { count: 0, bytes: 8 } as const;
export const openOut = { fh: 0, openFlags: 8, bytes: 16 } as const;
// prettier-ignore
export const statfsOut = {
  blocks: 0, blocksFree: 8, blocksAvailable: 16, files: 24, filesFree: 32, blockSize: 40, nameLength: 44,
  fragmentSize: 48, bytes: 80,
} as const;
/** The name follows; padded to 8 bytes. READDIRPLUS puts an entryOut before it. */
export const dirent = { ino: 0, cookie: 8, nameLength: 16, type: 20, name: 24 } as const;

/* ---- notifications ---- */

export const invalInodeOut = { ino: 0, offset: 8, length: 16, bytes: 24 } as const;
/** The name follows, ended by a NUL that nameLength does not count. */
export const invalEntryOut = { parent: 0, nameLength: 8, flags: 12, bytes: 16 } as const;
