/** renameat2(2). Order of refusals as in the kernel's do_renameat2 and vfs_rename. */
import { fileType, isDirectory } from "../../base/attributes.ts";
import { FsError } from "../../base/errno.ts";
import { rootIno, type Ino } from "../../base/ids.ts";
import { nameToText } from "../../base/name.ts";
import type { EntryRecord, InodeRecord } from "../../metadata-store/records.ts";
import type { MetadataReader } from "../../metadata-store/types.ts";
import { access } from "../../protocol/permission.ts";
import { requireAccess, requireChangeable, requireLiving, requireRemovable } from "./access.ts";
import { requireRoom, type OperationContext } from "./context.ts";
import { makeInode } from "./create.ts";
import {
  dropEntry,
  findEntry,
  putEntry,
  requireEmpty,
  requireEntry,
  writeChangedDirectory,
  type DirectoryDifference,
} from "./entries.ts";
import { attributesOf, changeTime, readDirectory, readInode, writeInode } from "./inodes.ts";
import { isKept, loseName } from "./remove.ts";
import type { Method, Request } from "./types.ts";

/** include/uapi/linux/fs.h */
const renameFlags = { noReplace: 1, exchange: 2, whiteout: 4 } as const;

/** One name of the two, as it is found. */
interface Side {
  readonly ino: Ino;
  readonly entry: EntryRecord;
  readonly record: InodeRecord;
}

export const rename: Method<"rename"> = (context, request) => {
  const { transaction } = context;
  const { parent, name, newParent, flags } = request;
  checkFlags(flags);
  const exchange = (flags & renameFlags.exchange) !== 0;
  readDirectory(transaction, parent);
  requireLiving(readDirectory(transaction, newParent), newParent);
  const source = side(transaction, requireEntry(transaction, parent, name));
  const target = existing(transaction, request, exchange);
  if (isDirectory(source.record.mode) && parent !== newParent && isWithin(transaction, newParent, source.ino)) {
    throw new FsError("EINVAL", `directory ${String(source.ino)} would be moved into itself`);
  }
  if (target !== undefined && isDirectory(target.record.mode) && isWithin(transaction, parent, target.ino)) {
    throw new FsError(exchange ? "EINVAL" : "ENOTEMPTY", `directory ${String(target.ino)} holds what would replace it`);
  }
  // Two names of one inode, or one name: nothing to do, not even a permission to ask.
  if (target?.ino === source.ino) return { attributes: attributesOf(source.ino, source.record), replaced: null };

  requireMovable(context, request, { source, target, exchange });
  requireRoom(context);
  if (exchange && target !== undefined) return exchangeNames(context, request, source, target);
  return moveName(context, request, source, target);
};

function checkFlags(flags: number): void {
  const { noReplace, exchange, whiteout } = renameFlags;
  const unknown = (flags & ~(noReplace | exchange | whiteout)) !== 0;
  const clash = (flags & exchange) !== 0 && (flags & (noReplace | whiteout)) !== 0;
  if (unknown || clash) throw new FsError("EINVAL", `rename with flags ${String(flags)}`);
}

function side(reader: MetadataReader, entry: EntryRecord): Side {
  return { ino: entry.ino, entry, record: readInode(reader, entry.ino) };
}

/** What has the new name now. */
function existing(reader: MetadataReader, request: Request<"rename">, exchange: boolean): Side | undefined {
  const { newParent, newName, flags } = request;
  const entry = findEntry(reader, newParent, newName);
  const place = `${nameToText(newName)} in directory ${String(newParent)}`;
  if (entry !== undefined && (flags & renameFlags.noReplace) !== 0) throw new FsError("EEXIST", place);
  if (entry === undefined && exchange) throw new FsError("ENOENT", place);
  return entry === undefined ? undefined : side(reader, entry);
}

/** Whether `directory` is `top` or below it. */
function isWithin(reader: MetadataReader, directory: Ino, top: Ino): boolean {
  let ino = directory;
  while (ino !== rootIno && ino !== top) ino = readDirectory(reader, ino).parent as Ino;
  return ino === top;
}

function requireMovable(
  context: OperationContext,
  request: Request<"rename">,
  found: { readonly source: Side; readonly target: Side | undefined; readonly exchange: boolean },
): void {
  const { transaction } = context;
  const { caller, parent, newParent } = request;
  const { source, target, exchange } = found;
  const sourceIsDirectory = isDirectory(source.record.mode);
  const directory = requireChangeable(transaction, caller, parent);
  requireRemovable(caller, directory, source.record, source.ino, sourceIsDirectory);
  const newDirectory = requireChangeable(transaction, caller, newParent);
  if (target !== undefined) {
    const asDirectory = exchange ? isDirectory(target.record.mode) : sourceIsDirectory;
    requireRemovable(caller, newDirectory, target.record, target.ino, asDirectory);
  }
  // A directory that gets another `..` is itself changed.
  const moves = parent !== newParent;
  if (moves && sourceIsDirectory) requireAccess(transaction, caller, source.ino, source.record, access.write);
  if (moves && exchange && target !== undefined && isDirectory(target.record.mode)) {
    requireAccess(transaction, caller, target.ino, target.record, access.write);
  }
  if (!exchange && target !== undefined && sourceIsDirectory) requireEmpty(transaction, target.ino);
}

type Renamed = ReturnType<Method<"rename">>;

function moveName(
  context: OperationContext,
  request: Request<"rename">,
  source: Side,
  target: Side | undefined,
): Renamed {
  const { parent, name, newParent, newName } = request;
  const taken = [dropEntry(context, parent, name, source.entry)];
  const given: DirectoryDifference[] = [];
  if (target !== undefined) given.push(dropEntry(context, newParent, newName, target.entry));
  given.push(putEntry(context, newParent, newName, source.entry));
  if ((request.flags & renameFlags.whiteout) !== 0) taken.push(putWhiteout(context, request));
  writeDirectories(context, request, taken, given);
  const moved = writeMoved(context, source, newParent);
  const replaced =
    target === undefined ? null : loseName(context, target.ino, target.record, isKept(request, target.ino));
  return { attributes: attributesOf(source.ino, moved), replaced };
}

function exchangeNames(context: OperationContext, request: Request<"rename">, source: Side, target: Side): Renamed {
  const { parent, name, newParent, newName } = request;
  const taken = [dropEntry(context, parent, name, source.entry), putEntry(context, parent, name, target.entry)];
  const given = [
    dropEntry(context, newParent, newName, target.entry),
    putEntry(context, newParent, newName, source.entry),
  ];
  writeDirectories(context, request, taken, given);
  const moved = writeMoved(context, source, newParent);
  const back = writeMoved(context, target, parent);
  return { attributes: attributesOf(source.ino, moved), replaced: attributesOf(target.ino, back) };
}

/** The old name becomes a character device 0, 0, by which an overlay filesystem hides what is below it. */
function putWhiteout(context: OperationContext, request: Request<"rename">): DirectoryDifference {
  const { caller, parent, name } = request;
  const directory = readDirectory(context.transaction, parent);
  const { ino } = makeInode(context, { caller, parent, umask: 0 }, directory, { mode: fileType.character });
  return putEntry(context, parent, name, { ino, type: fileType.character });
}

function writeDirectories(
  context: OperationContext,
  { parent, newParent }: Request<"rename">,
  taken: readonly DirectoryDifference[],
  given: readonly DirectoryDifference[],
): void {
  const directory = readDirectory(context.transaction, parent);
  if (parent === newParent) writeChangedDirectory(context, parent, directory, ...taken, ...given);
  else {
    writeChangedDirectory(context, parent, directory, ...taken);
    writeChangedDirectory(context, newParent, readDirectory(context.transaction, newParent), ...given);
  }
}

/** Read anew: an inode may be the directory of the other name. */
function writeMoved(context: OperationContext, { ino }: Side, parent: Ino): InodeRecord {
  const record = readInode(context.transaction, ino);
  const moved = {
    ...record,
    parent: isDirectory(record.mode) ? parent : 0,
    ctime: changeTime(context, record),
  };
  writeInode(context.transaction, ino, moved);
  return moved;
}
