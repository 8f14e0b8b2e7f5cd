/**
 * System calls that Node does not offer, or offers changed: libc through koffi, with errno. Paths are bytes (latin1
 * strings or Buffers). Every call throws `SysError` on failure. Used only in child processes: never in a test's own.
 */
import koffi from "koffi";

export class SysError extends Error {
  readonly errno: string;
  constructor(call: string, errno: string) {
    super(`${call}: ${errno}`);
    this.errno = errno;
  }
}

/** A path as bytes: a string stands for its UTF-8 encoding, a Buffer for itself. */
export type Path = string | Buffer;

const libc = koffi.load("libc.so.6");
const errnoNames = new Map<number, string>();
for (const [name, number] of Object.entries(koffi.os.errno)) {
  // EWOULDBLOCK, ENOTSUP and EDEADLOCK are second names.
  if (!["EWOULDBLOCK", "ENOTSUP", "EDEADLOCK"].includes(name)) errnoNames.set(number, name);
}

type Raw = (...args: unknown[]) => number;
function declare(prototype: string): Raw {
  return libc.func(prototype);
}

function cstring(path: Path): Buffer {
  return Buffer.concat([typeof path === "string" ? Buffer.from(path) : path, Buffer.from([0])]);
}

function call(name: string, raw: Raw, ...args: unknown[]): number {
  const result = raw(...args);
  if (result === -1) throw new SysError(name, errnoNames.get(koffi.errno()) ?? String(koffi.errno()));
  return result;
}

const raw = {
  open: declare("int open(const uint8_t *path, int flags, ...)"),
  openat: declare("int openat(int dir, const uint8_t *path, int flags, ...)"),
  close: declare("int close(int fd)"),
  read: declare("long read(int fd, _Out_ uint8_t *buffer, size_t count)"),
  write: declare("long write(int fd, const uint8_t *buffer, size_t count)"),
  pread: declare("long pread(int fd, _Out_ uint8_t *buffer, size_t count, int64_t offset)"),
  pwrite: declare("long pwrite(int fd, const uint8_t *buffer, size_t count, int64_t offset)"),
  lseek: declare("int64_t lseek(int fd, int64_t offset, int whence)"),
  dup: declare("int dup(int fd)"),
  link: declare("int link(const uint8_t *from, const uint8_t *to)"),
  linkat: declare("int linkat(int olddir, const uint8_t *from, int newdir, const uint8_t *to, int flags)"),
  unlink: declare("int unlink(const uint8_t *path)"),
  unlinkat: declare("int unlinkat(int dir, const uint8_t *path, int flags)"),
  rename: declare("int rename(const uint8_t *from, const uint8_t *to)"),
  renameat2: declare("int renameat2(int olddir, const uint8_t *from, int newdir, const uint8_t *to, uint flags)"),
  mkdir: declare("int mkdir(const uint8_t *path, uint mode)"),
  rmdir: declare("int rmdir(const uint8_t *path)"),
  symlink: declare("int symlink(const uint8_t *target, const uint8_t *path)"),
  readlink: declare("long readlink(const uint8_t *path, _Out_ uint8_t *buffer, size_t size)"),
  mknod: declare("int mknod(const uint8_t *path, uint mode, uint64_t device)"),
  mkfifo: declare("int mkfifo(const uint8_t *path, uint mode)"),
  statx: declare("int statx(int dir, const uint8_t *path, int flags, uint mask, _Out_ uint8_t *buffer)"),
  statfs: declare("int statfs(const uint8_t *path, _Out_ uint8_t *buffer)"),
  chmod: declare("int chmod(const uint8_t *path, uint mode)"),
  fchmod: declare("int fchmod(int fd, uint mode)"),
  chown: declare("int chown(const uint8_t *path, uint uid, uint gid)"),
  lchown: declare("int lchown(const uint8_t *path, uint uid, uint gid)"),
  fchown: declare("int fchown(int fd, uint uid, uint gid)"),
  truncate: declare("int truncate(const uint8_t *path, int64_t length)"),
  ftruncate: declare("int ftruncate(int fd, int64_t length)"),
  utimensat: declare("int utimensat(int dir, const uint8_t *path, const uint8_t *times, int flags)"),
  futimens: declare("int futimens(int fd, const uint8_t *times)"),
  faccessat: declare("int faccessat(int dir, const uint8_t *path, int mode, int flags)"),
  fallocate: declare("int fallocate(int fd, int mode, int64_t offset, int64_t length)"),
  copy_file_range: declare(
    "long copy_file_range(int in, _Inout_ int64_t *inOffset, int out, _Inout_ int64_t *outOffset, size_t length, uint flags)",
  ),
  fsync: declare("int fsync(int fd)"),
  fdatasync: declare("int fdatasync(int fd)"),
  syncfs: declare("int syncfs(int fd)"),
  setxattr: declare(
    "int setxattr(const uint8_t *path, const uint8_t *name, const uint8_t *value, size_t size, int flags)",
  ),
  lsetxattr: declare(
    "int lsetxattr(const uint8_t *path, const uint8_t *name, const uint8_t *value, size_t size, int flags)",
  ),
  fsetxattr: declare("int fsetxattr(int fd, const uint8_t *name, const uint8_t *value, size_t size, int flags)"),
  getxattr: declare("long getxattr(const uint8_t *path, const uint8_t *name, _Out_ uint8_t *value, size_t size)"),
  lgetxattr: declare("long lgetxattr(const uint8_t *path, const uint8_t *name, _Out_ uint8_t *value, size_t size)"),
  listxattr: declare("long listxattr(const uint8_t *path, _Out_ uint8_t *list, size_t size)"),
  removexattr: declare("int removexattr(const uint8_t *path, const uint8_t *name)"),
  fgetxattr: declare("long fgetxattr(int fd, const uint8_t *name, _Out_ uint8_t *value, size_t size)"),
  llistxattr: declare("long llistxattr(const uint8_t *path, _Out_ uint8_t *list, size_t size)"),
  flistxattr: declare("long flistxattr(int fd, _Out_ uint8_t *list, size_t size)"),
  lremovexattr: declare("int lremovexattr(const uint8_t *path, const uint8_t *name)"),
  fremovexattr: declare("int fremovexattr(int fd, const uint8_t *name)"),
  fcntl: declare("int fcntl(int fd, int command, ...)"),
  fchdir: declare("int fchdir(int fd)"),
  fstatfs: declare("int fstatfs(int fd, _Out_ uint8_t *buffer)"),
  sendfile: declare("long sendfile(int out, int in, void *offset, size_t count)"),
  flock: declare("int flock(int fd, int operation)"),
  fcntlLock: declare("int fcntl(int fd, int command, _Inout_ uint8_t *lock)"),
  umask: declare("uint umask(uint mask)"),
  setegid: declare("int setegid(uint gid)"),
  seteuid: declare("int seteuid(uint uid)"),
  setgroups: declare("int setgroups(size_t count, const uint32_t *groups)"),
  chdir: declare("int chdir(const uint8_t *path)"),
  munmap: declare("int munmap(void *address, size_t length)"),
  msync: declare("int msync(void *address, size_t length, int flags)"),
  closedir: declare("int closedir(void *dir)"),
};
const mmapRaw = libc.func(
  "void *mmap(void *address, size_t length, int protection, int flags, int fd, int64_t offset)",
);
const opendirRaw = libc.func("void *opendir(const uint8_t *path)");
const readdirRaw = libc.func("void *readdir64(void *dir)");
const telldirRaw = libc.func("long telldir(void *dir)");
const seekdirRaw = libc.func("void seekdir(void *dir, long position)");
const rewinddirRaw = libc.func("void rewinddir(void *dir)");

export const O = {
  RDONLY: 0,
  WRONLY: 1,
  RDWR: 2,
  CREAT: 0o100,
  EXCL: 0o200,
  NOCTTY: 0o400,
  TRUNC: 0o1000,
  APPEND: 0o2000,
  NONBLOCK: 0o4000,
  DSYNC: 0o10000,
  DIRECT: 0o40000,
  DIRECTORY: 0o200000,
  NOFOLLOW: 0o400000,
  NOATIME: 0o1000000,
  CLOEXEC: 0o2000000,
  SYNC: 0o4010000,
  PATH: 0o10000000,
  TMPFILE: 0o20200000,
} as const;
export const AT = {
  FDCWD: -100,
  SYMLINK_NOFOLLOW: 0x100,
  REMOVEDIR: 0x200,
  SYMLINK_FOLLOW: 0x400,
  EMPTY_PATH: 0x1000,
} as const;
export const UTIME = { NOW: 0x3fffffffn, OMIT: 0x3ffffffen } as const;
export const F = {
  GETFL: 3,
  SETFL: 4,
  GETLK: 5,
  SETLK: 6,
  SETLKW: 7,
  OFD_GETLK: 36,
  OFD_SETLK: 37,
  OFD_SETLKW: 38,
  RDLCK: 0,
  WRLCK: 1,
  UNLCK: 2,
} as const;
export const LOCK = { SH: 1, EX: 2, NB: 4, UN: 8 } as const;
export const SEEK = { SET: 0, CUR: 1, END: 2, DATA: 3, HOLE: 4 } as const;
export const FALLOC = { KEEP_SIZE: 1, PUNCH_HOLE: 2, COLLAPSE_RANGE: 8, ZERO_RANGE: 16, INSERT_RANGE: 32 } as const;
export const RENAME = { NOREPLACE: 1, EXCHANGE: 2, WHITEOUT: 4 } as const;
export const MAP = { SHARED: 1, PRIVATE: 2, READ: 1, WRITE: 2, MS_SYNC: 4 } as const;

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
function parseStatx(b: Buffer): Stat {
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

function statx(dir: number, path: Path, flags: number): Stat {
  const buffer = Buffer.alloc(256);
  call("statx", raw.statx, dir, cstring(path), flags, 0xfff, buffer);
  return parseStatx(buffer);
}

/** Two struct timespec. Bigints are nanoseconds since 1970; UTIME.NOW and UTIME.OMIT as they are. */
function timespecs(times: readonly [bigint | "now" | "omit", bigint | "now" | "omit"]): Buffer {
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
function packLock(lock: FileLock): Buffer {
  const b = Buffer.alloc(32);
  b.writeInt16LE(lock.type, 0);
  b.writeInt16LE(lock.whence ?? 0, 2);
  b.writeBigInt64LE(lock.start ?? 0n, 8);
  b.writeBigInt64LE(lock.length ?? 0n, 16);
  b.writeInt32LE(lock.pid ?? 0, 24);
  return b;
}

export interface DirectoryEntry {
  readonly ino: bigint;
  readonly offset: bigint;
  readonly type: number;
  readonly name: string;
}

/** An open DIR*. Names are latin1: one character a byte. */
export class Directory {
  readonly #dir: unknown;
  constructor(path: Path) {
    this.#dir = opendirRaw(cstring(path)) as unknown;
    if (this.#dir === null) throw new SysError("opendir", errnoNames.get(koffi.errno()) ?? "?");
  }
  read(): DirectoryEntry | undefined {
    const entry = readdirRaw(this.#dir) as unknown;
    if (entry === null) return undefined;
    const head = Buffer.from(koffi.decode(entry, "uint8_t", 19) as Uint8Array);
    const length = head.readUInt16LE(16);
    const bytes = Buffer.from(koffi.decode(entry, "uint8_t", length) as Uint8Array);
    const end = bytes.indexOf(0, 19);
    return {
      ino: bytes.readBigUInt64LE(0),
      offset: bytes.readBigInt64LE(8),
      type: bytes[18] ?? 0,
      name: bytes.toString("latin1", 19, end),
    };
  }
  readAll(): DirectoryEntry[] {
    const all: DirectoryEntry[] = [];
    for (let entry = this.read(); entry !== undefined; entry = this.read()) all.push(entry);
    return all;
  }
  tell(): number | bigint {
    return telldirRaw(this.#dir) as number | bigint;
  }
  seek(position: number | bigint): void {
    seekdirRaw(this.#dir, position);
  }
  rewind(): void {
    rewinddirRaw(this.#dir);
  }
  close(): void {
    raw.closedir(this.#dir);
  }
}

/** A mapping of a file. Reading past the end of the file would be SIGBUS: callers don't. */
export class Mapping {
  readonly #address: unknown;
  readonly #length: number;
  constructor(fd: number, length: number, options: { shared: boolean; writable: boolean; offset?: number }) {
    const protection = MAP.READ | (options.writable ? MAP.WRITE : 0);
    this.#address = mmapRaw(
      null,
      length,
      protection,
      options.shared ? MAP.SHARED : MAP.PRIVATE,
      fd,
      options.offset ?? 0,
    ) as unknown;
    if (koffi.address(this.#address) === 0xffff_ffff_ffff_ffffn) {
      throw new SysError("mmap", errnoNames.get(koffi.errno()) ?? "?");
    }
    this.#length = length;
  }
  /** The mapped memory itself: loads and stores through it. */
  get bytes(): Buffer {
    return Buffer.from(koffi.view(this.#address, this.#length));
  }
  sync(): void {
    call("msync", raw.msync, this.#address, this.#length, MAP.MS_SYNC);
  }
  unmap(): void {
    call("munmap", raw.munmap, this.#address, this.#length);
  }
}

export const sys = {
  open: (path: Path, flags: number, mode = 0o666): number => call("open", raw.open, cstring(path), flags, "uint", mode),
  openat: (dir: number, path: Path, flags: number, mode = 0o666): number =>
    call("openat", raw.openat, dir, cstring(path), flags, "uint", mode),
  close: (fd: number): void => void call("close", raw.close, fd),
  read: (fd: number, count: number): Buffer => {
    const buffer = Buffer.alloc(count);
    return buffer.subarray(0, call("read", raw.read, fd, buffer, count));
  },
  write: (fd: number, bytes: Path): number => {
    const buffer = Buffer.from(bytes);
    return call("write", raw.write, fd, buffer, buffer.length);
  },
  pread: (fd: number, count: number, offset: number | bigint): Buffer => {
    const buffer = Buffer.alloc(count);
    return buffer.subarray(0, call("pread", raw.pread, fd, buffer, count, offset));
  },
  pwrite: (fd: number, bytes: Path, offset: number | bigint): number => {
    const buffer = Buffer.from(bytes);
    return call("pwrite", raw.pwrite, fd, buffer, buffer.length, offset);
  },
  lseek: (fd: number, offset: number | bigint, whence: number): number =>
    Number(BigInt(call("lseek", raw.lseek, fd, offset, whence))),
  dup: (fd: number): number => call("dup", raw.dup, fd),
  link: (from: Path, to: Path): void => void call("link", raw.link, cstring(from), cstring(to)),
  linkat: (oldDir: number, from: Path, newDir: number, to: Path, flags: number): void =>
    void call("linkat", raw.linkat, oldDir, cstring(from), newDir, cstring(to), flags),
  unlink: (path: Path): void => void call("unlink", raw.unlink, cstring(path)),
  unlinkat: (dir: number, path: Path, flags: number): void =>
    void call("unlinkat", raw.unlinkat, dir, cstring(path), flags),
  rename: (from: Path, to: Path): void => void call("rename", raw.rename, cstring(from), cstring(to)),
  renameat2: (from: Path, to: Path, flags: number): void =>
    void call("renameat2", raw.renameat2, AT.FDCWD, cstring(from), AT.FDCWD, cstring(to), flags),
  mkdir: (path: Path, mode = 0o777): void => void call("mkdir", raw.mkdir, cstring(path), mode),
  rmdir: (path: Path): void => void call("rmdir", raw.rmdir, cstring(path)),
  symlink: (target: Path, path: Path): void => void call("symlink", raw.symlink, cstring(target), cstring(path)),
  readlink: (path: Path, size = 4096): Buffer => {
    const buffer = Buffer.alloc(size);
    return buffer.subarray(0, call("readlink", raw.readlink, cstring(path), buffer, size));
  },
  mknod: (path: Path, mode: number, device = 0): void => void call("mknod", raw.mknod, cstring(path), mode, device),
  mkfifo: (path: Path, mode = 0o666): void => void call("mkfifo", raw.mkfifo, cstring(path), mode),
  stat: (path: Path): Stat => statx(AT.FDCWD, path, 0),
  lstat: (path: Path): Stat => statx(AT.FDCWD, path, AT.SYMLINK_NOFOLLOW),
  fstat: (fd: number): Stat => statx(fd, "", AT.EMPTY_PATH),
  /** struct statfs: f_type, f_bsize, f_blocks, f_bfree, f_bavail, f_files, f_ffree, fsid, f_namelen. */
  statfs: (
    path: Path,
  ): { blockBytes: number; blocks: number; free: number; available: number; files: number; nameMax: number } => {
    const b = Buffer.alloc(120);
    call("statfs", raw.statfs, cstring(path), b);
    const at = (offset: number): number => Number(b.readBigUInt64LE(offset));
    return { blockBytes: at(8), blocks: at(16), free: at(24), available: at(32), files: at(40), nameMax: at(64) };
  },
  chmod: (path: Path, mode: number): void => void call("chmod", raw.chmod, cstring(path), mode),
  fchmod: (fd: number, mode: number): void => void call("fchmod", raw.fchmod, fd, mode),
  /** -1 leaves uid or gid as it is. */
  chown: (path: Path, uid: number, gid: number): void =>
    void call("chown", raw.chown, cstring(path), uid >>> 0, gid >>> 0),
  lchown: (path: Path, uid: number, gid: number): void =>
    void call("lchown", raw.lchown, cstring(path), uid >>> 0, gid >>> 0),
  fchown: (fd: number, uid: number, gid: number): void => void call("fchown", raw.fchown, fd, uid >>> 0, gid >>> 0),
  truncate: (path: Path, length: number | bigint): void => void call("truncate", raw.truncate, cstring(path), length),
  ftruncate: (fd: number, length: number | bigint): void => void call("ftruncate", raw.ftruncate, fd, length),
  utimensat: (path: Path, times: readonly [bigint | "now" | "omit", bigint | "now" | "omit"] | null, flags = 0): void =>
    void call("utimensat", raw.utimensat, AT.FDCWD, cstring(path), times === null ? null : timespecs(times), flags),
  futimens: (fd: number, times: readonly [bigint | "now" | "omit", bigint | "now" | "omit"] | null): void =>
    void call("futimens", raw.futimens, fd, times === null ? null : timespecs(times)),
  /** With AT_EACCESS (0x200) the effective ids decide. */
  access: (path: Path, mode: number): void =>
    void call("faccessat", raw.faccessat, AT.FDCWD, cstring(path), mode, 0x200),
  fallocate: (fd: number, mode: number, offset: number | bigint, length: number | bigint): void =>
    void call("fallocate", raw.fallocate, fd, mode, offset, length),
  /** Offsets null: the descriptors' own. */
  copyFileRange: (
    from: number,
    fromOffset: number | null,
    to: number,
    toOffset: number | null,
    length: number,
  ): number =>
    call(
      "copy_file_range",
      raw.copy_file_range,
      from,
      fromOffset === null ? null : [fromOffset],
      to,
      toOffset === null ? null : [toOffset],
      length,
      0,
    ),
  fsync: (fd: number): void => void call("fsync", raw.fsync, fd),
  fdatasync: (fd: number): void => void call("fdatasync", raw.fdatasync, fd),
  syncfs: (fd: number): void => void call("syncfs", raw.syncfs, fd),
  setxattr: (path: Path, name: Path, value: Path, flags = 0): void => {
    const bytes = Buffer.from(value);
    call("setxattr", raw.setxattr, cstring(path), cstring(name), bytes, bytes.length, flags);
  },
  lsetxattr: (path: Path, name: Path, value: Path, flags = 0): void => {
    const bytes = Buffer.from(value);
    call("lsetxattr", raw.lsetxattr, cstring(path), cstring(name), bytes, bytes.length, flags);
  },
  fsetxattr: (fd: number, name: Path, value: Path, flags = 0): void => {
    const bytes = Buffer.from(value);
    call("fsetxattr", raw.fsetxattr, fd, cstring(name), bytes, bytes.length, flags);
  },
  /** `size` 0 asks for the length only. */
  getxattr: (path: Path, name: Path, size = 65536): Buffer => {
    const buffer = Buffer.alloc(Math.max(size, 1));
    return buffer.subarray(0, call("getxattr", raw.getxattr, cstring(path), cstring(name), buffer, size));
  },
  getxattrSize: (path: Path, name: Path): number =>
    call("getxattr", raw.getxattr, cstring(path), cstring(name), null, 0),
  lgetxattr: (path: Path, name: Path, size = 65536): Buffer => {
    const buffer = Buffer.alloc(Math.max(size, 1));
    return buffer.subarray(0, call("lgetxattr", raw.lgetxattr, cstring(path), cstring(name), buffer, size));
  },
  listxattr: (path: Path, size = 65536): string[] => {
    const buffer = Buffer.alloc(Math.max(size, 1));
    const length = call("listxattr", raw.listxattr, cstring(path), buffer, size);
    return buffer.toString("latin1", 0, length).split("\0").slice(0, -1);
  },
  removexattr: (path: Path, name: Path): void =>
    void call("removexattr", raw.removexattr, cstring(path), cstring(name)),
  fgetxattr: (fd: number, name: Path, size = 65536): Buffer => {
    const buffer = Buffer.alloc(Math.max(size, 1));
    return buffer.subarray(0, call("fgetxattr", raw.fgetxattr, fd, cstring(name), buffer, size));
  },
  llistxattr: (path: Path, size = 65536): string[] => {
    const buffer = Buffer.alloc(Math.max(size, 1));
    const length = call("llistxattr", raw.llistxattr, cstring(path), buffer, size);
    return buffer.toString("latin1", 0, length).split("\0").slice(0, -1);
  },
  flistxattr: (fd: number, size = 65536): string[] => {
    const buffer = Buffer.alloc(Math.max(size, 1));
    const length = call("flistxattr", raw.flistxattr, fd, buffer, size);
    return buffer.toString("latin1", 0, length).split("\0").slice(0, -1);
  },
  lremovexattr: (path: Path, name: Path): void =>
    void call("lremovexattr", raw.lremovexattr, cstring(path), cstring(name)),
  fremovexattr: (fd: number, name: Path): void => void call("fremovexattr", raw.fremovexattr, fd, cstring(name)),
  /** O_APPEND, O_NONBLOCK... of an open file. */
  flags: (fd: number): number => call("fcntl", raw.fcntl, fd, F.GETFL, "int", 0),
  setFlags: (fd: number, flags: number): void => void call("fcntl", raw.fcntl, fd, F.SETFL, "int", flags),
  fchdir: (fd: number): void => void call("fchdir", raw.fchdir, fd),
  fstatfs: (fd: number): void => void call("fstatfs", raw.fstatfs, fd, Buffer.alloc(120)),
  /** From where `from` is positioned to where `to` is. */
  sendfile: (to: number, from: number, count: number): number => call("sendfile", raw.sendfile, to, from, null, count),
  flock: (fd: number, operation: number): void => void call("flock", raw.flock, fd, operation),
  /** F.SETLK, F.OFD_SETLK...; for GETLK returns the lock in the way (type UNLCK: none). */
  lock: (fd: number, command: number, lock: FileLock): Required<FileLock> => {
    const b = packLock(lock);
    call("fcntl", raw.fcntlLock, fd, command, b);
    return {
      type: b.readInt16LE(0),
      whence: b.readInt16LE(2),
      start: b.readBigInt64LE(8),
      length: b.readBigInt64LE(16),
      pid: b.readInt32LE(24),
    };
  },
  umask: (mask: number): number => raw.umask(mask),
  chdir: (path: Path): void => void call("chdir", raw.chdir, cstring(path)),
  /** Runs `fn` with these effective ids and supplementary groups (all threads of this process), then as root again. */
  as: <T>(identity: { uid: number; gid?: number; groups?: readonly number[] }, fn: () => T): T => {
    const groups = Uint32Array.from(identity.groups ?? []);
    call("setgroups", raw.setgroups, groups.length, groups);
    call("setegid", raw.setegid, identity.gid ?? identity.uid);
    call("seteuid", raw.seteuid, identity.uid);
    try {
      return fn();
    } finally {
      call("seteuid", raw.seteuid, 0);
      call("setegid", raw.setegid, 0);
      call("setgroups", raw.setgroups, 0, new Uint32Array(0));
    }
  },
};
