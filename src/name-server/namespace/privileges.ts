/** What a change of content takes from an executable: setuid, setgid and its capability. */
import type { Ino } from "../../base/ids.ts";
import { inodeFlags, type InodeRecord } from "../../metadata-store/records.ts";
import { modeWithoutPrivileges } from "../../protocol/permission.ts";
import type { Transaction } from "./transaction.ts";
import { capabilityXattr, dropXattr } from "./xattr-store.ts";

/** Returns the record as it is to be written. */
export function dropPrivileges(transaction: Transaction, ino: Ino, record: InodeRecord): InodeRecord {
  const rest = dropCapability(transaction, ino, record);
  const mode = modeWithoutPrivileges(rest.mode);
  return mode === rest.mode ? rest : { ...rest, mode };
}

/** The capability goes whoever writes, root too. */
export function dropCapability(transaction: Transaction, ino: Ino, record: InodeRecord): InodeRecord {
  if ((record.flags & inodeFlags.capability) === 0) return record;
  return dropXattr(transaction, ino, record, capabilityXattr);
}

/** After a change of content: `clear` says whether setuid and setgid go too. */
export function afterWrite(transaction: Transaction, ino: Ino, record: InodeRecord, clear: boolean): InodeRecord {
  return clear ? dropPrivileges(transaction, ino, record) : dropCapability(transaction, ino, record);
}
