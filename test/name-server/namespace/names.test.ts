import test from "ava";
import { fileType } from "../../../src/base/attributes.ts";
import type { Ino } from "../../../src/base/ids.ts";
import { violations } from "./invariants.ts";
import { alice, bob, errnoOf, n, Namespace, root, rootIno } from "./support.ts";

test("a new cluster has a root directory that belongs to root", (t) => {
  const shown = new Namespace().stat(rootIno);
  t.like(shown, { mode: 0o40755, nlink: 2, uid: 0, gid: 0, size: 4096, blocks: 0 });
});

test("lookup finds names, says null for absent ones, and knows . and ..", (t) => {
  const ns = new Namespace();
  const directory = ns.mkdir(rootIno, "d");
  const file = ns.create(directory, "f");
  t.is(ns.lookup(directory, "f")?.ino, file);
  t.is(ns.lookup(directory, "g"), null);
  t.is(ns.call("lookup", { parent: file, name: "." }).attributes?.ino, file);
  t.is(ns.call("lookup", { parent: directory, name: ".." }).attributes?.ino, rootIno);
  t.is(ns.call("lookup", { parent: rootIno, name: ".." }).attributes?.ino, rootIno);
  t.is(
    errnoOf(() => ns.lookup(file, "x")),
    "ENOTDIR",
  );
  t.is(
    errnoOf(() => ns.call("lookup", { parent: file, name: ".." })),
    "ENOTDIR",
  );
  t.is(
    errnoOf(() => ns.lookup(999 as Ino, "x")),
    "ESTALE",
  );
  t.is(
    errnoOf(() => ns.stat(999 as Ino)),
    "ESTALE",
  );
});

test("create makes an empty file of the caller with the umask taken off", (t) => {
  const ns = new Namespace();
  ns.setattr(rootIno, { mode: 0o777 });
  const before = ns.stat(rootIno);
  const ino = ns.create(rootIno, "f", alice, 0o6777, 0o027);
  t.like(ns.stat(ino), { mode: 0o106750, nlink: 1, uid: 1000, gid: 1000, size: 0, blocks: 0, hasXattrs: false });
  const after = ns.stat(rootIno);
  t.true(after.mtime > before.mtime && after.ctime === after.mtime);
  t.is(after.nlink, 2);
  t.is(ns.stat(ino).btime, after.mtime);
});

test("making a name is refused in the kernel's order", (t) => {
  const ns = new Namespace();
  const file = ns.create(rootIno, "f");
  const gone = ns.mkdir(rootIno, "gone");
  ns.rmdir(rootIno, "gone", root, true);
  t.is(
    errnoOf(() => ns.create(rootIno, "f", alice)),
    "EEXIST",
  );
  t.is(
    errnoOf(() => ns.create(rootIno, "g", alice)),
    "EACCES",
  );
  t.is(
    errnoOf(() => ns.mkdir(rootIno, "f")),
    "EEXIST",
  );
  t.is(
    errnoOf(() => ns.create(file, "g")),
    "ENOTDIR",
  );
  t.is(
    errnoOf(() => ns.create(gone, "g")),
    "ENOENT",
  );
  t.is(
    errnoOf(() => ns.create(404 as Ino, "g")),
    "ESTALE",
  );
  ns.space = { ...ns.space, metadataFull: true };
  t.is(
    errnoOf(() => ns.create(rootIno, "g")),
    "ENOSPC",
  );
  t.is(
    errnoOf(() => ns.unlink(rootIno, "f")),
    "none",
  );
});

test("mkdir counts the new directory's .. in its parent", (t) => {
  const ns = new Namespace();
  const directory = ns.mkdir(rootIno, "d", root, 0o7777, 0o022);
  t.like(ns.stat(directory), { mode: 0o41755, nlink: 2 });
  t.is(ns.stat(rootIno).nlink, 3);
  ns.rmdir(rootIno, "d");
  t.is(ns.stat(rootIno).nlink, 2);
});

test("mknod makes special files, devices only for root, whiteouts for anybody", (t) => {
  const ns = new Namespace();
  ns.setattr(rootIno, { mode: 0o777 });
  const make = (name: string, mode: number, rdev = 0, caller = root): Ino =>
    ns.call("mknod", { caller, parent: rootIno, name: n(name), mode, rdev, umask: 0 }).attributes.ino;
  t.like(ns.stat(make("fifo", fileType.fifo | 0o640)), { mode: 0o10640, rdev: 0 });
  t.like(ns.stat(make("socket", fileType.socket | 0o777, 5)), { mode: 0o140777, rdev: 0 });
  t.like(ns.stat(make("device", fileType.block | 0o600, 0x801)), { mode: 0o60600, rdev: 0x801 });
  t.like(ns.stat(make("plain", 0o600)), { mode: 0o100600 });
  t.is(
    errnoOf(() => make("x", fileType.character | 0o600, 1, alice)),
    "EPERM",
  );
  t.is(
    errnoOf(() => make("device", fileType.character | 0o600, 1, alice)),
    "EEXIST",
  );
  t.is(
    errnoOf(() => make("white", fileType.character, 0, alice)),
    "none",
  );
  t.is(
    errnoOf(() => make("x", fileType.directory | 0o755)),
    "EPERM",
  );
  t.is(
    errnoOf(() => make("x", fileType.symlink)),
    "EINVAL",
  );
});

test("symlink keeps its target as bytes and has its length as size", (t) => {
  const ns = new Namespace();
  const ino = ns.symlink(rootIno, "s", "a/ö");
  t.like(ns.stat(ino), { mode: 0o120777, size: 4, blocks: 0 });
  t.is(ns.call("readlink", { ino }).target.toString(), "a/ö");
  t.is(
    errnoOf(() => ns.symlink(rootIno, "t", "")),
    "ENOENT",
  );
  t.is(
    errnoOf(() => ns.symlink(rootIno, "t", "x".repeat(4096))),
    "ENAMETOOLONG",
  );
  t.is(
    errnoOf(() => ns.symlink(rootIno, "t", "x".repeat(4095))),
    "none",
  );
  t.is(
    errnoOf(() => ns.call("readlink", { ino: rootIno })),
    "EINVAL",
  );
  ns.unlink(rootIno, "s");
  ns.unlink(rootIno, "t");
  t.deepEqual(violations(ns.store), []);
});

test("names are bytes: 255 of them, not UTF-8, and hash to their own cookies", (t) => {
  const ns = new Namespace();
  const long = ns.create(rootIno, "x".repeat(255));
  t.is(ns.lookup(rootIno, "x".repeat(255))?.ino, long);
  const name = "\u00ff\u00fe\u0001" as ReturnType<typeof n>;
  const odd = ns.call("create", { caller: root, parent: rootIno, name, mode: 0o600, umask: 0 }).attributes.ino;
  t.is(ns.call("lookup", { parent: rootIno, name }).attributes?.ino, odd);
  t.true(ns.names(rootIno).includes(name));
});

test("a setgid directory hands down its group, and to directories its setgid bit", (t) => {
  const ns = new Namespace();
  const shared = ns.mkdir(rootIno, "shared");
  ns.setattr(shared, { mode: 0o2777, gid: 2000 });
  t.like(ns.stat(ns.create(shared, "f", bob)), { gid: 2000, mode: 0o100644 });
  t.like(ns.stat(ns.mkdir(shared, "d", bob)), { gid: 2000, mode: 0o42755 });
  t.is(ns.stat(ns.create(shared, "member", alice, 0o2755)).mode, 0o102755);
  t.is(ns.stat(ns.create(shared, "stranger", bob, 0o2755)).mode, 0o100755);
  t.is(ns.stat(ns.create(shared, "locking", bob, 0o2644)).mode, 0o102644);
  // Whether alice is a member decides, and is not known without her groups.
  t.is(
    errnoOf(() => ns.create(shared, "unknown", { uid: 1000, gid: 1000 }, 0o2755)),
    "EPERM",
  );
});

test("unlink and rmdir are refused in the kernel's order", (t) => {
  const ns = new Namespace();
  const directory = ns.mkdir(rootIno, "d");
  ns.create(directory, "inside");
  ns.create(rootIno, "f");
  t.is(
    errnoOf(() => ns.unlink(rootIno, "none", alice)),
    "ENOENT",
  );
  t.is(
    errnoOf(() => ns.unlink(rootIno, "f", alice)),
    "EACCES",
  );
  t.is(
    errnoOf(() => ns.unlink(rootIno, "d")),
    "EISDIR",
  );
  t.is(
    errnoOf(() => ns.rmdir(rootIno, "f")),
    "ENOTDIR",
  );
  t.is(
    errnoOf(() => ns.rmdir(rootIno, "d")),
    "ENOTEMPTY",
  );
  t.is(
    errnoOf(() => ns.unlink(ns.lookup(rootIno, "f")?.ino as Ino, "x")),
    "ENOTDIR",
  );
  ns.unlink(directory, "inside");
  t.is(ns.rmdir(rootIno, "d"), null);
  t.deepEqual(violations(ns.store), []);
});

test("in a sticky directory only the owners of file or directory remove and rename", (t) => {
  const ns = new Namespace();
  const tmp = ns.mkdir(rootIno, "tmp");
  ns.setattr(tmp, { mode: 0o1777 });
  ns.create(tmp, "f", alice);
  ns.mkdir(tmp, "d", alice);
  ns.create(tmp, "b", bob);
  t.is(
    errnoOf(() => ns.unlink(tmp, "f", bob)),
    "EPERM",
  );
  t.is(
    errnoOf(() => ns.rmdir(tmp, "d", bob)),
    "EPERM",
  );
  t.is(
    errnoOf(() => ns.rename([tmp, "f"], [tmp, "g"], { caller: bob })),
    "EPERM",
  );
  t.is(
    errnoOf(() => ns.rename([tmp, "b"], [tmp, "f"], { caller: bob })),
    "EPERM",
  );
  t.is(
    errnoOf(() => ns.unlink(tmp, "f", alice)),
    "none",
  );
  ns.setattr(tmp, { uid: 1001 });
  t.is(
    errnoOf(() => ns.rmdir(tmp, "d", bob)),
    "none",
  );
});
