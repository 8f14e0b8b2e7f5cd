/** What a change of content takes from an executable: setuid, setgid and its capability. */
import type { Ino } from "../../base/ids.ts";
import { inodeFlags, type InodeRecord } from "../../metadata-store/records.ts";
import { modeWithoutPrivileges, type Identity } from "../../protocol/permission.ts";
import { requireGroupsForSetgid } from "./access.ts";
import type { Transaction } from "./transaction.ts";
import { capabilityXattr, dropXattr } from "./xattr-store.ts";

const superuser: Identity = { uid: 0, gid: 0 };
const groupExecute = 0o010;

/** Returns the record as it is to be written. EPERM if it takes the caller's groups to decide, and they are absent. */
export function dropPrivileges(
  transaction: Transaction,
  ino: Ino,
  record: InodeRecord,
  caller: Identity = superuser,
): InodeRecord {
  if ((record.mode & groupExecute) === 0) requireGroupsForSetgid(caller, record.mode, record.gid);
  const rest = dropCapability(transaction, ino, record);
  const mode = modeWithoutPrivileges(caller, rest);
  return mode === rest.mode ? rest : { ...rest, mode };
}

/** The capability goes whoever writes, root too. */
export function dropCapability(transaction: Transaction, ino: Ino, record: InodeRecord): InodeRecord {
  if ((record.flags & inodeFlags.capability) === 0) return record;
  return dropXattr(transaction, ino, record, capabilityXattr);
}

/** After a change of content by this caller. */
export function afterWrite(transaction: Transaction, ino: Ino, record: InodeRecord, caller: Identity): InodeRecord {
  if (caller.uid === 0) return dropCapability(transaction, ino, record);
  return dropPrivileges(transaction, ino, record, caller);
}
