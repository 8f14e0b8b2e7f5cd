/**
 * System calls that Node does not offer, or offers changed, with errno. Paths are bytes (strings or Buffers). Every call
 * throws `SysError` on failure.
 */
import { type Path, cstring, call, raw } from "./calls.ts";
import { AT, F } from "./constants.ts";
import { type Stat, parseStatx, timespecs, type FileLock, packLock } from "./structures.ts";

function statx(dir: number, path: Path, flags: number): Stat {
  const buffer = Buffer.alloc(256);
  call("statx", raw.statx, dir, cstring(path), flags, 0xfff, buffer);
  return parseStatx(buffer);
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
