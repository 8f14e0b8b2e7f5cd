import test from "ava";
import { aclTags, encodeAcl, type Acl, type AclEntry } from "../../../src/protocol/acl.ts";
import { violations } from "./invariants.ts";
import { alice, bob, errnoOf, n, Namespace, root, rootIno } from "./support.ts";

const accessName = "system.posix_acl_access";
const defaultName = "system.posix_acl_default";
const none = 0xffff_ffff;

function acl(owner: number, group: number, other: number, more: { user?: [number, number]; mask?: number } = {}): Acl {
  const entries: AclEntry[] = [{ tag: aclTags.owner, permissions: owner, id: none }];
  if (more.user !== undefined) entries.push({ tag: aclTags.user, permissions: more.user[1], id: more.user[0] });
  entries.push({ tag: aclTags.group, permissions: group, id: none });
  if (more.mask !== undefined) entries.push({ tag: aclTags.mask, permissions: more.mask, id: none });
  return [...entries, { tag: aclTags.other, permissions: other, id: none }];
}

test("xattrs are set, read, listed, replaced and removed", (t) => {
  const ns = new Namespace();
  const ino = ns.create(rootIno, "f");
  const before = ns.stat(ino);
  t.true(ns.setxattr(ino, "user.a", Buffer.from("1")).hasXattrs);
  t.true(ns.stat(ino).ctime > before.ctime && ns.stat(ino).mtime === before.mtime);
  ns.setxattr(ino, "user.ab", Buffer.alloc(0));
  t.is(ns.getxattr(ino, "user.a").toString(), "1");
  t.is(ns.getxattr(ino, "user.ab").length, 0);
  t.is(
    errnoOf(() => ns.setxattr(ino, "user.a", Buffer.from("2"), { flags: 1 })),
    "EEXIST",
  );
  t.is(
    errnoOf(() => ns.setxattr(ino, "user.c", Buffer.from("2"), { flags: 2 })),
    "ENODATA",
  );
  ns.setxattr(ino, "user.a", Buffer.from("2"), { flags: 2 });
  ns.setxattr(ino, "trusted.t", Buffer.from("3"));
  const list = (caller = root): string[] => ns.call("listxattr", { caller, ino }).names;
  t.deepEqual(list(), ["trusted.t", "user.a", "user.ab"]);
  t.deepEqual(list(alice), ["user.a", "user.ab"]);
  const remove = (name: string): unknown => ns.call("removexattr", { caller: root, ino, name: n(name) });
  remove("user.a");
  t.is(
    errnoOf(() => remove("user.a")),
    "ENODATA",
  );
  t.is(
    errnoOf(() => ns.getxattr(ino, "user.a")),
    "ENODATA",
  );
  ns.unlink(rootIno, "f");
  t.deepEqual(violations(ns.store), []);
});

test("long values are cut into pieces and come back whole", (t) => {
  const ns = new Namespace();
  const ino = ns.create(rootIno, "f");
  for (const length of [0, 15_999, 16_000, 16_001, 32_000, 65_536, 100]) {
    const value = Buffer.alloc(length, length & 0xff);
    ns.setxattr(ino, "user.long", value);
    t.true(ns.getxattr(ino, "user.long").equals(value));
    t.deepEqual(violations(ns.store), []);
  }
  t.deepEqual(ns.call("listxattr", { caller: root, ino }).names, [n("user.long")]);
  ns.checksMessages = false;
  t.is(
    errnoOf(() => ns.setxattr(ino, "user.long", Buffer.alloc(65_537))),
    "E2BIG",
  );
  ns.checksMessages = true;
  for (let i = 0; i < 204; i++) ns.setxattr(ino, `user.${String(i)}`, Buffer.alloc(65_536));
  t.is(
    errnoOf(() => ns.setxattr(ino, "user.more", Buffer.alloc(65_536))),
    "ENOSPC",
  );
  t.is(ns.unlink(rootIno, "f"), null);
  t.deepEqual(violations(ns.store), []);
});

test("the names of one inode's xattrs fit one listing", (t) => {
  const ns = new Namespace();
  const ino = ns.create(rootIno, "f");
  const name = (i: number): string => `user.${String(i).padStart(250, "x")}`;
  for (let i = 0; i < 256; i++) ns.setxattr(ino, name(i), Buffer.alloc(0));
  t.is(
    errnoOf(() => ns.setxattr(ino, name(256), Buffer.alloc(0))),
    "ENOSPC",
  );
});

test("who may change and read which xattr", (t) => {
  const ns = new Namespace();
  ns.setattr(rootIno, { mode: 0o777 });
  const ino = ns.create(rootIno, "f", alice, 0o640);
  const link = ns.symlink(rootIno, "s", "x", alice);
  const fifo = ns.call("mknod", { caller: alice, parent: rootIno, name: n("p"), mode: 0o10600, rdev: 0, umask: 0 });
  const value = Buffer.from("v");
  const set = (on: typeof ino, name: string, caller: typeof root): string =>
    errnoOf(() => ns.setxattr(on, name, value, { caller }));
  t.is(set(ino, "user.a", alice), "none");
  t.is(set(ino, "user.a", bob), "EACCES");
  t.is(
    errnoOf(() => ns.getxattr(ino, "user.a", bob)),
    "EACCES",
  );
  t.is(set(link, "user.a", root), "EPERM");
  t.is(set(fifo.attributes.ino, "user.a", root), "EPERM");
  t.is(
    errnoOf(() => ns.getxattr(link, "user.a", root)),
    "ENODATA",
  );
  t.is(set(ino, "trusted.a", alice), "EPERM");
  t.is(set(ino, "trusted.a", root), "none");
  t.is(
    errnoOf(() => ns.getxattr(ino, "trusted.a", alice)),
    "ENODATA",
  );
  t.is(set(ino, "security.a", alice), "EPERM");
  t.is(set(ino, "security.a", root), "none");
  t.is(ns.getxattr(ino, "security.a", bob).toString(), "v");
  t.is(set(ino, "system.other", root), "EOPNOTSUPP");
  t.is(set(ino, "nothing", root), "EOPNOTSUPP");
  t.is(set(ino, "user.", root), "EINVAL");
  const sticky = ns.mkdir(rootIno, "sticky");
  ns.setattr(sticky, { mode: 0o1777 });
  t.is(set(sticky, "user.a", alice), "EPERM");
  t.is(set(sticky, "user.a", root), "none");
});

test("an access ACL decides for named users within the mask, and shows in the mode", (t) => {
  const ns = new Namespace();
  const ino = ns.create(rootIno, "f", root, 0o600);
  const open = (caller: typeof root, write: boolean): string =>
    errnoOf(() => ns.call("open", { caller, ino, read: true, write }));
  const value = encodeAcl(acl(6, 0, 0, { user: [1000, 6], mask: 4 }));
  t.is(ns.setxattr(ino, accessName, value).mode, 0o100640);
  t.true(ns.getxattr(ino, accessName).equals(value));
  t.is(open(alice, false), "none");
  t.is(open(alice, true), "EACCES");
  t.is(open(bob, false), "EACCES");
  // chmod's group bits are the mask.
  t.is(ns.setattr(ino, { mode: 0o660 }).mode, 0o100660);
  t.is(open(alice, true), "none");
  t.true(ns.getxattr(ino, accessName).equals(encodeAcl(acl(6, 0, 0, { user: [1000, 6], mask: 6 }))));
  // An ACL that says what a mode says is kept as the mode.
  t.like(ns.setxattr(ino, accessName, encodeAcl(acl(7, 5, 1))), { mode: 0o100751, hasXattrs: false });
  t.is(
    errnoOf(() => ns.getxattr(ino, accessName)),
    "ENODATA",
  );
  t.deepEqual(violations(ns.store), []);
});

test("ACLs are the owner's to change; wrong ones are refused", (t) => {
  const ns = new Namespace();
  const ino = ns.create(rootIno, "f");
  const directory = ns.mkdir(rootIno, "d");
  const value = encodeAcl(acl(6, 0, 0, { user: [1000, 6], mask: 4 }));
  t.is(
    errnoOf(() => ns.setxattr(ino, accessName, value, { caller: alice })),
    "EPERM",
  );
  t.is(
    errnoOf(() => ns.setxattr(ino, defaultName, value)),
    "EACCES",
  );
  t.is(
    errnoOf(() => ns.setxattr(directory, defaultName, value)),
    "none",
  );
  t.is(
    errnoOf(() => ns.setxattr(ino, accessName, value.subarray(1))),
    "EINVAL",
  );
  t.is(
    errnoOf(() => ns.setxattr(ino, accessName, encodeAcl(acl(6, 0, 0, { user: [1000, 6] })))),
    "EINVAL",
  );
  t.is(
    errnoOf(() => ns.setxattr(ino, accessName, encodeAcl([...acl(6, 0, 0)].reverse()))),
    "EINVAL",
  );
  const version = Buffer.from(value);
  version[0] = 3;
  t.is(
    errnoOf(() => ns.setxattr(ino, accessName, version)),
    "EOPNOTSUPP",
  );
  t.is(
    errnoOf(() => ns.setxattr(ns.symlink(rootIno, "s", "x"), accessName, value)),
    "EOPNOTSUPP",
  );
  const remove = (name: string): unknown => ns.call("removexattr", { caller: root, ino: directory, name: n(name) });
  t.is(
    errnoOf(() => remove(defaultName)),
    "none",
  );
  t.is(
    errnoOf(() => remove(defaultName)),
    "none",
  );
  t.false(ns.stat(directory).hasXattrs);
});

test("removing an access ACL keeps the mode; a kernel's order to clear setgid is obeyed", (t) => {
  const ns = new Namespace();
  const ino = ns.create(rootIno, "f");
  ns.setattr(ino, { mode: 0o2755 });
  const value = encodeAcl(acl(7, 5, 5, { user: [1000, 7], mask: 7 }));
  t.is(ns.setxattr(ino, accessName, value).mode, 0o102775);
  t.is(ns.setxattr(ino, accessName, value, { clearSetgid: true }).mode, 0o100775);
  t.is(ns.call("removexattr", { caller: root, ino, name: n(accessName) }).attributes.mode, 0o100775);
});

test("a default ACL is inherited instead of the umask", (t) => {
  const ns = new Namespace();
  const directory = ns.mkdir(rootIno, "d");
  const inherited = encodeAcl(acl(7, 5, 0, { user: [1000, 7], mask: 7 }));
  ns.setxattr(directory, defaultName, inherited);
  const file = ns.create(directory, "f", root, 0o664, 0o077);
  t.is(ns.stat(file).mode, 0o100660);
  t.true(ns.getxattr(file, accessName).equals(encodeAcl(acl(6, 5, 0, { user: [1000, 7], mask: 6 }))));
  const sub = ns.mkdir(directory, "sub", root, 0o777, 0o077);
  t.is(ns.stat(sub).mode, 0o40770);
  t.true(ns.getxattr(sub, defaultName).equals(inherited));
  t.true(ns.getxattr(sub, accessName).equals(inherited));
  const simple = ns.mkdir(rootIno, "simple");
  ns.setxattr(simple, defaultName, encodeAcl(acl(7, 5, 0)));
  const plain = ns.create(simple, "f", root, 0o666, 0o022);
  t.like(ns.stat(plain), { mode: 0o100640, hasXattrs: false });
  t.is(ns.stat(ns.symlink(directory, "s", "x")).hasXattrs, false);
  t.deepEqual(violations(ns.store), []);
});
