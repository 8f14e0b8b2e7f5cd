/** Permission checks of the namespace: `protocol/permission.ts` applied to inodes of the store. */
import { isDirectory, modeBits } from "../../base/attributes.ts";
import { FsError } from "../../base/errno.ts";
import type { Ino } from "../../base/ids.ts";
import { inodeFlags, type InodeRecord } from "../../metadata-store/records.ts";
import type { MetadataReader } from "../../metadata-store/types.ts";
import { aclXattrs, decodeAcl, type Acl } from "../../protocol/acl.ts";
import { access, isOwner, isStuck, needsGroups, permits, type Identity } from "../../protocol/permission.ts";
import { readDirectory } from "./inodes.ts";
import { readXattr } from "./xattr-store.ts";

export function accessAclOf(reader: MetadataReader, ino: Ino, record: InodeRecord): Acl | null {
  if ((record.flags & inodeFlags.accessAcl) === 0) return null;
  return decodeAcl(readXattr(reader, ino, aclXattrs.access) ?? Buffer.alloc(0));
}

export function defaultAclOf(reader: MetadataReader, ino: Ino, record: InodeRecord): Acl | null {
  if ((record.flags & inodeFlags.defaultAcl) === 0) return null;
  return decodeAcl(readXattr(reader, ino, aclXattrs.default) ?? Buffer.alloc(0));
}

export function mayAccess(
  reader: MetadataReader,
  caller: Identity,
  ino: Ino,
  record: InodeRecord,
  want: number,
): boolean {
  return permits(caller, record, want, () => accessAclOf(reader, ino, record));
}

export function requireAccess(
  reader: MetadataReader,
  caller: Identity,
  ino: Ino,
  record: InodeRecord,
  want: number,
): void {
  if (mayAccess(reader, caller, ino, record, want)) return;
  throw new FsError("EACCES", `user ${String(caller.uid)} may not ${String(want)} inode ${String(ino)}`);
}

export function requireOwner(caller: Identity, ino: Ino, record: InodeRecord): void {
  if (isOwner(caller, record)) return;
  throw new FsError("EPERM", `user ${String(caller.uid)} does not own inode ${String(ino)}`);
}

/** A directory in which names may be changed. ENOENT for one that was removed, which has no names any more. */
export function requireChangeable(reader: MetadataReader, caller: Identity, ino: Ino): InodeRecord {
  const directory = readDirectory(reader, ino);
  requireAccess(reader, caller, ino, directory, access.write | access.execute);
  return directory;
}

export function requireLiving(directory: InodeRecord, ino: Ino): void {
  if (directory.nlink === 0) throw new FsError("ENOENT", `directory ${String(ino)} was removed`);
}

/**
 * Whether the name of `victim` may be taken out of `directory` (of which changing was permitted already), by a caller
 * who takes it for a directory or not.
 */
export function requireRemovable(
  caller: Identity,
  directory: InodeRecord,
  victim: InodeRecord,
  victimIno: Ino,
  asDirectory: boolean,
): void {
  if (isStuck(caller, directory, victim)) {
    throw new FsError("EPERM", `inode ${String(victimIno)} is somebody else's in a sticky directory`);
  }
  if (asDirectory && !isDirectory(victim.mode)) throw new FsError("ENOTDIR", `inode ${String(victimIno)}`);
  if (!asDirectory && isDirectory(victim.mode)) throw new FsError("EISDIR", `inode ${String(victimIno)}`);
}

/** Before a setgid bit is kept or taken by whether the caller is in the group: EPERM if that is not known. */
export function requireGroupsForSetgid(caller: Identity, mode: number, gid: number): void {
  if ((mode & modeBits.setgid) === 0 || !needsGroups(caller, gid)) return;
  throw new FsError("EPERM", `whether user ${String(caller.uid)} is in group ${String(gid)} takes the caller's groups`);
}
