/**
 * New inodes: create, mknod, mkdir, symlink, tmpfile. Order of refusals as in the kernel: the name exists (EEXIST), the
 * directory may not be changed (EACCES), the directory was removed (ENOENT).
 */
import { fileType, isDirectory, isRegular, modeBits } from "../../base/attributes.ts";
import { FsError } from "../../base/errno.ts";
import type { Ino } from "../../base/ids.ts";
import { limits } from "../../base/limits.ts";
import type { Name } from "../../base/name.ts";
import { keys } from "../../metadata-store/keys.ts";
import { inodeFlags, inodeReplicasMask, type InodeRecord } from "../../metadata-store/records.ts";
import { aclXattrs, encodeAcl, inheritAcl, isModeOnly } from "../../protocol/acl.ts";
import { inheritGroup, type Identity } from "../../protocol/permission.ts";
import { defaultAclOf, requireChangeable, requireGroupsForSetgid, requireLiving } from "./access.ts";
import { countInodes, requireRoom, type OperationContext } from "./context.ts";
import { putEntry, requireNoEntry, writeChangedDirectory } from "./entries.ts";
import { attributesOf, typeOf, writeInode } from "./inodes.ts";
import { writeOrphan } from "./orphans.ts";
import type { Method } from "./types.ts";
import { putXattr } from "./xattr-store.ts";

export const create: Method<"create"> = (context, request) =>
  named(context, request, { mode: fileType.regular | (request.mode & 0o7777) });

export const mkdir: Method<"mkdir"> = (context, request) =>
  named(context, request, { mode: fileType.directory | (request.mode & 0o1777) });

export const mknod: Method<"mknod"> = (context, request) => {
  const wanted = request.mode & fileType.mask;
  const type = wanted === 0 ? fileType.regular : wanted;
  const device = type === fileType.character || type === fileType.block;
  if (type === fileType.directory) throw new FsError("EPERM", "mknod makes no directories");
  if (!device && type !== fileType.regular && type !== fileType.fifo && type !== fileType.socket) {
    throw new FsError("EINVAL", `mknod of type ${type.toString(8)}`);
  }
  // A whiteout (character device 0, 0) is nothing that could be used: anybody may make one.
  const whiteout = type === fileType.character && request.rdev === 0;
  const refused = device && !whiteout && request.caller.uid !== 0;
  const rdev = device ? request.rdev : 0;
  return named(context, request, { mode: type | (request.mode & 0o7777), rdev, refused });
};

export const symlink: Method<"symlink"> = (context, request) => {
  const { target } = request;
  if (target.length === 0) throw new FsError("ENOENT", "a symlink to nothing");
  if (target.length > limits.symlinkBytesMax) {
    throw new FsError("ENAMETOOLONG", `a symlink target of ${String(target.length)} bytes`);
  }
  return named(context, request, { mode: fileType.symlink | 0o777, target });
};

export const tmpfile: Method<"tmpfile"> = (context, request) => {
  const directory = requireChangeable(context.transaction, request.caller, request.parent);
  requireLiving(directory, request.parent);
  requireRoom(context);
  const made = makeInode(context, request, directory, {
    mode: fileType.regular | (request.mode & 0o7777),
    nlink: 0,
    flags: inodeFlags.linkable,
  });
  writeOrphan(context, made.ino, [context.session]);
  return { attributes: attributesOf(made.ino, made.record) };
};

interface Creation {
  readonly caller: Identity;
  readonly parent: Ino;
  readonly umask: number;
}

interface Wanted {
  readonly mode: number;
  readonly rdev?: number;
  readonly target?: Buffer;
  readonly nlink?: number;
  readonly flags?: number;
  /** Only root may, and the caller is not: told after what is wrong with the name and the directory. */
  readonly refused?: boolean;
}

function named(
  context: OperationContext,
  request: Creation & { readonly name: Name },
  wanted: Wanted,
): { attributes: ReturnType<typeof attributesOf> } {
  const { caller, parent, name } = request;
  requireNoEntry(context.transaction, parent, name);
  const directory = requireChangeable(context.transaction, caller, parent);
  if (wanted.refused === true) throw new FsError("EPERM", "only root makes devices");
  requireLiving(directory, parent);
  requireRoom(context);
  const { ino, record } = makeInode(context, request, directory, wanted);
  const difference = putEntry(context, parent, name, { ino, type: typeOf(record) });
  writeChangedDirectory(context, parent, directory, difference);
  return { attributes: attributesOf(ino, record) };
}

/** Writes an inode that no name leads to yet. */
export function makeInode(
  context: OperationContext,
  creation: Creation,
  directory: InodeRecord,
  wanted: Wanted,
): { readonly ino: Ino; readonly record: InodeRecord } {
  const { transaction, nowNanos: now } = context;
  const { caller, parent, umask } = creation;
  const executable = !isDirectory(wanted.mode) && (wanted.mode & 0o010) !== 0;
  if (executable && (directory.mode & modeBits.setgid) !== 0) {
    requireGroupsForSetgid(caller, wanted.mode, directory.gid);
  }
  const { gid, mode } = inheritGroup(caller, directory, wanted.mode);
  const ino = context.allocator.ino(transaction);
  const isDir = isDirectory(mode);
  let record: InodeRecord = {
    flags: (wanted.flags ?? 0) | inheritedFlags(directory, mode),
    xattrCount: 0,
    mode,
    nlink: wanted.nlink ?? (isDir ? 2 : 1),
    uid: caller.uid,
    gid,
    rdev: wanted.rdev ?? 0,
    size: wanted.target?.length ?? 0,
    bytesUsed: 0,
    atime: now,
    mtime: now,
    ctime: now,
    btime: now,
    parent: isDir ? parent : 0,
    content: ino,
  };
  if (wanted.target !== undefined) transaction.put(keys.symlink(ino), Buffer.from(wanted.target));
  else record = withInheritedAcl(context, ino, record, { parent, directory, umask });
  writeInode(transaction, ino, record);
  countInodes(transaction, 1);
  return { ino, record };
}

/** How many copies what is made in a directory has. */
function inheritedFlags(directory: InodeRecord, mode: number): number {
  return isDirectory(mode) || isRegular(mode) ? directory.flags & inodeReplicasMask : 0;
}

/** The umask counts only where the directory has no default ACL. */
function withInheritedAcl(
  context: OperationContext,
  ino: Ino,
  record: InodeRecord,
  from: { readonly parent: Ino; readonly directory: InodeRecord; readonly umask: number },
): InodeRecord {
  const { transaction } = context;
  const acl = defaultAclOf(transaction, from.parent, from.directory);
  if (acl === null) return { ...record, mode: record.mode & ~(from.umask & 0o777) };
  const inherited = inheritAcl(acl, record.mode);
  let made = { ...record, mode: inherited.mode };
  if (!isModeOnly(inherited.acl)) made = putXattr(transaction, ino, made, aclXattrs.access, encodeAcl(inherited.acl));
  if (isDirectory(record.mode)) made = putXattr(transaction, ino, made, aclXattrs.default, encodeAcl(acl));
  return made;
}
