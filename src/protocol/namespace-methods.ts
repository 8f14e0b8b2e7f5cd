/** The name server's methods that are about names, attributes and extended attributes. */
import { z } from "zod";
import { limits } from "../base/limits.ts";
import { leaseGrants } from "./leases.ts";
import { nothing } from "./method-table.ts";
import { attributes, bytes, caller, count, ino, name, nanos, operation, uint32, time } from "./types.ts";

/**
 * The directories whose names were changed, as they are right after it, so that nobody has to ask. Absent when the
 * request was answered from memory.
 */
const directories = z.array(attributes).max(2).optional();
const named = z.object({ attributes, directories, leases: leaseGrants });
/** What an inode is now, and how that may be kept. */
export const leased = z.object({ attributes, leases: leaseGrants });
/** What a removed or replaced name leaves of its inode: nlink 0 means that only open handles keep it. */
const remains = z.object({ attributes: attributes.nullable(), directories, leases: leaseGrants });
const removal = z.object({ op: operation, caller, parent: ino, name, keep: z.boolean(), victim: ino.optional() });
const creation = { op: operation, caller, parent: ino, name, umask: uint32 };
/** `lease`: the number of a lease on the entry's inode, where one was granted; `exclusive`: it is that, else shared. */
const listed = z.object({
  name,
  ino,
  type: uint32,
  cookie: count,
  attributes: attributes.optional(),
  lease: count.optional(),
  exclusive: z.boolean().optional(),
});
const xattrBytes = bytes.refine((value) => value.length <= limits.xattrValueBytesMax, "value too long");

export const namespaceMethods = {
  /** `.` and `..` are "lookup by inode" and "parent of", for NFS export. ENOENT is `attributes: null`. */
  lookup: {
    request: z.object({ parent: ino, name: z.union([name, z.literal("."), z.literal("..")]) }),
    reply: z.object({ attributes: attributes.nullable(), leases: leaseGrants }),
  },
  /** `insist`: the kernel reads by the size it is told, so a lease is granted even while the inode bounces. */
  getattr: { request: z.object({ ino, insist: z.boolean().optional() }), reply: leased },
  /**
   * Changes what is given. A new `size` truncates or extends with a hole, clears setuid/setgid unless the caller is
   * root, and sets mtime and ctime. `fromOpenFile`: the caller has it open for writing, so no write permission is needed.
   * `ctime` is set instead of now, but never back: with the ctime that the client knows, only the times of reads change.
   */
  setattr: {
    request: z.object({
      op: operation,
      caller,
      ino,
      mode: uint32.optional(),
      uid: uint32.optional(),
      gid: uint32.optional(),
      size: count.optional(),
      atime: time.optional(),
      mtime: time.optional(),
      ctime: nanos.optional(),
      killPrivileges: z.boolean().optional(),
      fromOpenFile: z.boolean().optional(),
    }),
    reply: leased,
  },
  readlink: { request: z.object({ ino }), reply: z.object({ target: bytes, leases: leaseGrants }) },
  symlink: { request: z.object({ ...creation, target: bytes }), reply: named },
  mknod: { request: z.object({ ...creation, mode: uint32, rdev: uint32 }), reply: named },
  mkdir: { request: z.object({ ...creation, mode: uint32 }), reply: named },
  /** A regular file; EEXIST if the name is there. */
  create: { request: z.object({ ...creation, mode: uint32 }), reply: named },
  /** A regular file without a name, nlink 0, kept by this session until `releaseOrphans`. */
  tmpfile: {
    request: z.object({ op: operation, caller, parent: ino, mode: uint32, umask: uint32 }),
    reply: leased,
  },
  /**
   * Removing the last name of an inode: if `keep` is true (this client still has it open) or other sessions are
   * connected, it becomes an orphan that each of them has to release; otherwise it is removed at once. `victim`: the
   * inode that `keep` is about; if the name leads to another one by now, that is kept.
   */
  unlink: { request: removal, reply: remains },
  rmdir: { request: removal, reply: remains },
  /** renameat2(2). `keep` and `victim` are about a replaced inode, as at unlink. */
  rename: {
    request: z.object({
      op: operation,
      caller,
      parent: ino,
      name,
      newParent: ino,
      newName: name,
      flags: uint32,
      keep: z.boolean(),
      victim: ino.optional(),
    }),
    reply: z.object({ attributes, replaced: attributes.nullable(), directories, leases: leaseGrants }),
  },
  link: { request: z.object({ op: operation, caller, ino, newParent: ino, newName: name }), reply: named },
  /** This session no longer uses these removed inodes. Unknown ones are ignored. */
  releaseOrphans: { request: z.object({ op: operation, inos: z.array(ino).max(1_024) }), reply: nothing },
  /**
   * Entries after `cookie` (0: all), in cookie order, about `bytesMax` bytes of them; `plus` adds attributes. A cookie
   * is the name's hash: entries of equal hash are never split over replies. `.` and `..` are the client's;
   * `parent` is what `..` shows. `exclusive`: the session is about to change what `plus` shows, and is offered exclusive
   * leases of the inodes of which nobody else has any.
   */
  readdir: {
    request: z.object({ ino, cookie: count, bytesMax: count, plus: z.boolean(), exclusive: z.boolean().optional() }),
    reply: z.object({
      parent: ino,
      entries: z.array(listed),
      end: z.boolean(),
      leases: leaseGrants,
    }),
  },
  statfs: {
    request: nothing,
    reply: z.object({ bytesTotal: count, bytesFree: count, files: count, filesFree: count }),
  },
  /** `flags` 1 XATTR_CREATE, 2 XATTR_REPLACE. ACLs are xattrs: the mode follows, as in ext4. */
  setxattr: {
    request: z.object({ op: operation, caller, ino, name, value: xattrBytes, flags: uint32, clearSetgid: z.boolean() }),
    reply: leased,
  },
  getxattr: { request: z.object({ caller, ino, name }), reply: z.object({ value: bytes, leases: leaseGrants }) },
  listxattr: { request: z.object({ caller, ino }), reply: z.object({ names: z.array(name), leases: leaseGrants }) },
  removexattr: { request: z.object({ op: operation, caller, ino, name }), reply: leased },
} as const;
