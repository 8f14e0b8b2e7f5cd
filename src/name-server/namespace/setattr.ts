/**
 * chmod, chown, truncate, utimensat, as one change. Order: truncation first (the only part that may commit in between),
 * then owner, mode with its ACL, times.
 */
import { fileType, isDirectory, isRegular, isSymlink, type Nanos } from "../../base/attributes.ts";
import { FsError } from "../../base/errno.ts";
import type { Ino } from "../../base/ids.ts";
import { limits } from "../../base/limits.ts";
import type { InodeRecord } from "../../metadata-store/records.ts";
import { aclAfterChmod, aclXattrs, encodeAcl } from "../../protocol/acl.ts";
import { access, modeAfterChmod, refuseChanges } from "../../protocol/permission.ts";
import { accessAclOf, mayAccess, requireGroupsForSetgid } from "./access.ts";
import { requireRoom, type OperationContext } from "./context.ts";
import { discardStretch } from "./discard.ts";
import { attributesOf, changeTime, notAFile, readInode, writeInode } from "./inodes.ts";
import { dropCapability, dropPrivileges } from "./privileges.ts";
import type { Method, Request } from "./types.ts";
import { putXattr } from "./xattr-store.ts";

export const setattr: Method<"setattr"> = (context, request) => {
  const { transaction } = context;
  const { caller, ino } = request;
  const found = readInode(transaction, ino);
  const errno = refuseChanges(caller, found, request, () => mayAccess(transaction, caller, ino, found, access.write));
  if (errno !== undefined) throw new FsError(errno, `user ${String(caller.uid)} may not change inode ${String(ino)}`);
  if (request.mode !== undefined && isSymlink(found.mode)) {
    throw new FsError("EOPNOTSUPP", `inode ${String(ino)} is a symlink, which has no mode of its own`);
  }

  let record = request.size === undefined ? found : resize(context, ino, found, request.size);
  record = changeOwner(context, request, record);
  record = changeMode(context, request, record);
  record = changeTimes(request, record, { before: found, now: changeTime(context, found) });
  writeInode(transaction, ino, record);
  return { attributes: attributesOf(ino, record) };
};

function resize(context: OperationContext, ino: Ino, record: InodeRecord, size: number): InodeRecord {
  if (!isRegular(record.mode)) throw notAFile(ino, record);
  if (size > limits.fileBytesMax) throw new FsError("EFBIG", `inode ${String(ino)} of ${String(size)} bytes`);
  if (size > record.size) requireRoom(context);
  const resized =
    size < record.size
      ? discardStretch(context, ino, record, { start: size, end: record.size, truncate: true })
      : { ...record, size };
  const now = changeTime(context, record);
  return { ...dropCapability(context.transaction, ino, resized), mtime: now, ctime: now };
}

function changeOwner(context: OperationContext, request: Request<"setattr">, record: InodeRecord): InodeRecord {
  const { caller, ino, uid, gid, size, killPrivileges } = request;
  const chown = uid !== undefined || gid !== undefined;
  let changed = record;
  const isWritten = killPrivileges === true || (size !== undefined && caller.uid !== 0);
  if (isWritten || (chown && !isDirectory(record.mode))) {
    changed = dropPrivileges(context.transaction, ino, record, caller);
  }
  return chown ? { ...changed, uid: uid ?? record.uid, gid: gid ?? record.gid } : changed;
}

function changeMode(context: OperationContext, request: Request<"setattr">, record: InodeRecord): InodeRecord {
  if (request.mode === undefined) return record;
  const { transaction } = context;
  requireGroupsForSetgid(request.caller, request.mode, record.gid);
  const changed = { ...record, mode: modeAfterChmod(request.caller, record, request.mode & ~fileType.mask) };
  const acl = accessAclOf(transaction, request.ino, record);
  if (acl === null) return changed;
  const bytes = encodeAcl(aclAfterChmod(acl, changed.mode));
  return putXattr(transaction, request.ino, changed, aclXattrs.access, bytes);
}

/**
 * Every change sets ctime to now, unless one is given: then to that, but never back. (So a client that only brings the
 * times of reads up to date gives the ctime that it knows.)
 */
function changeTimes(
  request: Request<"setattr">,
  record: InodeRecord,
  { before, now }: { before: InodeRecord; now: Nanos },
): InodeRecord {
  const wanted = request.ctime ?? now;
  const ctime = wanted > before.ctime ? wanted : before.ctime;
  return {
    ...record,
    atime: timeOf(request.atime, record.atime, now),
    mtime: timeOf(request.mtime, record.mtime, now),
    ctime,
  };
}

function timeOf(wanted: Nanos | "now" | undefined, present: Nanos, now: Nanos): Nanos {
  if (wanted === undefined) return present;
  return wanted === "now" ? now : wanted;
}
