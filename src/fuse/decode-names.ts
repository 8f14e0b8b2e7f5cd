/** Requests about names and extended attributes, from bytes to typed values (contract: `decode.ts`). */
import { FsError } from "../base/errno.ts";
import type { Ino } from "../base/ids.ts";
import { limits } from "../base/limits.ts";
import type { Name } from "../base/name.ts";
import { setxattrFlags } from "./abi-flags.ts";
import * as layout from "./abi-layouts.ts";
import type { Creation } from "./operations.ts";
import { type Frame, getExactU64, need } from "./wire.ts";

export function decodeName(frame: Frame, at: number, end: number): { name: Name } {
  return { name: readName(frame, at, end) };
}

/** LOOKUP: `.` and `..` come from file handles (EXPORT_SUPPORT). */
export function decodeLookup(frame: Frame, at: number, end: number): { name: Name | "." | ".." } {
  return { name: readName(frame, at, end) };
}

export function decodeSymlink(frame: Frame, at: number, end: number): { name: Name; target: Buffer } {
  const name = readName(frame, at, end);
  const targetAt = at + name.length + 1;
  return { name, target: Buffer.from(frame.bytes.subarray(targetAt, findNul(frame, targetAt, end))) };
}

export function decodeMknod(frame: Frame, at: number, end: number): { name: Name; creation: Creation; rdev: number } {
  const nameAt = need(at, end, layout.mknodIn.bytes);
  const mode = frame.view.getUint32(at + layout.mknodIn.mode, true);
  const umask = frame.view.getUint32(at + layout.mknodIn.umask, true);
  const rdev = frame.view.getUint32(at + layout.mknodIn.rdev, true);
  return { name: readName(frame, nameAt, end), creation: { mode, umask }, rdev };
}

export function decodeMkdir(frame: Frame, at: number, end: number): { name: Name; creation: Creation } {
  const nameAt = need(at, end, layout.mkdirIn.bytes);
  const mode = (frame.view.getUint32(at + layout.mkdirIn.mode, true) & 0o7777) | 0o040000;
  const umask = frame.view.getUint32(at + layout.mkdirIn.umask, true);
  return { name: readName(frame, nameAt, end), creation: { mode, umask } };
}

export interface RenameBody {
  readonly name: Name;
  readonly newParent: Ino;
  readonly newName: Name;
  readonly flags: number;
}

export function decodeRename(frame: Frame, at: number, end: number): RenameBody {
  return renameBody(frame, at, need(at, end, layout.renameIn.bytes), end, 0);
}

export function decodeRename2(frame: Frame, at: number, end: number): RenameBody {
  const nameAt = need(at, end, layout.rename2In.bytes);
  return renameBody(frame, at, nameAt, end, frame.view.getUint32(at + layout.rename2In.flags, true));
}

function renameBody(frame: Frame, at: number, nameAt: number, end: number, flags: number): RenameBody {
  const name = readName(frame, nameAt, end);
  const newName = readName(frame, nameAt + name.length + 1, end);
  return { name, newParent: readIno(frame, at + layout.renameIn.newDirectory), newName, flags };
}

/** The header's inode is the new directory. */
export function decodeLink(frame: Frame, at: number, end: number): { ino: Ino; newName: Name } {
  const nameAt = need(at, end, layout.linkIn.bytes);
  return { ino: readIno(frame, at + layout.linkIn.oldNodeid), newName: readName(frame, nameAt, end) };
}

/** @param extended whether SETXATTR_EXT was negotiated */
export function decodeSetxattr(
  frame: Frame,
  at: number,
  end: number,
  extended: boolean,
): { name: Name; value: Buffer; flags: number; clearSetgid: boolean } {
  const { setxattrIn } = layout;
  const nameAt = need(at, end, extended ? setxattrIn.bytes : setxattrIn.bytesBeforeExt);
  const name = readXattrName(frame, nameAt, end);
  const valueAt = nameAt + name.length + 1;
  const size = frame.view.getUint32(at + setxattrIn.size, true);
  const valueEnd = need(valueAt, end, size);
  const extendedFlags = extended ? frame.view.getUint32(at + setxattrIn.setxattrFlags, true) : 0;
  if (size > limits.xattrValueBytesMax) throw new FsError("E2BIG", `an extended attribute of ${String(size)} bytes`);
  return {
    name,
    value: Buffer.from(frame.bytes.subarray(valueAt, valueEnd)),
    flags: frame.view.getUint32(at + setxattrIn.flags, true),
    clearSetgid: (extendedFlags & setxattrFlags.aclKillSgid) !== 0,
  };
}

export function decodeGetxattr(frame: Frame, at: number, end: number): { name: Name; size: number } {
  const nameAt = need(at, end, layout.getxattrIn.bytes);
  return { name: readXattrName(frame, nameAt, end), size: frame.view.getUint32(at + layout.getxattrIn.size, true) };
}

export function decodeListxattr(frame: Frame, at: number, end: number): { size: number } {
  need(at, end, layout.getxattrIn.bytes);
  return { size: frame.view.getUint32(at + layout.getxattrIn.size, true) };
}

export function decodeRemovexattr(frame: Frame, at: number, end: number): { name: Name } {
  return { name: readXattrName(frame, at, end) };
}

/** The kernel has made sure that there is no `/` in it, but not that it is short enough. */
function readName(frame: Frame, at: number, end: number): Name {
  const nul = findNul(frame, at, end);
  if (nul - at > limits.nameBytesMax) throw new FsError("ENAMETOOLONG", `a name of ${String(nul - at)} bytes`);
  return nonEmpty(frame, at, nul) as Name;
}

function readXattrName(frame: Frame, at: number, end: number): Name {
  const nul = findNul(frame, at, end);
  if (nul - at > limits.xattrNameBytesMax) throw new FsError("ERANGE", "a long name of an extended attribute");
  return nonEmpty(frame, at, nul) as Name;
}

function nonEmpty(frame: Frame, at: number, nul: number): string {
  if (nul === at) throw new FsError("EIO", "the kernel sent an empty name");
  return frame.bytes.toString("latin1", at, nul);
}

function findNul(frame: Frame, at: number, end: number): number {
  const { bytes } = frame;
  for (let i = at; i < end; i++) if (bytes[i] === 0) return i;
  throw new FsError("EIO", "the kernel sent a name without its end");
}

function readIno(frame: Frame, at: number): Ino {
  return getExactU64(frame.view, at, "inode") as Ino;
}
