/** readExtents and compactExtents: a file's extents as they are, and others with the same content in their place. */
import { isRegular, type Attributes } from "../../base/attributes.ts";
import { FsError } from "../../base/errno.ts";
import { blockName, type Ino } from "../../base/ids.ts";
import { limits } from "../../base/limits.ts";
import { keys } from "../../metadata-store/keys.ts";
import { decodeInode } from "../../metadata-store/records.ts";
import type { MetadataReader } from "../../metadata-store/types.ts";
import { extentEnd } from "../../protocol/extents.ts";
import type { Extent } from "../../protocol/types.ts";
import { BlockAccounts } from "./block-accounts.ts";
import { BlockClaims, requireEpochs } from "./block-claims.ts";
import { cutRange, extentsIn, putExtent, toExtent } from "./content.ts";
import { attributesOf, readFile, writeInode } from "./inodes.ts";
import { noteReplicas } from "./replicas.ts";
import type { Method } from "./types.ts";

/** What the extents of one reply take in the message, about; a single one always fits. */
const replyBytesMax = limits.messageBytesMax / 2;
const extentBytes = 96;

export const readExtents: Method<"readExtents"> = ({ transaction }, request) => {
  const reply = extentsOf(transaction, request);
  if (request.along === undefined) return reply;
  return { ...reply, others: readAlong(transaction, request.along) };
};

/** What is not there or no file (any more) is left out. */
function readAlong(reader: MetadataReader, inos: readonly Ino[]): { attributes: Attributes; extents: Extent[] }[] {
  const others: { attributes: Attributes; extents: Extent[] }[] = [];
  let bytes = 0;
  for (const ino of inos) {
    const value = reader.get(keys.inode(ino));
    if (value === undefined) continue;
    const record = decodeInode(value);
    if (!isRegular(record.mode)) continue;
    const { attributes, extents, next } = extentsOf(reader, { ino, offset: 0, length: limits.fileBytesMax });
    for (const extent of extents) bytes += bytesOf(extent);
    if (next !== null || bytes > limits.readAlongBytesMax) break;
    others.push({ attributes, extents });
  }
  return others;
}

function extentsOf(
  transaction: MetadataReader,
  { ino, offset, length }: { readonly ino: Ino; readonly offset: number; readonly length: number },
): { attributes: Attributes; extents: Extent[]; next: number | null } {
  const record = readFile(transaction, ino);
  const attributes = attributesOf(ino, record);
  const end = Math.min(offset + length, record.size);
  const extents: Extent[] = [];
  if (record.bytesUsed === 0 || offset >= end) return { attributes, extents, next: null };
  let bytes = 0;
  for (const stored of extentsIn(transaction, record.content, offset, end, limits.extentsPerMessageMax + 1)) {
    const full = extents.length === limits.extentsPerMessageMax || bytes >= replyBytesMax;
    if (full) return { attributes, extents, next: stored.offset };
    const extent = toExtent(transaction, record.content, stored);
    extents.push(extent);
    bytes += bytesOf(extent);
  }
  return { attributes, extents, next: null };
}

function bytesOf(extent: Extent): number {
  return extentBytes + (extent.kind === "inline" ? extent.length : 0);
}

export const compactExtents: Method<"compactExtents"> = (context, { ino, before, after, epochs }) => {
  const { transaction } = context;
  const record = readFile(transaction, ino);
  const first = before[0];
  const last = before[before.length - 1];
  if (first === undefined || last === undefined) throw new FsError("EINVAL", "nothing to compact");
  const stretch = { start: first.offset, end: extentEnd(last) };
  requireWithin(after, stretch);
  requireSame(transaction, record.content, before, stretch);
  requireEpochs(transaction, after, epochs);

  const accounts = new BlockAccounts(context);
  const claims = new BlockClaims(transaction, context.session);
  const removed = cutRange(transaction, record.content, stretch.start, stretch.end, accounts);
  let added = 0;
  for (const extent of after) {
    if (extent.kind === "block" && !claims.claim(extent.block)) {
      throw new FsError("EINVAL", `block ${blockName(extent.block)} was named before`);
    }
    putExtent(transaction, record.content, extent, accounts);
    added += extent.length;
  }
  claims.write(true);
  accounts.write();
  noteReplicas(context, ino, record, after);
  writeInode(transaction, ino, { ...record, bytesUsed: record.bytesUsed - removed + added });
  return {};
};

function requireWithin(extents: readonly Extent[], { start, end }: { start: number; end: number }): void {
  let at = start;
  for (const extent of extents) {
    if (extent.offset < at || extentEnd(extent) > end) throw new FsError("EINVAL", "extents beyond what they replace");
    if (extent.kind === "block" && extent.blockOffset + extent.length > limits.blockBytesMax) {
      throw new FsError("EINVAL", `a stretch of block ${blockName(extent.block)} beyond the largest block`);
    }
    at = extentEnd(extent);
  }
}

/** EAGAIN: somebody changed the file meanwhile. */
function requireSame(
  reader: MetadataReader,
  content: Ino,
  expected: readonly Extent[],
  { start, end }: { start: number; end: number },
): void {
  const found = extentsIn(reader, content, start, end, expected.length + 1);
  const same = found.length === expected.length;
  if (same && expected.every((extent, i) => isSame(extent, toExtent(reader, content, found[i] as (typeof found)[0])))) {
    return;
  }
  throw new FsError("EAGAIN", "the extents are others now");
}

function isSame(a: Extent, b: Extent): boolean {
  if (a.offset !== b.offset || a.length !== b.length) return false;
  if (a.kind === "inline") return b.kind === "inline" && a.content.equals(b.content);
  if (b.kind === "inline" || a.blockOffset !== b.blockOffset) return false;
  return a.block.group === b.block.group && a.block.number === b.block.number;
}
