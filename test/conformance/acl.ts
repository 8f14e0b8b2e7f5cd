/** POSIX ACLs as the kernel takes them in xattrs: version 2, then entries of tag, permission and id, little endian. */
import type { Path } from "./libc/calls.ts";
import { sys } from "./libc/sys.ts";

const tags = { user: 0x02, group: 0x08 } as const;
const base = { owner: 0x01, owningGroup: 0x04, mask: 0x10, other: 0x20 } as const;
const noId = 0xffff_ffff;

export interface Acl {
  readonly owner: number;
  readonly users?: Readonly<Record<number, number>>;
  readonly owningGroup: number;
  readonly groups?: Readonly<Record<number, number>>;
  readonly mask?: number;
  readonly other: number;
}

export const accessAcl = "system.posix_acl_access";
export const defaultAcl = "system.posix_acl_default";

export function encodeAcl(acl: Acl): Buffer {
  const entries: [tag: number, permission: number, id: number][] = [[base.owner, acl.owner, noId]];
  for (const [id, bits] of Object.entries(acl.users ?? {})) entries.push([tags.user, bits, Number(id)]);
  entries.push([base.owningGroup, acl.owningGroup, noId]);
  for (const [id, bits] of Object.entries(acl.groups ?? {})) entries.push([tags.group, bits, Number(id)]);
  if (acl.mask !== undefined) entries.push([base.mask, acl.mask, noId]);
  entries.push([base.other, acl.other, noId]);
  return encodeEntries(entries);
}

export function encodeEntries(entries: readonly (readonly [tag: number, permission: number, id: number])[]): Buffer {
  const bytes = Buffer.alloc(4 + entries.length * 8);
  bytes.writeUInt32LE(2, 0);
  entries.forEach(([tag, permission, id], i) => {
    bytes.writeUInt16LE(tag, 4 + i * 8);
    bytes.writeUInt16LE(permission, 6 + i * 8);
    bytes.writeUInt32LE(id, 8 + i * 8);
  });
  return bytes;
}

export function decodeAcl(bytes: Buffer): Acl {
  const found: Record<number, number> = {};
  const users: Record<number, number> = {};
  const groups: Record<number, number> = {};
  for (let at = 4; at < bytes.length; at += 8) {
    const tag = bytes.readUInt16LE(at);
    const bits = bytes.readUInt16LE(at + 2);
    const id = bytes.readUInt32LE(at + 4);
    if (tag === tags.user) users[id] = bits;
    else if (tag === tags.group) groups[id] = bits;
    else found[tag] = bits;
  }
  const mask = found[base.mask];
  return {
    owner: found[base.owner] ?? -1,
    ...(Object.keys(users).length > 0 ? { users } : {}),
    owningGroup: found[base.owningGroup] ?? -1,
    ...(Object.keys(groups).length > 0 ? { groups } : {}),
    ...(mask === undefined ? {} : { mask }),
    other: found[base.other] ?? -1,
  };
}

export function setAcl(path: Path, acl: Acl, name: string = accessAcl): void {
  sys.setxattr(path, name, encodeAcl(acl));
}

export function aclOf(path: Path, name: string = accessAcl): Acl {
  return decodeAcl(sys.getxattr(path, name));
}
