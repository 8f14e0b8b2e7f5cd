/** libc through koffi: the prototypes, and a call that throws. Used only in child processes: never in a test's own. */
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

export const libc = koffi.load("libc.so.6");
const errnoNames = new Map<number, string>();
for (const [name, number] of Object.entries(koffi.os.errno)) {
  // EWOULDBLOCK, ENOTSUP and EDEADLOCK are second names.
  if (!["EWOULDBLOCK", "ENOTSUP", "EDEADLOCK"].includes(name)) errnoNames.set(number, name);
}

type Raw = (...args: unknown[]) => number;
function declare(prototype: string): Raw {
  return libc.func(prototype);
}

export function cstring(path: Path): Buffer {
  return Buffer.concat([typeof path === "string" ? Buffer.from(path) : path, Buffer.from([0])]);
}

/** Throws SysError for -1. */
export function call(name: string, raw: Raw, ...args: unknown[]): number {
  const result = raw(...args);
  if (result === -1) throw lastError(name);
  return result;
}

/** What errno says. */
export function lastError(name: string): SysError {
  return new SysError(name, errnoNames.get(koffi.errno()) ?? String(koffi.errno()));
}

export const raw = {
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
