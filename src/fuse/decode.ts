/**
 * Requests, from bytes to typed values. Pure: every decoder reads `frame` from `at` (behind the header) up to `end`
 * (exclusive, extensions already left out), throws FsError when the message is shorter than it claims to be (EIO) or
 * means what no file can hold, and returns fresh values, except the content of a WRITE, which is a view of the frame.
 */
import { FsError } from "../base/errno.ts";
import type { Ino } from "../base/ids.ts";
import { extensionTypes } from "./abi-flags.ts";
import * as layout from "./abi-layouts.ts";
import type { OpcodeName } from "./abi-opcodes.ts";
import * as files from "./decode-files.ts";
import * as names from "./decode-names.ts";
import { type Frame, getExactU64, getU64, need } from "./wire.ts";

type Decoder = (frame: Frame, at: number, end: number, setxattrExtended: boolean) => unknown;

const decodeNothing = (): undefined => undefined;

/** One decoder per operation that has a meaning here; `Bodies` has their results. */
export const decoders = {
  lookup: names.decodeLookup,
  symlink: names.decodeSymlink,
  mknod: names.decodeMknod,
  mkdir: names.decodeMkdir,
  unlink: names.decodeName,
  rmdir: names.decodeName,
  rename: names.decodeRename,
  rename2: names.decodeRename2,
  link: names.decodeLink,
  readlink: decodeNothing,
  getattr: files.decodeGetattr,
  statx: files.decodeStatx,
  setattr: files.decodeSetattr,
  access: files.decodeAccess,
  statfs: decodeNothing,
  syncfs: decodeNothing,
  setxattr: names.decodeSetxattr,
  getxattr: names.decodeGetxattr,
  listxattr: names.decodeListxattr,
  removexattr: names.decodeRemovexattr,
  open: files.decodeOpen,
  create: files.decodeCreate,
  tmpfile: files.decodeTmpfile,
  read: files.decodeRead,
  write: files.decodeWrite,
  flush: files.decodeFlush,
  release: files.decodeRelease,
  fsync: files.decodeFsync,
  fallocate: files.decodeFallocate,
  lseek: files.decodeLseek,
  copyFileRange: files.decodeCopyFileRange,
  copyFileRange64: files.decodeCopyFileRange,
  opendir: files.decodeOpen,
  readdir: files.decodeReaddir,
  readdirplus: files.decodeReaddir,
  releasedir: files.decodeRelease,
  fsyncdir: files.decodeFsync,
  getlk: files.decodeLock,
  setlk: files.decodeLock,
  setlkw: files.decodeLock,
  destroy: decodeNothing,
  init: decodeInit,
  interrupt: decodeInterrupt,
  forget: decodeForget,
  batchForget: decodeBatchForget,
} satisfies Partial<Record<OpcodeName, Decoder>>;

export type RequestName = keyof typeof decoders;
export type Bodies = { [K in RequestName]: ReturnType<(typeof decoders)[K]> };

export interface KernelInit {
  readonly major: number;
  readonly minor: number;
  readonly maxReadahead: number;
  readonly flags: number;
  readonly flags2: number;
}

/** INIT. Kernels before 7.36 send no `flags2`. */
function decodeInit(frame: Frame, at: number, end: number): KernelInit {
  const { initIn } = layout;
  need(at, end, initIn.bytesBeforeFlags2);
  return {
    major: frame.view.getUint32(at + initIn.major, true),
    minor: frame.view.getUint32(at + initIn.minor, true),
    maxReadahead: frame.view.getUint32(at + initIn.maxReadahead, true),
    flags: frame.view.getUint32(at + initIn.flags, true),
    flags2: end - at >= initIn.flags2 + 4 ? frame.view.getUint32(at + initIn.flags2, true) : 0,
  };
}

/** The two halves of the `unique` of the request to give up. */
function decodeInterrupt(frame: Frame, at: number, end: number): { uniqueLow: number; uniqueHigh: number } {
  need(at, end, layout.interruptIn.bytes);
  return { uniqueLow: frame.view.getUint32(at, true), uniqueHigh: frame.view.getUint32(at + 4, true) };
}

function decodeForget(frame: Frame, at: number, end: number): { count: number } {
  need(at, end, layout.forgetIn.bytes);
  return { count: getU64(frame.view, at + layout.forgetIn.nlookup) };
}

function decodeBatchForget(frame: Frame, at: number, end: number): { ino: Ino; count: number }[] {
  const { batchForgetIn, forgetOne } = layout;
  const first = need(at, end, batchForgetIn.bytes);
  const count = frame.view.getUint32(at + batchForgetIn.count, true);
  need(first, end, count * forgetOne.bytes);
  const forgotten = [];
  for (let i = 0; i < count; i++) {
    const one = first + i * forgetOne.bytes;
    const ino = getExactU64(frame.view, one + forgetOne.nodeid, "inode") as Ino;
    forgotten.push({ ino, count: getU64(frame.view, one + forgetOne.nlookup) });
  }
  return forgotten;
}

/** Where the request's own fields end: before its extensions. Checks the header against the message's real length. */
export function bodyEnd(frame: Frame, length: number): number {
  need(0, length, layout.inHeader.bytes);
  const claimed = frame.view.getUint32(layout.inHeader.len, true);
  if (claimed !== length) {
    throw new FsError("EIO", `the kernel sent ${String(length)} bytes of a request of ${String(claimed)}`);
  }
  const end = length - frame.view.getUint16(layout.inHeader.extensionWords, true) * 8;
  if (end < layout.inHeader.bytes) throw new FsError("EIO", "the kernel sent a request shorter than its extensions");
  return end;
}

/** From the extensions: the new inode's directory's group, if the caller is in it (FUSE_EXT_GROUPS). */
export function decodeParentGroup(frame: Frame, at: number, length: number): number | undefined {
  const { extensionHeader } = layout;
  while (length - at >= extensionHeader.bytes) {
    const size = frame.view.getUint32(at + extensionHeader.size, true);
    const type = frame.view.getUint32(at + extensionHeader.type, true);
    if (size < extensionHeader.bytes || size > length - at) throw new FsError("EIO", "a malformed extension");
    if (type === extensionTypes.groups && size >= extensionHeader.bytes + 8) {
      const count = frame.view.getUint32(at + extensionHeader.bytes, true);
      return count > 0 ? frame.view.getUint32(at + extensionHeader.bytes + 4, true) : undefined;
    }
    at += (size + 7) & ~7;
  }
  return undefined;
}
