/**
 * What each request wants of which inodes before it may run, and what its session would like to keep afterwards: found in
 * the state of the moment, and found again in the step in which the request runs. Names that are not there want their
 * directory all the same, so that their absence is told in its turn. Nothing here throws FsError.
 *
 * Reading wants what is told; a change wants what it changes, and what others could tell from it: names with the listing
 * and the attributes of their directory, bytes up to where they are displaced.
 */
import { isDirectory } from "../base/attributes.ts";
import type { Ino } from "../base/ids.ts";
import { limits } from "../base/limits.ts";
import type { Name } from "../base/name.ts";
import { keys } from "../metadata-store/keys.ts";
import { decodeInode, type InodeRecord } from "../metadata-store/records.ts";
import type { MetadataReader } from "../metadata-store/types.ts";
import type { LeaseLevel, LeaseScope } from "../protocol/leases.ts";
import type { NameServerMethods } from "../protocol/name-server.ts";
import type { RequestOf } from "../rpc/types.ts";
import type { Want } from "./leases/types.ts";
import { findEntry } from "./namespace/index.ts";

type Request<M extends keyof NameServerMethods> = RequestOf<NameServerMethods, M>;
type Wants<M extends keyof NameServerMethods> = (reader: MetadataReader, request: Request<M>) => readonly Want[];

const attributes: readonly LeaseScope[] = [{ kind: "attributes" }];
const everything: readonly LeaseScope[] = [{ kind: "everything" }];
const nothing: readonly Want[] = [];

const read = (ino: Ino, level: LeaseLevel = "shared"): Want => ({ ino, level });
const change = (ino: Ino, changes: readonly LeaseScope[], level: LeaseLevel = "shared"): Want => ({
  ino,
  level,
  changes,
});
/** Whoever changes one name probably changes more of that directory. */
const changeName = (parent: Ino, name: Name): Want => change(parent, [{ kind: "entry", name }], "exclusive");
/** More bytes follow: nobody keeps what he would have to be asked for each time. */
const takeFile = (ino: Ino): Want => change(ino, everything, "exclusive");
const insisting = (want: Want, insist: boolean | undefined): Want => (insist === true ? { ...want, insist } : want);

const readOne: Wants<"readlink"> = (_reader, { ino }) => [read(ino)];
const changeOne: Wants<"removexattr"> = (_reader, { ino }) => [change(ino, attributes, "exclusive")];
const nameNew: Wants<"mkdir"> = (_reader, { parent, name }) => [changeName(parent, name)];

const removeName: Wants<"unlink"> = (reader, { parent, name }) => {
  const victim = findEntry(reader, parent, name)?.ino;
  const directory = changeName(parent, name);
  return victim === undefined ? [directory] : [directory, change(victim, attributes, "none")];
};

const lookup: Wants<"lookup"> = (reader, { parent, name }) => {
  if (name === ".") return [read(parent)];
  if (name === "..") {
    const directory = inodeOf(reader, parent);
    return directory === undefined || !isDirectory(directory.mode) ? [read(parent)] : [read(directory.parent as Ino)];
  }
  const child = findEntry(reader, parent, name)?.ino;
  return child === undefined ? [read(parent)] : [read(parent), read(child)];
};

const rename: Wants<"rename"> = (reader, { parent, name, newParent, newName, flags }) => {
  const wants = [changeName(parent, name), changeName(newParent, newName)];
  const moved = findEntry(reader, parent, name)?.ino;
  if (moved !== undefined) wants.push(change(moved, attributes));
  const replaced = findEntry(reader, newParent, newName)?.ino;
  if (replaced !== undefined)
    wants.push(change(replaced, attributes, (flags & exchangeFlag) === 0 ? "none" : "shared"));
  return wants;
};
/** include/uapi/linux/fs.h */
const exchangeFlag = 2;

const setattr: Wants<"setattr"> = (_reader, request) => {
  if (isAccessTime(request)) return nothing;
  return [request.size === undefined ? change(request.ino, attributes, "exclusive") : takeFile(request.ino)];
};

/** Access times are brought up to date lazily, and nobody is asked for them: `ctime` is what the client knew. */
function isAccessTime({ atime, ctime, ...rest }: Request<"setattr">): boolean {
  if (atime === undefined || ctime === undefined) return false;
  const { mode, uid, gid, size, mtime, killPrivileges } = rest;
  return (mode ?? uid ?? gid ?? size ?? mtime ?? killPrivileges) === undefined;
}

const copyFileRange: Wants<"copyFileRange"> = (_reader, { from, to, toOffset, length }) => [
  read(from),
  change(to, [...attributes, data(toOffset, length)]),
];

/** Methods that are not here want nothing. */
export const requestWants = {
  lookup,
  getattr: (_reader, { ino, insist }) => [insisting(read(ino), insist)],
  readlink: readOne,
  getxattr: readOne,
  listxattr: readOne,
  readdir: readOne,
  readExtents: (_reader, { ino, insist }) => [insisting(read(ino), insist)],
  open: (_reader, { ino, write }) => [read(ino, write ? "exclusive" : "shared")],
  acquire: (_reader, { ino, level }) => [level === "shared" ? read(ino) : change(ino, everything, level)],

  create: nameNew,
  mknod: nameNew,
  mkdir: nameNew,
  symlink: nameNew,
  unlink: removeName,
  rmdir: removeName,
  rename,
  link: (_reader, { ino, newParent, newName }) => [changeName(newParent, newName), change(ino, attributes)],
  setattr,
  setReplicas: (_reader, { ino }) => [change(ino, attributes, "none")],
  setxattr: changeOne,
  removexattr: changeOne,
  writeExtents: (_reader, { ino, insist }) => [insisting(takeFile(ino), insist)],
  fallocate: (_reader, { ino, offset, length }) => [change(ino, [...attributes, data(offset, length)])],
  copyFileRange,
} as const satisfies { readonly [M in keyof NameServerMethods]?: Wants<M> };

function data(offset: number, length: number): LeaseScope {
  return { kind: "data", offset, length: Math.max(1, Math.min(length, limits.fileBytesMax - offset)) };
}

function inodeOf(reader: MetadataReader, ino: Ino): InodeRecord | undefined {
  const value = reader.get(keys.inode(ino));
  return value === undefined ? undefined : decodeInode(value);
}
