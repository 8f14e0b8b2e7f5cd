/**
 * writeExtents: content into a file. Everything is checked before anything is changed; a request that displaces more
 * than fits one transaction is committed in parts, and when it is sent again after a crash, parts that are there already
 * (the same block at the same place) are put there once more.
 */
import { FsError } from "../../base/errno.ts";
import { blockName, type Ino } from "../../base/ids.ts";
import { limits } from "../../base/limits.ts";
import type { InodeRecord } from "../../metadata-store/records.ts";
import { clipExtent, extentEnd, joinExtents } from "../../protocol/extents.ts";
import type { Extent } from "../../protocol/types.ts";
import { BlockAccounts } from "./block-accounts.ts";
import { BlockClaims, requireEpochs } from "./block-claims.ts";
import { cutFound, extentBefore, extentsIn, inlineBytes, overlapUpTo, putExtent } from "./content.ts";
import { requireRoom, type OperationContext } from "./context.ts";
import { attributesOf, changeTime, readFile, writeInode } from "./inodes.ts";
import { dropCapability, dropPrivileges } from "./privileges.ts";
import { noteReplicas } from "./replicas.ts";
import type { Method } from "./types.ts";

/** Beyond this a part is committed: one more extent changes few keys, and its split neighbours few bytes. */
const keysPerPart = limits.transactionKeysMax - 1_024;
const bytesPerPart = limits.transactionBytesMax / 2;
const displacedPerStep = 256;
/** Inline neighbours are written as one while together they are no longer than this: appending stays cheap. */
const joinedBytesMax = 4_096;

export const writeExtents: Method<"writeExtents"> = (context, request) => {
  const { transaction } = context;
  const { ino } = request;
  requireRoom(context);
  let record = readFile(transaction, ino);
  const base = request.append ? record.size : 0;
  const extents = shifted(request.extents, base);
  const size = base + request.size;
  if (size > limits.fileBytesMax) throw new FsError("EFBIG", `inode ${String(ino)} of ${String(size)} bytes`);
  requireEpochs(transaction, extents, request.epochs);

  const target = new ContentWriter(context, ino, record);
  for (const extent of extents) target.write(extent);
  record = target.finish();
  noteReplicas(context, ino, record, extents);

  const time = request.mtime === "now" ? changeTime(context, record) : request.mtime;
  // Who wrote is not known here: setgid without group execution was taken when the write came (see vfs/privileges.ts).
  const drop = request.clearPrivileges ? dropPrivileges : dropCapability;
  const written = {
    ...drop(transaction, ino, record),
    size: Math.max(record.size, size),
    mtime: time ?? record.mtime,
    // When it was written, not when it arrived: who has looked at the file in between has seen this ctime.
    ctime: time !== undefined && time > record.ctime ? time : record.ctime,
  };
  writeInode(transaction, ino, written);
  return { attributes: attributesOf(ino, written), appendedAt: base };
};

/** In order, without overlaps, below the largest size: EINVAL, EFBIG. */
function shifted(extents: readonly Extent[], base: number): readonly Extent[] {
  let end = 0;
  for (const extent of extents) {
    if (extent.offset < end) throw new FsError("EINVAL", "extents overlap or are out of order");
    end = extentEnd(extent);
    if (extent.kind === "block" && extent.blockOffset + extent.length > limits.blockBytesMax) {
      throw new FsError("EINVAL", `a stretch of block ${blockName(extent.block)} beyond the largest block`);
    }
  }
  if (base + end > limits.fileBytesMax) throw new FsError("EFBIG", `an extent up to ${String(base + end)}`);
  return base === 0 ? extents : extents.map((extent) => ({ ...extent, offset: extent.offset + base }));
}

/** Puts extents into one file. Owns the accounts of the part that is not committed yet. */
class ContentWriter {
  readonly #context: OperationContext;
  readonly #ino: Ino;
  readonly #accounts: BlockAccounts;
  readonly #claims: BlockClaims;
  #record: InodeRecord;

  constructor(context: OperationContext, ino: Ino, record: InodeRecord) {
    this.#context = context;
    this.#ino = ino;
    this.#record = record;
    this.#accounts = new BlockAccounts(context);
    this.#claims = new BlockClaims(context.transaction, context.session);
  }

  write(given: Extent): void {
    if (given.kind === "block" && !this.#claims.claim(given.block) && !this.#isThere(given)) {
      throw new FsError("EINVAL", `block ${blockName(given.block)} was named before`);
    }
    const end = extentEnd(given);
    let start = given.offset;
    while (start < end) start = this.#writePart(clipExtent(given, start, end));
  }

  finish(): InodeRecord {
    this.#claims.write(true);
    this.#accounts.write();
    return this.#record;
  }

  get #keys(): number {
    return this.#context.transaction.keys + this.#accounts.keys + this.#claims.keys;
  }

  #commitPart(): void {
    this.#claims.write(false);
    this.#accounts.write();
    writeInode(this.#context.transaction, this.#ino, this.#record);
    this.#context.checkpoint();
  }

  /** Puts what displaces not too many extents; returns where to go on. */
  #writePart(given: Extent): number {
    const { transaction } = this.#context;
    const { content } = this.#record;
    const start = given.offset;
    const stretch = { start, end: extentEnd(given), limit: displacedPerStep };
    const { found, end } = overlapUpTo(transaction, this.#record, stretch);
    const displaced = cutFound(transaction, content, found, { start, end, accounts: this.#accounts });
    putExtent(transaction, content, this.#joined(clipExtent(given, start, end)), this.#accounts);
    this.#record = {
      ...this.#record,
      size: Math.max(this.#record.size, end),
      bytesUsed: this.#record.bytesUsed - displaced + end - start,
    };
    if (this.#keys > keysPerPart || transaction.bytes > bytesPerPart) this.#commitPart();
    return end;
  }

  /** Whether this file names the block there already: then putting it there again changes nothing. */
  #isThere(given: Extent & { readonly kind: "block" }): boolean {
    const { transaction } = this.#context;
    const [found] = extentsIn(transaction, this.#record.content, given.offset, extentEnd(given), 1);
    if (found?.record.kind !== "block") return false;
    const { block, blockOffset } = found.record;
    const sameBlock = block.group === given.block.group && block.number === given.block.number;
    return sameBlock && blockOffset - found.offset === given.blockOffset - given.offset;
  }

  /** Together with the inline extent that it continues, if both are small; that one is replaced under its offset. */
  #joined(given: Extent): Extent {
    if (given.kind !== "inline" || given.offset === 0 || given.length >= joinedBytesMax) return given;
    const { transaction } = this.#context;
    const { content } = this.#record;
    const before = extentBefore(transaction, content, given.offset);
    if (before?.record.kind !== "inline" || before.offset + before.record.length !== given.offset) return given;
    if (before.record.length + given.length > joinedBytesMax) return given;
    const left: Extent = {
      kind: "inline",
      offset: before.offset,
      length: before.record.length,
      content: inlineBytes(transaction, content, before.offset),
    };
    const joined = joinExtents(left, given);
    if (joined !== undefined) this.#accounts.subtract(before.record);
    return joined ?? given;
  }
}
