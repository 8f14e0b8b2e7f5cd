/** unlink and rmdir. Order of refusals as in the kernel: ENOENT, EACCES, sticky EPERM, ENOTDIR or EISDIR, ENOTEMPTY. */
import { isDirectory, type Attributes } from "../../base/attributes.ts";
import type { Ino } from "../../base/ids.ts";
import type { InodeRecord } from "../../metadata-store/records.ts";
import { requireChangeable, requireRemovable } from "./access.ts";
import type { OperationContext } from "./context.ts";
import { dropEntry, requireEmpty, requireEntry, writeChangedDirectory } from "./entries.ts";
import { changeTime, readDirectory, readInode, writeInode, attributesOf } from "./inodes.ts";
import { orphanOrRemove } from "./orphans.ts";
import type { Method, Reply, Request } from "./types.ts";

export const unlink: Method<"unlink"> = (context, request) => remove(context, request, false);
export const rmdir: Method<"rmdir"> = (context, request) => remove(context, request, true);

function remove(context: OperationContext, request: Request<"unlink">, asDirectory: boolean): Reply<"unlink"> {
  const { transaction } = context;
  const { caller, parent, name } = request;
  readDirectory(transaction, parent);
  const entry = requireEntry(transaction, parent, name);
  const directory = requireChangeable(transaction, caller, parent);
  const victim = readInode(transaction, entry.ino);
  requireRemovable(caller, directory, victim, entry.ino, asDirectory);
  if (asDirectory) requireEmpty(transaction, entry.ino);
  const difference = dropEntry(context, parent, name, entry);
  writeChangedDirectory(context, parent, directory, difference);
  return { attributes: loseName(context, entry.ino, victim, isKept(request, entry.ino)) };
}

/** Whether the client may use the inode that loses a name: it said so, or meant another one. */
export function isKept({ keep, victim }: Pick<Request<"unlink">, "keep" | "victim">, ino: Ino): boolean {
  return keep || (victim !== undefined && victim !== ino);
}

/** The inode has one name less (the caller dropped or changed the entry). Returns what is left of it. */
export function loseName(context: OperationContext, ino: Ino, record: InodeRecord, keep: boolean): Attributes | null {
  const nlink = isDirectory(record.mode) ? 0 : record.nlink - 1;
  const changed = { ...record, nlink, ctime: changeTime(context, record) };
  if (nlink === 0) return orphanOrRemove(context, ino, changed, keep);
  writeInode(context.transaction, ino, changed);
  return attributesOf(ino, changed);
}
