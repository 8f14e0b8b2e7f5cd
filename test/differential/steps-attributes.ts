/** Steps that look at and change attributes, extended attributes and ACLs. */
import { AT } from "../conformance/libc/constants.ts";
import { sys } from "../conformance/libc/sys.ts";
import { descriptorToChange } from "./exempt.ts";
import { shown, timeOf, xattrsOf } from "./look.ts";
import { kind, octal, type Kind, type World } from "./world.ts";

const typeLink = 0o120000;
const xattrFlags = { create: 1, replace: 2 };
const aclNames = { access: "system.posix_acl_access", default: "system.posix_acl_default" };

function onPath(name: string, weight: number, run: (path: Buffer, isLink: boolean) => unknown): Kind {
  return kind(name, weight, (w) => {
    const path = w.existing();
    const isLink = w.typeOf(path) === typeLink;
    return { args: JSON.stringify(path), act: (side) => run(side.path(path), isLink) };
  });
}

function times(name: string, weight: number, flags: number): Kind {
  return kind(name, weight, (w) => {
    const [path, atime, mtime] = [w.existing(), w.time(), w.time()];
    // That of a symlink may be moved by following it.
    const showsAtime = typeof atime === "bigint" && w.typeOf(path) !== typeLink;
    return {
      args: `${JSON.stringify(path)} ${String(atime)} ${String(mtime)}`,
      act: (side) => {
        sys.utimensat(side.path(path), [atime, mtime], flags);
        const stat = sys.lstat(side.path(path));
        return [showsAtime ? timeOf(stat.atime) : "any", timeOf(stat.mtime)];
      },
    };
  });
}
function xattr(name: string, weight: number, run: (path: Buffer, name: string, value: Buffer) => unknown): Kind {
  return kind(name, weight, (w) => {
    const [path, key] = [w.existing(), xattrName(w)];
    const value = w.bytes(w.any([0, 1, 5, 40, 200]));
    return {
      args: `${JSON.stringify(path)} ${key} ${String(value.length)}`,
      act: (side) => run(side.path(path), key, value),
    };
  });
}

function xattrName(w: World): string {
  return w.any(["user.a", "user.a", "user.b", "user.\xe9", "user.", "trusted.t", "security.s", "unknown.u", "plain"]);
}

/** An ACL as the kernel keeps it: version 2, then (tag, permissions, id) for each entry. */
function acl(w: World, isValid: boolean): Buffer {
  const permissions = (): number => w.below(8);
  const anyone = 0xffff_ffff;
  const entries = [
    [0x01, permissions(), anyone],
    ...(w.chance(2) ? [[0x02, permissions(), 1001]] : []),
    ...(w.chance(3) ? [[0x02, permissions(), 1002]] : []),
    [0x04, permissions(), anyone],
    ...(w.chance(3) ? [[0x08, permissions(), 1002]] : []),
    ...(isValid ? [[0x10, permissions(), anyone]] : []),
    [0x20, permissions(), anyone],
  ];
  const out = Buffer.alloc(4 + entries.length * 8);
  out.writeUInt32LE(2, 0);
  entries.forEach(([tag = 0, bits = 0, id = 0], i) => {
    out.writeUInt16LE(tag, 4 + i * 8);
    out.writeUInt16LE(bits, 6 + i * 8);
    out.writeUInt32LE(id, 8 + i * 8);
  });
  return out;
}

function setAcl(label: string, weight: number, name: string): Kind {
  return kind(label, weight, (w) => {
    const [path, isValid] = [w.existing(), !w.chance(5)];
    const value = acl(w, isValid);
    return {
      args: `${JSON.stringify(path)} ${value.toString("hex")}`,
      act: (side) => {
        sys.setxattr(side.path(path), name, value);
        return sys.stat(side.path(path)).mode.toString(8);
      },
    };
  });
}

export const attributeSteps: readonly Kind[] = [
  onPath("stat", 8, (path) => shown(sys.stat(path))),
  onPath("lstat", 8, (path) => shown(sys.lstat(path))),
  kind("fstat", 10, (w) => {
    const slot = w.slot();
    return slot === undefined
      ? undefined
      : { args: `#${String(slot)}`, act: (side) => shown(sys.fstat(side.fd(slot))) };
  }),
  kind("access", 5, (w) => {
    const [path, mode] = [w.existing(), w.below(8)];
    return { args: `${JSON.stringify(path)} ${String(mode)}`, act: (side) => sys.access(side.path(path), mode) };
  }),
  kind("chmod", 8, (w) => {
    const [path, mode] = [w.existing(), w.mode()];
    return { args: `${JSON.stringify(path)} ${octal(mode)}`, act: (side) => sys.chmod(side.path(path), mode) };
  }),
  kind("fchmod", 3, (w) => {
    const [slot, mode] = [w.changeableSlot(), w.mode()];
    if (slot === undefined) return undefined;
    return { args: `#${String(slot)} ${octal(mode)}`, act: (side) => sys.fchmod(descriptorToChange(side, slot), mode) };
  }),
  kind("chown", 5, (w) => {
    const [path, { uid, gid }] = [w.existing(), w.owner()];
    return {
      args: `${JSON.stringify(path)} ${String(uid)}:${String(gid)}`,
      act: (side) => sys.chown(side.path(path), uid, gid),
    };
  }),
  kind("lchown", 2, (w) => {
    const [path, { uid, gid }] = [w.existing(), w.owner()];
    return {
      args: `${JSON.stringify(path)} ${String(uid)}:${String(gid)}`,
      act: (side) => sys.lchown(side.path(path), uid, gid),
    };
  }),
  kind("fchown", 2, (w) => {
    const [slot, { uid, gid }] = [w.changeableSlot(), w.owner()];
    if (slot === undefined) return undefined;
    return {
      args: `#${String(slot)} ${String(uid)}:${String(gid)}`,
      act: (side) => sys.fchown(descriptorToChange(side, slot), uid, gid),
    };
  }),
  // By root only: of others FUSE tells too little to refuse it as ext4 does (see SEMANTICS.md).
  kind(
    "chown of neither",
    1,
    (w) => {
      const path = w.existing();
      return { args: JSON.stringify(path), act: (side) => sys.chown(side.path(path), -1, -1) };
    },
    { rootOnly: true },
  ),
  times("utimensat", 6, 0),
  times("utimensat AT_SYMLINK_NOFOLLOW", 3, AT.SYMLINK_NOFOLLOW),
  onPath("utimensat now", 3, (path) => sys.utimensat(path, null)),
  kind("futimens", 4, (w) => {
    const [slot, atime, mtime] = [w.changeableSlot(), w.time(), w.time()];
    if (slot === undefined) return undefined;
    return {
      args: `#${String(slot)} ${String(atime)} ${String(mtime)}`,
      act: (side) => {
        sys.futimens(descriptorToChange(side, slot), [atime, mtime]);
        return shown(sys.fstat(side.fd(slot)));
      },
    };
  }),
  kind("umask", 2, (w) => {
    const mask = w.any([0o022, 0o000, 0o077, 0o027, 0o002]);
    return { args: octal(mask), act: () => void sys.umask(mask) };
  }),
  onPath("statfs", 1, (path) => sys.statfs(path).nameMax),
  xattr("setxattr", 8, (path, name, value) => sys.setxattr(path, Buffer.from(name, "latin1"), value)),
  xattr("setxattr XATTR_CREATE", 2, (path, name, value) =>
    sys.setxattr(path, Buffer.from(name, "latin1"), value, xattrFlags.create),
  ),
  xattr("setxattr XATTR_REPLACE", 2, (path, name, value) =>
    sys.setxattr(path, Buffer.from(name, "latin1"), value, xattrFlags.replace),
  ),
  xattr("lsetxattr", 2, (path, name, value) => sys.lsetxattr(path, Buffer.from(name, "latin1"), value)),
  xattr("getxattr", 5, (path, name) => sys.getxattr(path, Buffer.from(name, "latin1"))),
  xattr("getxattr size", 2, (path, name) => sys.getxattrSize(path, Buffer.from(name, "latin1"))),
  xattr("getxattr into 3 bytes", 1, (path, name) => sys.getxattr(path, Buffer.from(name, "latin1"), 3)),
  xattr("removexattr", 4, (path, name) => sys.removexattr(path, Buffer.from(name, "latin1"))),
  kind("fsetxattr", 3, (w) => {
    const [slot, name, value] = [w.changeableSlot(), xattrName(w), w.bytes(w.below(60))];
    if (slot === undefined) return undefined;
    return {
      args: `#${String(slot)} ${name} ${String(value.length)}`,
      act: (side) => sys.fsetxattr(descriptorToChange(side, slot), Buffer.from(name, "latin1"), value),
    };
  }),
  onPath("listxattr and their values", 5, (path, isLink) => xattrsOf(path, isLink)),
  setAcl("set an ACL", 5, aclNames.access),
  setAcl("set a default ACL", 3, aclNames.default),
  onPath("get an ACL", 2, (path) => sys.getxattr(path, aclNames.access)),
  onPath("remove an ACL", 1, (path) => sys.removexattr(path, aclNames.access)),
  onPath("remove a default ACL", 1, (path) => sys.removexattr(path, aclNames.default)),
];
