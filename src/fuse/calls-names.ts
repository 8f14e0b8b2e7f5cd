/** Rows of the call table about names, directories and extended attributes. */
import { errnoNumber } from "../base/errno.ts";
import { limits } from "../base/limits.ts";
import type { Name } from "../base/name.ts";
import { call, encodeNothing, type Encoded, sized } from "./calls.ts";
import { DirectoryBuffer } from "./directory-buffer.ts";
import { encodeAbsentEntry, encodeCount, encodeEntry, encodeOpened } from "./encode.ts";
import type { KernelRequest } from "./kernel-request.ts";
import type { AbsentEntry, Entry, MaybePromise, Operations } from "./operations.ts";
import type { Bodies } from "./decode.ts";
import type { Frame } from "./wire.ts";

export const nameCalls = [
  call("lookup", (o, r, b) => o.lookup(r, r.ino, b.name), encodeLookup),
  call("mknod", (o, r, b) => o.mknod(r, r.ino, b.name, b.creation, b.rdev), encodeEntry),
  call("mkdir", (o, r, b) => o.mkdir(r, r.ino, b.name, b.creation), encodeEntry),
  call("symlink", (o, r, b) => o.symlink(r, r.ino, b.name, b.target), encodeEntry),
  call("link", (o, r, b) => o.link(r, b.ino, r.ino, b.newName), encodeEntry),
  call("unlink", (o, r, b) => o.unlink(r, r.ino, b.name), encodeNothing),
  call("rmdir", (o, r, b) => o.rmdir(r, r.ino, b.name), encodeNothing),
  call("rename", rename, encodeNothing),
  call("rename2", rename, encodeNothing),
  call(
    "readlink",
    (o, r) => o.readlink(r, r.ino),
    (_frame, _at, target): Encoded => [target],
  ),

  call("opendir", (o, r, b) => o.opendir(r, r.ino, b.flags), encodeOpened, {
    keepsPagesOf: (request, opened) => (opened.cacheDirectory === true ? request.ino : undefined),
  }),
  call("readdir", (o, r, b) => readdir(o, r, b, false), encodeDirectory, { release: releaseDirectory }),
  call("readdirplus", (o, r, b) => readdir(o, r, b, true), encodeDirectory, { release: releaseDirectory }),
  call("releasedir", (o, r, b) => o.releasedir(r, r.ino, b.handle), encodeNothing),
  call("fsyncdir", (o, r, b) => o.fsyncdir(r, r.ino, b.handle, b.dataOnly), encodeNothing),

  call("setxattr", (o, r, b) => o.setxattr(r, r.ino, b.name, b.value, b.flags, b.clearSetgid), encodeNothing),
  call(
    "getxattr",
    (o, r, b) => o.getxattr(r, r.ino, b.name),
    (frame, at, value, b) =>
      value === undefined ? noSuchXattr : encodeSized(frame, at, sized(value, b.size, limits.xattrValueBytesMax)),
  ),
  call(
    "listxattr",
    (o, r) => o.listxattr(r, r.ino),
    (frame, at, names, b) => encodeSized(frame, at, sized(joinNames(names), b.size, limits.xattrListBytesMax)),
  ),
  call("removexattr", (o, r, b) => o.removexattr(r, r.ino, b.name), encodeNothing),
];

/** Asked before the first write of every file and mostly absent: answered without an exception. */
const noSuchXattr: Encoded = { errno: errnoNumber("ENODATA") };

function encodeLookup(frame: Frame, at: number, entry: Entry | AbsentEntry): number {
  return "absent" in entry ? encodeAbsentEntry(frame, at, entry.entryValidMillis) : encodeEntry(frame, at, entry);
}

function rename(operations: Operations, request: KernelRequest, body: Bodies["rename"]): MaybePromise<void> {
  return operations.rename(request, request.ino, body.name, body.newParent, body.newName, body.flags);
}

/**
 * An error after entries were accepted is not answered: their lookups are counted, so the kernel has to get them.
 * It comes again with the next request, which starts where this one ended.
 */
function readdir(
  operations: Operations,
  request: KernelRequest,
  body: Bodies["readdir"],
  plus: boolean,
): MaybePromise<DirectoryBuffer> {
  const buffer = new DirectoryBuffer(body.length, plus);
  const failed = (error: unknown): DirectoryBuffer => {
    if (!buffer.isEmpty) return buffer;
    buffer.release();
    throw error;
  };
  try {
    const filled = operations.readdir(request, request.ino, body.handle, body.cookie, plus, buffer.add);
    return filled instanceof Promise ? filled.then(() => buffer, failed) : buffer;
  } catch (error) {
    return failed(error);
  }
}

function encodeDirectory(_frame: Frame, _at: number, buffer: DirectoryBuffer): Encoded {
  return [buffer.bytes];
}

function releaseDirectory(buffer: DirectoryBuffer): void {
  buffer.release();
}

function joinNames(names: readonly Name[]): Buffer {
  return Buffer.from(names.map((name) => `${name}\0`).join(""), "latin1");
}

function encodeSized(frame: Frame, at: number, value: Buffer | number): Encoded {
  return typeof value === "number" ? encodeCount(frame, at, value) : [value];
}
