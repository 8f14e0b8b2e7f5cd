/** What a failed flush means for the data. */
import { errnoOf, type ErrnoName } from "../base/errno.ts";

const hopeless: ReadonlySet<ErrnoName> = new Set<ErrnoName>([
  "ENOENT",
  "ESTALE",
  "EINVAL",
  "EFBIG",
  "EBADF",
  "EACCES",
  "EPERM",
  "EROFS",
  "EISDIR",
]);

/** Sending it again cannot help: the file is gone or will not take it. Everything else (no space, no node) may pass. */
export function isHopeless(error: unknown): boolean {
  return hopeless.has(errnoOf(error));
}

export function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}
