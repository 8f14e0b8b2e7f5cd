/** CREATE, MKDIR, SYMLINK and LINK that run ahead. */
import { fileType, isDirectory, modeBits, type Attributes } from "../base/attributes.ts";
import type { Ino } from "../base/ids.ts";
import { limits } from "../base/limits.ts";
import type { Name } from "../base/name.ts";
import type { RequestContext } from "../fuse/operations.ts";
import { inheritGroup, needsGroups } from "../protocol/permission.ts";
import { laterThan, namesChanged, owned, ownedDirectory, ownedName, type Owned } from "./ahead.ts";
import type { Core } from "./core.ts";
import { plainCaller } from "./identity.ts";
import type { Inode } from "./inode.ts";
import { seenAt } from "./places.ts";

type Made =
  | { readonly method: "create" | "mkdir"; readonly mode: number; readonly umask: number }
  | { readonly method: "symlink"; readonly target: Buffer };

/** The new inode, looked up once; undefined: it has to be asked for. */
export function makeAhead(core: Core, request: RequestContext, parent: Ino, name: Name, made: Made): Inode | undefined {
  const directory = ownedDirectory(core, request, parent);
  if (directory === undefined || ownedName(core, directory, name) !== null) return undefined;
  // A default ACL may be inherited.
  if (directory.attributes.hasXattrs) return undefined;
  const mode = modeOf(made);
  const caller = plainCaller(request);
  const setsGroup = !isDirectory(mode) && (mode & 0o010) !== 0 && (directory.attributes.mode & modeBits.setgid) !== 0;
  if (setsGroup && needsGroups(caller, directory.attributes.gid)) return undefined;
  if (made.method === "symlink" && !fits(made.target)) return undefined;
  const ino = core.nameServer.inodeNumbers.take();
  if (ino === undefined) return undefined;

  const time = core.nameServer.nowNanos();
  const group = inheritGroup(caller, directory.attributes, mode);
  const { replicas } = directory.attributes;
  const attributes = newAttributes(ino, made, { uid: caller.uid, gid: group.gid, mode: group.mode, time, replicas });
  const { ahead } = core.nameServer;
  if (made.method === "symlink") {
    const { method, target } = made;
    const what = { caller, parent, name, umask: 0, target: Buffer.from(target) };
    ahead.add({ method, time, ino, request: what }, name.length + target.length);
  } else {
    const { method, umask } = made;
    ahead.add({ method, time, ino, request: { caller, parent, name, umask, mode: made.mode } }, name.length);
  }
  return entered(core, directory, name, attributes);
}

/** The inode, looked up once more under its new name; undefined: it has to be asked for. */
export function linkAhead(
  core: Core,
  request: RequestContext,
  ino: Ino,
  newParent: Ino,
  newName: Name,
): Inode | undefined {
  const directory = ownedDirectory(core, request, newParent);
  if (directory === undefined || ownedName(core, directory, newName) !== null) return undefined;
  const inode = owned(core, core.inodes.get(ino));
  if (inode === undefined || inode.directory || inode.attributes.nlink >= limits.linksMax) return undefined;
  // The room that was reserved for an inode is the name's.
  if (core.nameServer.inodeNumbers.take() === undefined) return undefined;

  const time = core.nameServer.nowNanos();
  const { attributes } = inode;
  const what = { caller: plainCaller(request), ino, newParent, newName };
  core.nameServer.ahead.add({ method: "link", time, request: what }, newName.length);
  namesChanged(core, directory, time, 0);
  const ctime = laterThan(time, attributes.ctime);
  core.inodes.changedHere(inode, { ...attributes, nlink: attributes.nlink + 1, ctime });
  core.dentries.set(newParent, newName, ino);
  core.inodes.lookedUp(inode);
  seenAt(core, inode, newParent, newName);
  return inode;
}

function entered(core: Core, directory: Owned, name: Name, attributes: Attributes): Inode {
  const isDir = isDirectory(attributes.mode);
  namesChanged(core, directory, attributes.ctime, isDir ? 1 : 0);
  core.leases.made(attributes.ino);
  const inode = core.inodes.enter(attributes, core.coherence.moment);
  core.dentries.set(directory.ino, name, inode.ino);
  if (isDir) core.dentries.beginListing(inode.ino).complete();
  seenAt(core, inode, directory.ino, name);
  return inode;
}

function modeOf(made: Made): number {
  switch (made.method) {
    case "create":
      return fileType.regular | (made.mode & 0o7777);
    case "mkdir":
      return fileType.directory | (made.mode & 0o1777);
    case "symlink":
      return fileType.symlink | 0o777;
  }
}

function fits(target: Buffer): boolean {
  return target.length > 0 && target.length <= limits.symlinkBytesMax;
}

function newAttributes(
  ino: Ino,
  made: Made,
  given: { uid: number; gid: number; mode: number; time: bigint; replicas: number | undefined },
): Attributes {
  const { uid, gid, mode, time, replicas } = given;
  const isDir = made.method === "mkdir";
  return {
    ino,
    mode: made.method === "symlink" ? mode : mode & ~(made.umask & 0o777),
    nlink: isDir ? 2 : 1,
    uid,
    gid,
    rdev: 0,
    size: made.method === "symlink" ? made.target.length : isDir ? 4096 : 0,
    blocks: 0,
    atime: time,
    mtime: time,
    ctime: time,
    btime: time,
    hasXattrs: false,
    ...(replicas === undefined || made.method === "symlink" ? {} : { replicas }),
  };
}
