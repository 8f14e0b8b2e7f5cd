/**
 * setuid, setgid and file capabilities that a change of the file takes away. The kernel keeps a cached mode until it is
 * told otherwise, and would execute by it: so it is told before the change is answered.
 */
import { isRegular, modeBits, type Attributes } from "../base/attributes.ts";
import type { Name } from "../base/name.ts";
import type { RequestContext } from "../fuse/operations.ts";

export const capabilityXattr = "security.capability" as Name;
const groupExecute = 0o010;

/** Whether executing a file of this mode gives rights. */
export function hasPrivileges(mode: number): boolean {
  return clearedMode(mode) !== mode;
}

/** The mode after a write by somebody who may not keep them: setgid without group execution is no privilege. */
export function clearedMode(mode: number): number {
  if (!isRegular(mode)) return mode;
  const cleared = mode & ~modeBits.setuid;
  return (mode & groupExecute) === 0 ? cleared : cleared & ~modeBits.setgid;
}

/** Setgid without group execution stays only for writers in the file's group: the name server is asked about this one. */
export function mayLoseSetgid(request: RequestContext, { mode, gid }: Pick<Attributes, "mode" | "gid">): boolean {
  const isLocking = isRegular(mode) && (mode & modeBits.setgid) !== 0 && (mode & groupExecute) === 0;
  return isLocking && request.uid !== 0 && request.gid !== gid;
}

export function lostPrivileges(before: number | undefined, after: number | undefined): boolean {
  if (before === undefined || after === undefined) return false;
  const bits = modeBits.setuid | modeBits.setgid;
  return (after & bits) !== (before & bits);
}
