/**
 * Extended attributes as programs see them: who may read and write which name, and ACLs, of which the mode always tells
 * the same. Source: the kernel's fs/xattr.c (xattr_permission), fs/posix_acl.c; xattr(7).
 */
import { isDirectory, isRegular, isSymlink, modeBits } from "../../base/attributes.ts";
import { FsError } from "../../base/errno.ts";
import type { Ino } from "../../base/ids.ts";
import { limits } from "../../base/limits.ts";
import { nameToText, type Name } from "../../base/name.ts";
import type { InodeRecord } from "../../metadata-store/records.ts";
import { decodeAcl, encodeAcl, isModeOnly, modeOfAcl } from "../../protocol/acl.ts";
import { access, isMember, isOwner, type Identity } from "../../protocol/permission.ts";
import { xattrKindOf, type XattrKind } from "../../protocol/xattr-names.ts";
import { requireAccess, requireGroupsForSetgid, requireOwner } from "./access.ts";
import { requireRoom, type OperationContext } from "./context.ts";
import { attributesOf, changeTime, readInode, writeInode } from "./inodes.ts";
import type { Method, Request } from "./types.ts";
import { dropXattr, hasXattr, listXattrs, putXattr, readXattr } from "./xattr-store.ts";

/** include/uapi/linux/xattr.h */
const setFlags = { create: 1, replace: 2 } as const;

export const getxattr: Method<"getxattr"> = ({ transaction }, { caller, ino, name }) => {
  const record = readInode(transaction, ino);
  const kind = xattrKindOf(name);
  if (kind === "trusted" && caller.uid !== 0) throw absent(ino, name);
  if (kind === "user") {
    if (!mayHaveUserXattrs(record)) throw absent(ino, name);
    requireAccess(transaction, caller, ino, record, access.read);
  }
  const value = readXattr(transaction, ino, name);
  if (value === undefined) throw absent(ino, name);
  return { value };
};

export const listxattr: Method<"listxattr"> = ({ transaction }, { caller, ino }) => {
  const record = readInode(transaction, ino);
  if (record.xattrCount === 0) return { names: [] };
  const names = listXattrs(transaction, ino).map(({ name }) => name);
  return { names: caller.uid === 0 ? names : names.filter((name) => !name.startsWith("trusted.")) };
};

export const setxattr: Method<"setxattr"> = (context, request) => {
  const { transaction } = context;
  const { caller, ino, name, value, flags } = request;
  const record = readInode(transaction, ino);
  const kind = xattrKindOf(name);
  if (value.length > limits.xattrValueBytesMax) throw new FsError("E2BIG", `xattr ${nameToText(name)}`);
  if ((flags & ~(setFlags.create | setFlags.replace)) !== 0) throw new FsError("EINVAL", `flags ${String(flags)}`);
  requireWritable(context, caller, ino, record, kind);
  const exists = record.xattrCount > 0 && hasXattr(transaction, ino, name);
  if (exists && (flags & setFlags.create) !== 0) throw new FsError("EEXIST", `xattr ${nameToText(name)}`);
  if (!exists && (flags & setFlags.replace) !== 0) throw absent(ino, name);
  requireRoom(context);
  const changed =
    kind === "accessAcl" || kind === "defaultAcl"
      ? setAcl(context, request, record, kind)
      : putXattr(transaction, ino, record, name, value);
  const written = { ...changed, ctime: changeTime(context, record) };
  writeInode(transaction, ino, written);
  return { attributes: attributesOf(ino, written) };
};

export const removexattr: Method<"removexattr"> = (context, { caller, ino, name }) => {
  const { transaction } = context;
  const record = readInode(transaction, ino);
  const kind = xattrKindOf(name);
  requireWritable(context, caller, ino, record, kind);
  if (record.xattrCount === 0 || !hasXattr(transaction, ino, name)) {
    // No ACL is what removing an ACL asks for.
    if (kind === "accessAcl" || kind === "defaultAcl") return { attributes: attributesOf(ino, record) };
    throw absent(ino, name);
  }
  const changed = { ...dropXattr(transaction, ino, record, name), ctime: changeTime(context, record) };
  writeInode(transaction, ino, changed);
  return { attributes: attributesOf(ino, changed) };
};

function absent(ino: Ino, name: Name): FsError {
  return new FsError("ENODATA", `inode ${String(ino)} has no xattr ${nameToText(name)}`);
}

function mayHaveUserXattrs(record: InodeRecord): boolean {
  return isRegular(record.mode) || isDirectory(record.mode);
}

function requireWritable(
  context: OperationContext,
  caller: Identity,
  ino: Ino,
  record: InodeRecord,
  kind: XattrKind,
): void {
  switch (kind) {
    case "accessAcl":
    case "defaultAcl":
      if (isSymlink(record.mode)) throw new FsError("EOPNOTSUPP", `inode ${String(ino)} is a symlink`);
      requireOwner(caller, ino, record);
      return;
    case "trusted":
    case "security":
      if (caller.uid === 0) return;
      throw new FsError("EPERM", `only root changes ${kind} xattrs`);
    case "user":
      break;
  }
  if (!mayHaveUserXattrs(record)) throw new FsError("EPERM", `inode ${String(ino)} is neither file nor directory`);
  const sticky = isDirectory(record.mode) && (record.mode & modeBits.sticky) !== 0;
  if (sticky && !isOwner(caller, record)) throw new FsError("EPERM", `inode ${String(ino)} is a sticky directory`);
  requireAccess(context.transaction, caller, ino, record, access.write);
}

/** An access ACL that says no more than a mode is kept as the mode; any other gives the mode its classes. */
function setAcl(
  context: OperationContext,
  request: Request<"setxattr">,
  record: InodeRecord,
  kind: "accessAcl" | "defaultAcl",
): InodeRecord {
  const { transaction } = context;
  const { caller, ino, name } = request;
  const acl = decodeAcl(request.value);
  if (kind === "defaultAcl") {
    if (acl === null) return dropXattr(transaction, ino, record, name);
    if (!isDirectory(record.mode)) throw new FsError("EACCES", `inode ${String(ino)} is no directory`);
    return putXattr(transaction, ino, record, name, encodeAcl(acl));
  }
  if (acl === null) return dropXattr(transaction, ino, record, name);
  if (!request.clearSetgid) requireGroupsForSetgid(caller, record.mode, record.gid);
  const stripped = request.clearSetgid || !(caller.uid === 0 || isMember(caller, record.gid));
  const kept = stripped ? record.mode & ~(modeBits.setgid | 0o777) : record.mode & ~0o777;
  const changed = { ...record, mode: kept | modeOfAcl(acl) };
  if (isModeOnly(acl)) return dropXattr(transaction, ino, changed, name);
  return putXattr(transaction, ino, changed, name, encodeAcl(acl));
}
