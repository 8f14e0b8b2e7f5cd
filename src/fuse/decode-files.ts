/** Requests about attributes, open files and their content, from bytes to typed values (contract: `decode.ts`). */
import { FsError } from "../base/errno.ts";
import type { Handle, Ino } from "../base/ids.ts";
import type { Name } from "../base/name.ts";
import * as flag from "./abi-flags.ts";
import * as layout from "./abi-layouts.ts";
import { decodeName } from "./decode-names.ts";
import type { AttributeChanges, Creation, LockRange } from "./operations.ts";
import { type Frame, getExactU64, getFileOffset, getTime, getU64, need } from "./wire.ts";

export function decodeGetattr(frame: Frame, at: number, end: number): { handle: Handle | undefined } {
  need(at, end, layout.getattrIn.bytes);
  const withHandle = (frame.view.getUint32(at + layout.getattrIn.flags, true) & flag.getattrFlags.handle) !== 0;
  return { handle: withHandle ? readHandle(frame, at + layout.getattrIn.fh) : undefined };
}

export function decodeStatx(frame: Frame, at: number, end: number): { handle: Handle | undefined } {
  need(at, end, layout.statxIn.bytes);
  const withHandle = (frame.view.getUint32(at + layout.statxIn.flags, true) & flag.getattrFlags.handle) !== 0;
  return { handle: withHandle ? readHandle(frame, at + layout.statxIn.fh) : undefined };
}

type Writable<T> = { -readonly [K in keyof T]: T[K] };

export function decodeSetattr(
  frame: Frame,
  at: number,
  end: number,
): { handle: Handle | undefined; changes: AttributeChanges } {
  const { setattrIn } = layout;
  const { setattrValid } = flag;
  need(at, end, setattrIn.bytes);
  const { view } = frame;
  const valid = view.getUint32(at + setattrIn.valid, true);
  const changes: Writable<AttributeChanges> = {};
  if (valid & setattrValid.mode) changes.mode = view.getUint32(at + setattrIn.mode, true);
  if (valid & setattrValid.uid) changes.uid = view.getUint32(at + setattrIn.uid, true);
  if (valid & setattrValid.gid) changes.gid = view.getUint32(at + setattrIn.gid, true);
  if (valid & setattrValid.size) changes.size = getFileOffset(view, at + setattrIn.size);
  if (valid & setattrValid.atimeNow) changes.atime = "now";
  else if (valid & setattrValid.atime) changes.atime = getTime(view, at + setattrIn.atime, at + setattrIn.atimeNanos);
  if (valid & setattrValid.mtimeNow) changes.mtime = "now";
  else if (valid & setattrValid.mtime) changes.mtime = getTime(view, at + setattrIn.mtime, at + setattrIn.mtimeNanos);
  if (valid & setattrValid.ctime) changes.ctime = getTime(view, at + setattrIn.ctime, at + setattrIn.ctimeNanos);
  if (valid & setattrValid.killSuidgid) changes.killPrivileges = true;
  return { handle: valid & setattrValid.handle ? readHandle(frame, at + setattrIn.fh) : undefined, changes };
}

export function decodeOpen(frame: Frame, at: number, end: number): { flags: number; killPrivileges: boolean } {
  need(at, end, layout.openIn.bytes);
  return {
    flags: frame.view.getUint32(at + layout.openIn.flags, true),
    killPrivileges: (frame.view.getUint32(at + layout.openIn.openFlags, true) & flag.openFlags.killSuidgid) !== 0,
  };
}

export function decodeCreate(frame: Frame, at: number, end: number): { name: Name; creation: Creation; flags: number } {
  return { name: decodeName(frame, need(at, end, layout.createIn.bytes), end).name, ...decodeTmpfile(frame, at, end) };
}

/** As CREATE; the name is the kernel's own and means nothing. */
export function decodeTmpfile(frame: Frame, at: number, end: number): { creation: Creation; flags: number } {
  need(at, end, layout.createIn.bytes);
  const mode = frame.view.getUint32(at + layout.createIn.mode, true);
  const umask = frame.view.getUint32(at + layout.createIn.umask, true);
  return { creation: { mode, umask }, flags: frame.view.getUint32(at + layout.createIn.flags, true) };
}

export interface ReadBody {
  readonly handle: Handle;
  readonly offset: number;
  readonly length: number;
  readonly intoPageCache: boolean;
}

export function decodeRead(frame: Frame, at: number, end: number): ReadBody {
  need(at, end, layout.readIn.bytes);
  return {
    handle: readHandle(frame, at + layout.readIn.fh),
    offset: getFileOffset(frame.view, at + layout.readIn.offset),
    length: frame.view.getUint32(at + layout.readIn.size, true),
    intoPageCache: (frame.view.getUint32(at + layout.readIn.readFlags, true) & flag.readFlags.lockOwner) === 0,
  };
}

/** The offset is the cookie after which to go on: opaque, so it may lie above 2^53 if it is exact as a double. */
export function decodeReaddir(
  frame: Frame,
  at: number,
  end: number,
): { handle: Handle; cookie: number; length: number } {
  need(at, end, layout.readIn.bytes);
  return {
    handle: readHandle(frame, at + layout.readIn.fh),
    cookie: getU64(frame.view, at + layout.readIn.offset),
    length: frame.view.getUint32(at + layout.readIn.size, true),
  };
}

export interface WriteBody {
  readonly handle: Handle;
  readonly offset: number;
  /** A view of the frame. */
  readonly content: Buffer;
  readonly options: { readonly flags: number; readonly fromPageCache: boolean; readonly killPrivileges: boolean };
}

export function decodeWrite(frame: Frame, at: number, end: number): WriteBody {
  const { writeIn } = layout;
  const contentAt = need(at, end, writeIn.bytes);
  const contentEnd = need(contentAt, end, frame.view.getUint32(at + writeIn.size, true));
  const writeFlags = frame.view.getUint32(at + writeIn.writeFlags, true);
  const offset = getFileOffset(frame.view, at + writeIn.offset);
  if (!Number.isSafeInteger(offset + (contentEnd - contentAt))) throw new FsError("EFBIG", "a write beyond 2^53");
  return {
    handle: readHandle(frame, at + writeIn.fh),
    offset,
    content: frame.bytes.subarray(contentAt, contentEnd),
    options: {
      flags: frame.view.getUint32(at + writeIn.flags, true),
      fromPageCache: (writeFlags & flag.writeFlags.fromPageCache) !== 0,
      killPrivileges: (writeFlags & flag.writeFlags.killSuidgid) !== 0,
    },
  };
}

export function decodeFlush(frame: Frame, at: number, end: number): { handle: Handle; lockOwner: bigint } {
  need(at, end, layout.flushIn.bytes);
  return {
    handle: readHandle(frame, at + layout.flushIn.fh),
    lockOwner: frame.view.getBigUint64(at + layout.flushIn.lockOwner, true),
  };
}

export function decodeRelease(
  frame: Frame,
  at: number,
  end: number,
): { handle: Handle; flockOwner: bigint | undefined } {
  need(at, end, layout.releaseIn.bytes);
  const unlock = frame.view.getUint32(at + layout.releaseIn.releaseFlags, true) & flag.releaseFlags.flockUnlock;
  return {
    handle: readHandle(frame, at + layout.releaseIn.fh),
    flockOwner: unlock === 0 ? undefined : frame.view.getBigUint64(at + layout.releaseIn.lockOwner, true),
  };
}

export function decodeFsync(frame: Frame, at: number, end: number): { handle: Handle; dataOnly: boolean } {
  need(at, end, layout.fsyncIn.bytes);
  return {
    handle: readHandle(frame, at + layout.fsyncIn.fh),
    dataOnly: (frame.view.getUint32(at + layout.fsyncIn.flags, true) & flag.fsyncFlags.dataOnly) !== 0,
  };
}

export function decodeLock(frame: Frame, at: number, end: number): { handle: Handle; lock: LockRange } {
  const { lockIn, fileLock } = layout;
  need(at, end, lockIn.bytes);
  const { view } = frame;
  const lockAt = at + lockIn.lock;
  return {
    handle: readHandle(frame, at + lockIn.fh),
    lock: {
      kind: (view.getUint32(at + lockIn.lockFlags, true) & flag.lockFlags.flock) !== 0 ? "flock" : "posix",
      type: lockType(view.getUint32(lockAt + fileLock.type, true)),
      start: view.getBigUint64(lockAt + fileLock.start, true),
      end: view.getBigUint64(lockAt + fileLock.end, true),
      owner: view.getBigUint64(at + lockIn.owner, true),
      pid: view.getUint32(lockAt + fileLock.pid, true),
    },
  };
}

function lockType(type: number): LockRange["type"] {
  if (type === flag.lockTypes.read) return "read";
  if (type === flag.lockTypes.write) return "write";
  if (type === flag.lockTypes.unlock) return "unlock";
  throw new FsError("EINVAL", `lock type ${String(type)}`);
}

export function decodeAccess(frame: Frame, at: number, end: number): { mask: number } {
  need(at, end, layout.accessIn.bytes);
  return { mask: frame.view.getUint32(at + layout.accessIn.mask, true) };
}

export function decodeFallocate(
  frame: Frame,
  at: number,
  end: number,
): { handle: Handle; offset: number; length: number; mode: number } {
  need(at, end, layout.fallocateIn.bytes);
  const offset = getFileOffset(frame.view, at + layout.fallocateIn.offset);
  const length = getFileOffset(frame.view, at + layout.fallocateIn.length);
  if (!Number.isSafeInteger(offset + length)) throw new FsError("EFBIG", "fallocate beyond 2^53");
  return {
    handle: readHandle(frame, at + layout.fallocateIn.fh),
    offset,
    length,
    mode: frame.view.getUint32(at + layout.fallocateIn.mode, true),
  };
}

/** An offset beyond every file is past the end: ENXIO, not EFBIG. */
export function decodeLseek(frame: Frame, at: number, end: number): { handle: Handle; offset: number; whence: 3 | 4 } {
  need(at, end, layout.lseekIn.bytes);
  const offset = getU64(frame.view, at + layout.lseekIn.offset);
  if (!Number.isSafeInteger(offset)) throw new FsError("ENXIO", "lseek beyond 2^53");
  const whence = frame.view.getUint32(at + layout.lseekIn.whence, true);
  if (whence !== 3 && whence !== 4) throw new FsError("EINVAL", `lseek whence ${String(whence)}`);
  return { handle: readHandle(frame, at + layout.lseekIn.fh), offset, whence };
}

export interface CopyFileRangeBody {
  readonly handle: Handle;
  readonly offset: number;
  readonly to: { readonly ino: Ino; readonly handle: Handle; readonly offset: number };
  readonly length: number;
}

export function decodeCopyFileRange(frame: Frame, at: number, end: number): CopyFileRangeBody {
  const { copyFileRangeIn } = layout;
  need(at, end, copyFileRangeIn.bytes);
  const { view } = frame;
  if (view.getBigUint64(at + copyFileRangeIn.flags, true) !== 0n) throw new FsError("EINVAL", "copy_file_range flags");
  return {
    handle: readHandle(frame, at + copyFileRangeIn.fhIn),
    offset: getFileOffset(view, at + copyFileRangeIn.offsetIn),
    to: {
      ino: getExactU64(view, at + copyFileRangeIn.nodeidOut, "inode") as Ino,
      handle: readHandle(frame, at + copyFileRangeIn.fhOut),
      offset: getFileOffset(view, at + copyFileRangeIn.offsetOut),
    },
    // more than can be there: whoever copies stops at the end of the file
    length: Math.min(getU64(view, at + copyFileRangeIn.length), Number.MAX_SAFE_INTEGER),
  };
}

function readHandle(frame: Frame, at: number): Handle {
  return getExactU64(frame.view, at, "handle") as Handle;
}
