/** Rows of the call table about inodes, open files, their content and their locks. */
import { call, encodeNothing, type Encoded } from "./calls.ts";
import type { Bodies } from "./decode.ts";
import {
  encodeAttributesReply,
  encodeCount,
  encodeCreated,
  encodeLock,
  encodeOpened,
  encodeStatistics,
  encodeStatx,
} from "./encode.ts";
import type { Ino } from "../base/ids.ts";
import type { KernelRequest } from "./kernel-request.ts";
import type { Entry, MaybePromise, Operations, ReadResult } from "./operations.ts";
import type { Frame } from "./wire.ts";

/** Also where reads and writes bypass the page cache: a mapping does not. */
export const openedPages = (request: KernelRequest): Ino => request.ino;
export const createdPages = {
  keepsPagesOf: (_request: KernelRequest, { entry }: { readonly entry: Entry }): Ino => entry.attributes.ino,
};

export const fileCalls = [
  call("getattr", (o, r, b) => o.getattr(r, r.ino, b.handle), encodeAttributesReply),
  call("statx", (o, r, b) => o.getattr(r, r.ino, b.handle), encodeStatx),
  call("setattr", (o, r, b) => o.setattr(r, r.ino, b.handle, b.changes), encodeAttributesReply),
  call("access", (o, r, b) => o.access(r, r.ino, b.mask), encodeNothing),
  call("statfs", (o, r) => o.statfs(r, r.ino), encodeStatistics),
  call("syncfs", (o, r) => o.syncfs(r, r.ino), encodeNothing),

  call("open", (o, r, b) => o.open(r, r.ino, b.flags, b.killPrivileges), encodeOpened, {
    keepsPagesOf: openedPages,
  }),
  call("create", (o, r, b) => o.create(r, r.ino, b.name, b.creation, b.flags), encodeCreated, createdPages),
  call("tmpfile", (o, r, b) => o.tmpfile(r, r.ino, b.creation, b.flags), encodeCreated, createdPages),
  call("read", (o, r, b) => o.read(r, r.ino, b.handle, b.offset, b.length, b.intoPageCache), encodeRead, {
    release: releaseRead,
  }),
  call("write", (o, r, b) => o.write(r, r.ino, b.handle, b.offset, b.content, b.options), encodeWritten),
  call("flush", (o, r, b) => o.flush(r, r.ino, b.handle, b.lockOwner), encodeNothing),
  call("release", (o, r, b) => o.release(r, r.ino, b.handle, b.flockOwner), encodeNothing),
  call("fsync", (o, r, b) => o.fsync(r, r.ino, b.handle, b.dataOnly), encodeNothing),

  call("fallocate", (o, r, b) => o.fallocate(r, r.ino, b.handle, b.offset, b.length, b.mode), encodeNothing),
  call("lseek", (o, r, b) => o.lseek(r, r.ino, b.handle, b.offset, b.whence), encodeCount),
  call("copyFileRange", (o, r, b) => copyFileRange(o, r, b, 0xffff_ffff), encodeCount),
  call("copyFileRange64", (o, r, b) => copyFileRange(o, r, b, Number.MAX_SAFE_INTEGER), encodeCount),

  call("getlk", (o, r, b) => o.getlk(r, r.ino, b.handle, b.lock), encodeLock),
  call("setlk", (o, r, b) => o.setlk(r, r.ino, b.handle, b.lock, false), encodeNothing),
  call("setlkw", (o, r, b) => o.setlk(r, r.ino, b.handle, b.lock, true), encodeNothing),
];

function encodeRead(_frame: Frame, _at: number, result: ReadResult, body: Bodies["read"]): Encoded {
  const length = result.pieces.reduce((total, piece) => total + piece.length, 0);
  if (length > body.length) throw new Error(`read answered ${String(length)} of ${String(body.length)} bytes`);
  return result.pieces;
}

function releaseRead(result: ReadResult): void {
  result.release?.();
}

function encodeWritten(frame: Frame, at: number, written: number, body: Bodies["write"]): number {
  if (written > body.content.length)
    throw new Error(`write took ${String(written)} of ${String(body.content.length)} bytes`);
  return encodeCount(frame, at, written);
}

function copyFileRange(
  operations: Operations,
  request: KernelRequest,
  body: Bodies["copyFileRange"],
  lengthMax: number,
): MaybePromise<number> {
  const from = { ino: request.ino, handle: body.handle, offset: body.offset };
  return operations.copyFileRange(request, from, body.to, Math.min(body.length, lengthMax));
}
