/**
 * copy_file_range(2): the target gets extents that name the same blocks; inline content is copied. One transaction does
 * so much as fits it and says how much that was.
 */
import { FsError } from "../../base/errno.ts";
import type { Ino } from "../../base/ids.ts";
import { limits } from "../../base/limits.ts";
import type { InodeRecord } from "../../metadata-store/records.ts";
import type { MetadataReader } from "../../metadata-store/types.ts";
import { clipExtent, extentEnd } from "../../protocol/extents.ts";
import { access } from "../../protocol/permission.ts";
import type { Extent } from "../../protocol/types.ts";
import { mayAccess } from "./access.ts";
import { BlockAccounts } from "./block-accounts.ts";
import { cutRange, extentsIn, overlapUpTo, putExtent, toExtent } from "./content.ts";
import { requireRoom, type OperationContext } from "./context.ts";
import { attributesOf, changeTime, readFile, writeInode } from "./inodes.ts";
import { afterWrite } from "./privileges.ts";
import { noteReplicas } from "./replicas.ts";
import type { Method, Request } from "./types.ts";

/** Extents taken over or displaced by one call; inline bytes copied by one. */
const extentsPerCall = 512;
const inlineBytesPerCall = 1024 * 1024;

export const copyFileRange: Method<"copyFileRange"> = (context, request) => {
  const { transaction } = context;
  const { caller, from, fromOffset, to, toOffset } = request;
  const source = readFile(transaction, from);
  const target = readFile(transaction, to);
  requireReadable(context, request, source);
  const asked = Math.min(request.length, Math.max(0, source.size - fromOffset));
  if (from === to && fromOffset < toOffset + asked && toOffset < fromOffset + asked) {
    throw new FsError("EINVAL", "source and target overlap");
  }
  if (asked === 0) return { attributes: attributesOf(to, target), copied: 0 };
  if (toOffset + asked > limits.fileBytesMax) throw new FsError("EFBIG", `inode ${String(to)}`);
  requireRoom(context);

  const pieces = piecesOf(transaction, source.content, fromOffset, fromOffset + asked);
  const displaced = overlapUpTo(transaction, target, {
    start: toOffset,
    end: toOffset + pieces.end - fromOffset,
    limit: extentsPerCall,
  });
  const copied = displaced.end - toOffset;
  const changed = replace(context, target, { fromOffset, toOffset, copied, extents: pieces.extents });
  noteReplicas(context, to, target, pieces.extents);
  const now = changeTime(context, target);
  const written = {
    ...afterWrite(transaction, to, changed, caller),
    size: Math.max(target.size, toOffset + copied),
    mtime: now,
    ctime: now,
  };
  writeInode(transaction, to, written);
  return { attributes: attributesOf(to, written), copied };
};

/**
 * Sharing shows the content to whoever reads the target. A process may hold a file open that it could not open now:
 * for it EXDEV makes the kernel copy by reading and writing.
 */
function requireReadable(context: OperationContext, request: Request<"copyFileRange">, source: InodeRecord): void {
  const { caller, from } = request;
  if (mayAccess(context.transaction, caller, from, source, access.read)) return;
  throw new FsError(
    caller.groups === undefined ? "EACCES" : "EXDEV",
    `user ${String(caller.uid)} may not read ${String(from)}`,
  );
}

/** The extents within [start, end), clipped, as far as one call goes; `end` is how far that is. */
function piecesOf(
  reader: MetadataReader,
  content: Ino,
  start: number,
  end: number,
): { extents: Extent[]; end: number } {
  const extents: Extent[] = [];
  let inline = 0;
  for (const stored of extentsIn(reader, content, start, end, extentsPerCall + 1)) {
    if (extents.length === extentsPerCall || inline >= inlineBytesPerCall) return { extents, end: stored.offset };
    extents.push(clipExtent(toExtent(reader, content, stored), start, end));
    if (stored.record.kind === "inline") inline += stored.record.length;
  }
  return { extents, end };
}

function replace(
  context: OperationContext,
  target: InodeRecord,
  copy: { fromOffset: number; toOffset: number; copied: number; extents: readonly Extent[] },
): InodeRecord {
  const { transaction } = context;
  const { fromOffset, toOffset, copied } = copy;
  const accounts = new BlockAccounts(context);
  const removed = cutRange(transaction, target.content, toOffset, toOffset + copied, accounts);
  let added = 0;
  for (const extent of copy.extents) {
    if (extent.offset >= fromOffset + copied) break;
    const clipped = clipExtent(extent, fromOffset, Math.min(extentEnd(extent), fromOffset + copied));
    putExtent(transaction, target.content, { ...clipped, offset: clipped.offset - fromOffset + toOffset }, accounts);
    added += clipped.length;
  }
  accounts.write();
  return { ...target, bytesUsed: target.bytesUsed - removed + added };
}
