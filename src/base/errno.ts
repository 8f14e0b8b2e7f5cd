/**
 * Errors of the operating system's kind: one table of names and Linux numbers, and the exception that carries one.
 * The wire carries the names, the kernel gets the numbers. Numbers: include/uapi/asm-generic/errno{-base,}.h.
 */
const numbers = {
  EPERM: 1,
  ENOENT: 2,
  ESRCH: 3,
  EINTR: 4,
  EIO: 5,
  ENXIO: 6,
  E2BIG: 7,
  EBADF: 9,
  EAGAIN: 11,
  ENOMEM: 12,
  EACCES: 13,
  EFAULT: 14,
  EBUSY: 16,
  EEXIST: 17,
  EXDEV: 18,
  ENODEV: 19,
  ENOTDIR: 20,
  EISDIR: 21,
  EINVAL: 22,
  ENFILE: 23,
  EMFILE: 24,
  ENOTTY: 25,
  ETXTBSY: 26,
  EFBIG: 27,
  ENOSPC: 28,
  ESPIPE: 29,
  EROFS: 30,
  EMLINK: 31,
  EPIPE: 32,
  EDOM: 33,
  ERANGE: 34,
  EDEADLK: 35,
  ENAMETOOLONG: 36,
  ENOLCK: 37,
  ENOSYS: 38,
  ENOTEMPTY: 39,
  ELOOP: 40,
  ENODATA: 61,
  ETIME: 62,
  ECOMM: 70,
  EPROTO: 71,
  EBADMSG: 74,
  EOVERFLOW: 75,
  EILSEQ: 84,
  EUSERS: 87,
  ENOTSOCK: 88,
  EOPNOTSUPP: 95,
  EADDRINUSE: 98,
  ENETDOWN: 100,
  ECONNRESET: 104,
  ENOTCONN: 107,
  ETIMEDOUT: 110,
  ECONNREFUSED: 111,
  EHOSTDOWN: 112,
  EHOSTUNREACH: 113,
  EALREADY: 114,
  ESTALE: 116,
  EDQUOT: 122,
  ECANCELED: 125,
} as const;

export type ErrnoName = keyof typeof numbers;

export function errnoNumber(name: ErrnoName): number {
  return numbers[name];
}

export function isErrnoName(value: unknown): value is ErrnoName {
  return typeof value === "string" && Object.hasOwn(numbers, value);
}

/**
 * An operating error: expected, part of an operation's contract, answered to whoever asked.
 * `context` names the inode, block, node or session and, where something can be done, what to do.
 */
export class FsError extends Error {
  readonly errno: ErrnoName;

  constructor(errno: ErrnoName, context: string, options?: { cause?: unknown }) {
    super(`${errno}: ${context}`, options);
    this.name = "FsError";
    this.errno = errno;
  }
}

/** The errno of any caught value: FsError's own, that of a Node system error, else EIO. */
export function errnoOf(error: unknown): ErrnoName {
  if (error instanceof FsError) return error.errno;
  if (error instanceof Error && "code" in error && isErrnoName(error.code)) return error.code;
  return "EIO";
}
