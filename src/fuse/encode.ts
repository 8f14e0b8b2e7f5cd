/**
 * Replies, from typed values to bytes. Pure: every encoder writes its structure into `frame` at `at`, every byte of it,
 * and returns its length. Times are exact nanoseconds.
 */
import type { Attributes } from "../base/attributes.ts";
import { lockTypes, openedFlags, statxMaskAll } from "./abi-flags.ts";
import * as layout from "./abi-layouts.ts";
import type { AttributesReply, Entry, FilesystemStatistics, LockRange, Opened } from "./operations.ts";
import { type Frame, setDuration, setTime, setU64 } from "./wire.ts";

/** st_blksize: what programs take for the best size of their buffers. Messages cost more than bytes. */
const preferredIoBytes = 64 * 1024;

/** @param error 0, or a negative errno, or a notification's code (then `unique` is 0) */
export function encodeHeader(
  view: DataView,
  length: number,
  error: number,
  unique: { readonly uniqueLow: number; readonly uniqueHigh: number },
): void {
  view.setUint32(layout.outHeader.len, length, true);
  view.setInt32(layout.outHeader.error, error, true);
  view.setUint32(layout.outHeader.unique, unique.uniqueLow, true);
  view.setUint32(layout.outHeader.unique + 4, unique.uniqueHigh, true);
}

function encodeAttributes(view: DataView, at: number, a: Attributes): void {
  const { attr } = layout;
  setU64(view, at + attr.ino, a.ino);
  setU64(view, at + attr.size, a.size);
  setU64(view, at + attr.blocks, a.blocks);
  setTime(view, a.atime, at + attr.atime, at + attr.atimeNanos);
  setTime(view, a.mtime, at + attr.mtime, at + attr.mtimeNanos);
  setTime(view, a.ctime, at + attr.ctime, at + attr.ctimeNanos);
  view.setUint32(at + attr.mode, a.mode, true);
  view.setUint32(at + attr.nlink, a.nlink, true);
  view.setUint32(at + attr.uid, a.uid, true);
  view.setUint32(at + attr.gid, a.gid, true);
  view.setUint32(at + attr.rdev, a.rdev, true);
  view.setUint32(at + attr.blockSize, preferredIoBytes, true);
  view.setUint32(at + attr.flags, 0, true);
}

export function encodeAttributesReply(frame: Frame, at: number, reply: AttributesReply): number {
  const { attrOut } = layout;
  setDuration(frame.view, reply.attributesValidMillis, at + attrOut.attrValid, at + attrOut.attrValidNanos);
  frame.view.setUint32(at + attrOut.attrValidNanos + 4, 0, true);
  encodeAttributes(frame.view, at + attrOut.attr, reply.attributes);
  return attrOut.bytes;
}

/** The generation is 0: inode numbers are never reused. */
export function encodeEntry(frame: Frame, at: number, entry: Entry): number {
  const { entryOut } = layout;
  const { view } = frame;
  setU64(view, at + entryOut.nodeid, entry.attributes.ino);
  setU64(view, at + entryOut.generation, 0);
  setDuration(view, entry.entryValidMillis, at + entryOut.entryValid, at + entryOut.entryValidNanos);
  setDuration(view, entry.attributesValidMillis, at + entryOut.attrValid, at + entryOut.attrValidNanos);
  encodeAttributes(view, at + entryOut.attr, entry.attributes);
  return entryOut.bytes;
}

/** A name that is known not to exist: an entry of inode 0 with a validity. */
export function encodeAbsentEntry(frame: Frame, at: number, validMillis: number): number {
  const { entryOut } = layout;
  frame.bytes.fill(0, at, at + entryOut.bytes);
  setDuration(frame.view, validMillis, at + entryOut.entryValid, at + entryOut.entryValidNanos);
  return entryOut.bytes;
}

export function encodeStatx(frame: Frame, at: number, reply: AttributesReply): number {
  const { statxOut, statx, statxTime } = layout;
  const { view } = frame;
  const a = reply.attributes;
  frame.bytes.fill(0, at, at + statxOut.bytes);
  setDuration(view, reply.attributesValidMillis, at + statxOut.attrValid, at + statxOut.attrValidNanos);
  const stat = at + statxOut.stat;
  view.setUint32(stat + statx.mask, statxMaskAll, true);
  view.setUint32(stat + statx.blockSize, preferredIoBytes, true);
  view.setUint32(stat + statx.nlink, a.nlink, true);
  view.setUint32(stat + statx.uid, a.uid, true);
  view.setUint32(stat + statx.gid, a.gid, true);
  view.setUint16(stat + statx.mode, a.mode, true);
  setU64(view, stat + statx.ino, a.ino);
  setU64(view, stat + statx.size, a.size);
  setU64(view, stat + statx.blocks, a.blocks);
  setTime(view, a.atime, stat + statx.atime, stat + statx.atime + statxTime.nanos);
  setTime(view, a.btime, stat + statx.btime, stat + statx.btime + statxTime.nanos);
  setTime(view, a.ctime, stat + statx.ctime, stat + statx.ctime + statxTime.nanos);
  setTime(view, a.mtime, stat + statx.mtime, stat + statx.mtime + statxTime.nanos);
  // linux/kdev_t.h, new_decode_dev
  view.setUint32(stat + statx.rdevMajor, (a.rdev & 0xfff00) >>> 8, true);
  view.setUint32(stat + statx.rdevMinor, (a.rdev & 0xff) | ((a.rdev >>> 12) & 0xfff00), true);
  return statxOut.bytes;
}

export function encodeOpened(frame: Frame, at: number, opened: Opened): number {
  const { openOut } = layout;
  let flags = 0;
  if (opened.directIo === true) flags |= openedFlags.directIo;
  if (opened.keepCache === true) flags |= openedFlags.keepCache;
  if (opened.nonSeekable === true) flags |= openedFlags.nonSeekable;
  if (opened.cacheDirectory === true) flags |= openedFlags.cacheDirectory;
  if (opened.noFlush === true) flags |= openedFlags.noFlush;
  setU64(frame.view, at + openOut.fh, opened.handle);
  setU64(frame.view, at + openOut.openFlags, flags);
  return openOut.bytes;
}

export function encodeCreated(frame: Frame, at: number, created: { entry: Entry; opened: Opened }): number {
  const entryBytes = encodeEntry(frame, at, created.entry);
  return entryBytes + encodeOpened(frame, at + entryBytes, created.opened);
}

/** WRITE and COPY_FILE_RANGE: a u32 and padding. LSEEK, COPY_FILE_RANGE_64 and the size of xattrs: one u64. */
export function encodeCount(frame: Frame, at: number, count: number): number {
  setU64(frame.view, at + layout.countOut.count, count);
  return layout.countOut.bytes;
}

export function encodeStatistics(frame: Frame, at: number, s: FilesystemStatistics): number {
  const { statfsOut } = layout;
  const { view } = frame;
  frame.bytes.fill(0, at, at + statfsOut.bytes);
  setU64(view, at + statfsOut.blocks, s.blocks);
  setU64(view, at + statfsOut.blocksFree, s.blocksFree);
  setU64(view, at + statfsOut.blocksAvailable, s.blocksAvailable);
  setU64(view, at + statfsOut.files, s.files);
  setU64(view, at + statfsOut.filesFree, s.filesFree);
  view.setUint32(at + statfsOut.blockSize, s.blockBytes, true);
  view.setUint32(at + statfsOut.nameLength, s.nameBytesMax, true);
  view.setUint32(at + statfsOut.fragmentSize, s.blockBytes, true);
  return statfsOut.bytes;
}

/** GETLK: the lock that stands in the way, or "unlock" when there is none. */
export function encodeLock(frame: Frame, at: number, lock: LockRange | undefined): number {
  const { fileLock } = layout;
  frame.view.setBigUint64(at + fileLock.start, lock?.start ?? 0n, true);
  frame.view.setBigUint64(at + fileLock.end, lock?.end ?? 0n, true);
  frame.view.setUint32(at + fileLock.type, lockTypes[lock?.type ?? "unlock"], true);
  frame.view.setUint32(at + fileLock.pid, lock?.pid ?? 0, true);
  return fileLock.bytes;
}

export interface InitReply {
  readonly minor: number;
  readonly maxReadahead: number;
  readonly flags: number;
  readonly flags2: number;
  readonly maxBackground: number;
  readonly congestionThreshold: number;
  readonly maxWriteBytes: number;
  readonly maxPages: number;
}

export function encodeInit(frame: Frame, at: number, reply: InitReply, major: number): number {
  const { initOut } = layout;
  const { view } = frame;
  frame.bytes.fill(0, at, at + initOut.bytes);
  view.setUint32(at + initOut.major, major, true);
  view.setUint32(at + initOut.minor, reply.minor, true);
  view.setUint32(at + initOut.maxReadahead, reply.maxReadahead, true);
  view.setUint32(at + initOut.flags, reply.flags, true);
  view.setUint16(at + initOut.maxBackground, reply.maxBackground, true);
  view.setUint16(at + initOut.congestionThreshold, reply.congestionThreshold, true);
  view.setUint32(at + initOut.maxWrite, reply.maxWriteBytes, true);
  view.setUint32(at + initOut.timeGranularity, 1, true);
  view.setUint16(at + initOut.maxPages, reply.maxPages, true);
  view.setUint32(at + initOut.flags2, reply.flags2, true);
  return initOut.bytes;
}
