/** What a refused change of names says about the names. */
import { FsError, type ErrnoName } from "../base/errno.ts";

/** Told by the name server only, before it changes anything, and whatever the names were. */
const refusals: ReadonlySet<ErrnoName> = new Set(["EACCES", "EPERM", "ENOSPC", "EMLINK", "ENOTEMPTY", "ENAMETOOLONG"]);

/** Whether names are certainly as they were known before. After anything else nobody knows whether the change happened. */
export function changedNothing(error: unknown): boolean {
  return error instanceof FsError && refusals.has(error.errno);
}
