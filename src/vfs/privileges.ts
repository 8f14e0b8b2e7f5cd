/**
 * setuid, setgid and file capabilities that a change of the file takes away. The kernel keeps a cached mode until it is
 * told otherwise, and would execute by it: so it is told before the change is answered.
 */
import { isRegular, modeBits } from "../base/attributes.ts";
import type { Name } from "../base/name.ts";

export const capabilityXattr = "security.capability" as Name;
const groupExecute = 0o010;

/** Whether executing a file of this mode gives rights. */
export function hasPrivileges(mode: number): boolean {
  return clearedMode(mode) !== mode;
}

/** The mode after a write by somebody who may not keep them: setgid without group execution means locking, and stays. */
export function clearedMode(mode: number): number {
  if (!isRegular(mode)) return mode;
  const cleared = mode & ~modeBits.setuid;
  return (mode & groupExecute) === 0 ? cleared : cleared & ~modeBits.setgid;
}

export function lostPrivileges(before: number | undefined, after: number | undefined): boolean {
  if (before === undefined || after === undefined || !hasPrivileges(before)) return false;
  const bits = modeBits.setuid | modeBits.setgid;
  return (after & bits) !== (before & bits);
}
