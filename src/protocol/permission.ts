/**
 * Who may do what, as the kernel decides on ext4: pure functions of an identity and an inode's mode, owner and ACL. The
 * name server decides by them; a client that runs ahead decides the same. User 0 has every capability.
 * Where `groups` of an identity is absent, membership is known for its `gid` only, so the answer may be a wrong no.
 * Sources: fs/namei.c, fs/attr.c, fs/posix_acl.c of the kernel; path_resolution(7), chmod(2), chown(2), utimensat(2).
 */
import { fileType, isDirectory, modeBits } from "../base/attributes.ts";
import type { ErrnoName } from "../base/errno.ts";
import { aclTags, type Acl } from "./acl.ts";

export interface Identity {
  readonly uid: number;
  readonly gid: number;
  readonly groups?: readonly number[] | undefined;
}

/** What of an inode decides. */
export interface Guarded {
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
}

/** What is wanted, ORed. */
export const access = { read: 4, write: 2, execute: 1 } as const;

export function isMember(identity: Identity, gid: number): boolean {
  return identity.gid === gid || identity.groups?.includes(gid) === true;
}

/**
 * Whether it takes `groups` to know if the identity is in the group, and they are absent. Where a missing membership
 * would not refuse but silently change something (setgid), the server refuses with EPERM, to be asked again with groups.
 */
export function needsGroups(identity: Identity, gid: number): boolean {
  return identity.uid !== 0 && identity.gid !== gid && identity.groups === undefined;
}

export function isOwner(identity: Identity, guarded: Guarded): boolean {
  return identity.uid === 0 || identity.uid === guarded.uid;
}

/** @param acl the access ACL, if the inode has one: asked for only when it decides */
export function permits(identity: Identity, guarded: Guarded, want: number, acl?: () => Acl | null): boolean {
  const { mode } = guarded;
  if (identity.uid === 0) return (want & access.execute) === 0 || isDirectory(mode) || (mode & 0o111) !== 0;
  if (identity.uid === guarded.uid) return ((mode >> 6) & want) === want;
  const list = (mode & 0o070) === 0 ? null : (acl?.() ?? null);
  if (list !== null) return aclPermits(identity, guarded, want, list);
  return ((isMember(identity, guarded.gid) ? mode >> 3 : mode) & want) === want;
}

/** For somebody who is not the owner. Groups: any one that matches and permits suffices; a match without it denies. */
function aclPermits(identity: Identity, guarded: Guarded, want: number, acl: Acl): boolean {
  const mask = acl.find(({ tag }) => tag === aclTags.mask)?.permissions ?? 7;
  let matched = false;
  for (const { tag, permissions, id } of acl) {
    if (tag === aclTags.user && id === identity.uid) return (permissions & mask & want) === want;
    if (tag === aclTags.group || tag === aclTags.namedGroup) {
      if (!isMember(identity, tag === aclTags.group ? guarded.gid : id)) continue;
      if ((permissions & want) === want) return (permissions & mask & want) === want;
      matched = true;
    }
    if (tag === aclTags.other) return !matched && (permissions & want) === want;
  }
  return false;
}

/** Whether a sticky directory keeps this caller from removing or renaming the entry of `victim`. */
export function isStuck(identity: Identity, directory: Guarded, victim: Guarded): boolean {
  return (directory.mode & modeBits.sticky) !== 0 && !isOwner(identity, directory) && !isOwner(identity, victim);
}

/** Group and mode of a new inode (umask and default ACL not yet applied): a setgid directory hands down its group. */
export function inheritGroup(identity: Identity, directory: Guarded, mode: number): { gid: number; mode: number } {
  if ((directory.mode & modeBits.setgid) === 0) return { gid: identity.gid, mode };
  const { gid } = directory;
  if (isDirectory(mode)) return { gid, mode: mode | modeBits.setgid };
  const executable = (mode & 0o2010) === 0o2010;
  const strip = executable && identity.uid !== 0 && !isMember(identity, gid);
  return { gid, mode: strip ? mode & ~modeBits.setgid : mode };
}

/** The mode that chmod leaves: who is not in the file's group cannot make it setgid. */
export function modeAfterChmod(identity: Identity, guarded: Guarded, wanted: number): number {
  const kept = identity.uid === 0 || isMember(identity, guarded.gid) ? 0o7777 : 0o7777 & ~modeBits.setgid;
  return (guarded.mode & fileType.mask) | (wanted & kept);
}

/**
 * The mode that a change of content (by others than root) or of the owner leaves: setuid goes. setgid goes if the group
 * may execute, or if the caller is not in it; otherwise it once meant mandatory locking, and stays.
 */
export function modeWithoutPrivileges(identity: Identity, guarded: Guarded): number {
  const { mode, gid } = guarded;
  if (isDirectory(mode)) return mode;
  const keepsSetgid = (mode & 0o010) === 0 && (identity.uid === 0 || isMember(identity, gid));
  return mode & ~(keepsSetgid ? modeBits.setuid : modeBits.setuid | modeBits.setgid);
}

export interface WantedChanges {
  readonly mode?: number | undefined;
  readonly uid?: number | undefined;
  readonly gid?: number | undefined;
  readonly size?: number | undefined;
  readonly atime?: bigint | "now" | undefined;
  readonly mtime?: bigint | "now" | undefined;
  /** The caller has the file open for writing: its size may change. */
  readonly fromOpenFile?: boolean | undefined;
}

/** Why setattr is refused, or undefined. `mayWrite` is asked only when it decides. */
export function refuseChanges(
  identity: Identity,
  guarded: Guarded,
  changes: WantedChanges,
  mayWrite: () => boolean,
): ErrnoName | undefined {
  const owner = isOwner(identity, guarded);
  if (changes.size !== undefined && changes.fromOpenFile !== true && !mayWrite()) return "EACCES";
  if (changes.mode !== undefined && !owner) return "EPERM";
  if (changes.uid !== undefined && identity.uid !== 0) {
    if (!owner || changes.uid !== guarded.uid) return "EPERM";
  }
  if (changes.gid !== undefined && identity.uid !== 0) {
    if (!owner || (changes.gid !== guarded.gid && !isMember(identity, changes.gid))) return "EPERM";
  }
  return refuseTimes(changes, owner, mayWrite);
}

/** Both times to now: writers may. Any other time: the owner only. A truncation's own "now" asks nothing more. */
function refuseTimes(changes: WantedChanges, owner: boolean, mayWrite: () => boolean): ErrnoName | undefined {
  const { atime, mtime } = changes;
  if (owner || (atime === undefined && mtime === undefined)) return undefined;
  if (changes.size !== undefined && atime === undefined && mtime === "now") return undefined;
  if (atime === "now" && mtime === "now") return mayWrite() ? undefined : "EACCES";
  return "EPERM";
}
