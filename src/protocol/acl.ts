/**
 * POSIX ACLs: the bytes of the xattrs `system.posix_acl_access` and `system.posix_acl_default`, and how they and the mode
 * determine each other. Pure. Source: the kernel's include/uapi/linux/posix_acl_xattr.h, fs/posix_acl.c, acl(5).
 *
 *   version:4 = 2, then for each entry: tag:2 permissions:2 id:4 (little endian; id is all ones where a tag has none)
 */
import { FsError } from "../base/errno.ts";
import type { Name } from "../base/name.ts";

export const aclXattrs = {
  access: "system.posix_acl_access" as Name,
  default: "system.posix_acl_default" as Name,
} as const;

export const aclTags = { owner: 1, user: 2, group: 4, namedGroup: 8, mask: 16, other: 32 } as const;

export interface AclEntry {
  /** One of `aclTags`. */
  readonly tag: number;
  /** 4 read, 2 write, 1 execute. */
  readonly permissions: number;
  /** Of a `user` or `namedGroup`; else `noId`. */
  readonly id: number;
}

/** In the order of the tags, one owner, group and other each; with a mask where anybody is named. */
export type Acl = readonly AclEntry[];

const version = 2;
const noId = 0xffff_ffff;

/** Null for an empty list, which means "none". Throws EINVAL, and EOPNOTSUPP for another version. */
export function decodeAcl(bytes: Buffer): Acl | null {
  if (bytes.length === 0) return null;
  if (bytes.length < 4 || (bytes.length - 4) % 8 !== 0) throw new FsError("EINVAL", "an ACL of a wrong length");
  if (bytes.readUInt32LE(0) !== version) throw new FsError("EOPNOTSUPP", "an ACL of another version");
  const acl: AclEntry[] = [];
  for (let at = 4; at < bytes.length; at += 8) {
    const tag = bytes.readUInt16LE(at);
    const named = tag === aclTags.user || tag === aclTags.namedGroup;
    acl.push({ tag, permissions: bytes.readUInt16LE(at + 2), id: named ? bytes.readUInt32LE(at + 4) : noId });
  }
  if (acl.length === 0) return null;
  if (!isValidAcl(acl)) throw new FsError("EINVAL", "an ACL whose entries are not in order or not complete");
  return acl;
}

export function encodeAcl(acl: Acl): Buffer {
  const out = Buffer.allocUnsafe(4 + acl.length * 8);
  out.writeUInt32LE(version, 0);
  acl.forEach((entry, i) => {
    out.writeUInt16LE(entry.tag, 4 + i * 8);
    out.writeUInt16LE(entry.permissions, 6 + i * 8);
    out.writeUInt32LE(entry.id, 8 + i * 8);
  });
  return out;
}

const tagOrder: readonly number[] = [
  aclTags.owner,
  aclTags.user,
  aclTags.group,
  aclTags.namedGroup,
  aclTags.mask,
  aclTags.other,
];

function isValidAcl(acl: Acl): boolean {
  let last = -1;
  const seen = new Set<number>();
  for (const { tag, permissions, id } of acl) {
    const place = tagOrder.indexOf(tag);
    const named = tag === aclTags.user || tag === aclTags.namedGroup;
    if (place < last || permissions > 7 || place < 0) return false;
    if (named ? id === noId : seen.has(tag)) return false;
    seen.add(tag);
    last = place;
  }
  const complete = seen.has(aclTags.owner) && seen.has(aclTags.group) && seen.has(aclTags.other);
  const needsMask = seen.has(aclTags.user) || seen.has(aclTags.namedGroup);
  return complete && (!needsMask || seen.has(aclTags.mask));
}

/** The permission bits that a mode shows for an ACL: its group bits are the mask, where there is one. */
export function modeOfAcl(acl: Acl): number {
  const group = permissionsOf(acl, aclTags.mask) ?? permissionsOf(acl, aclTags.group) ?? 0;
  return ((permissionsOf(acl, aclTags.owner) ?? 0) << 6) | (group << 3) | (permissionsOf(acl, aclTags.other) ?? 0);
}

/** Whether a mode says all that the ACL says: then it is not kept. */
export function isModeOnly(acl: Acl): boolean {
  return acl.every(({ tag }) => tag === aclTags.owner || tag === aclTags.group || tag === aclTags.other);
}

/** chmod on a file with an ACL: the group bits go to the mask. */
export function aclAfterChmod(acl: Acl, mode: number): Acl {
  return mapClasses(acl, (_, classBits) => classBits, mode);
}

/** What a new inode gets from its directory's default ACL and the mode asked for: each permits what both permit. */
export function inheritAcl(acl: Acl, mode: number): { readonly acl: Acl; readonly mode: number } {
  const inherited = mapClasses(acl, (permissions, classBits) => permissions & classBits, mode);
  return { acl: inherited, mode: (mode & ~0o777) | modeOfAcl(inherited) };
}

/** Changes the three entries that stand for the mode's classes. */
function mapClasses(acl: Acl, change: (permissions: number, classBits: number) => number, mode: number): Acl {
  const groupTag = acl.some(({ tag }) => tag === aclTags.mask) ? aclTags.mask : aclTags.group;
  return acl.map((entry) => {
    const shift = entry.tag === aclTags.owner ? 6 : entry.tag === groupTag ? 3 : entry.tag === aclTags.other ? 0 : -1;
    return shift < 0 ? entry : { ...entry, permissions: change(entry.permissions, (mode >> shift) & 7) };
  });
}

function permissionsOf(acl: Acl, tag: number): number | undefined {
  return acl.find((entry) => entry.tag === tag)?.permissions;
}
