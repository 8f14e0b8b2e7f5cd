import test from "ava";
import { violations } from "./invariants.ts";
import { alice, bob, errnoOf, Namespace, root, rootIno } from "./support.ts";

/** A file of alice's, in a group that she is in only by her supplementary groups. */
function file(mode = 0o644): { ns: Namespace; ino: ReturnType<Namespace["create"]> } {
  const ns = new Namespace();
  const ino = ns.create(rootIno, "f", root, mode);
  ns.setattr(ino, { uid: 1000, gid: 2000, mode });
  return { ns, ino };
}

test("chmod is the owner's and root's", (t) => {
  const { ns, ino } = file();
  t.is(ns.setattr(ino, { mode: 0o4711 }, alice).mode, 0o104711);
  t.is(
    errnoOf(() => ns.setattr(ino, { mode: 0o777 }, bob)),
    "EPERM",
  );
  t.is(ns.setattr(ino, { mode: 0o100600 }).mode, 0o100600);
  t.is(
    errnoOf(() => ns.setattr(ns.symlink(rootIno, "s", "x"), { mode: 0o600 })),
    "EOPNOTSUPP",
  );
});

test("who is not in the file's group cannot make it setgid", (t) => {
  const { ns, ino } = file();
  t.is(ns.setattr(ino, { mode: 0o2755 }, alice).mode, 0o102755);
  t.is(ns.setattr(ino, { mode: 0o2755 }, { ...alice, groups: [] }).mode, 0o100755);
  t.is(
    errnoOf(() => ns.setattr(ino, { mode: 0o2755 }, { uid: 1000, gid: 1000 })),
    "EPERM",
  );
  t.is(
    errnoOf(() => ns.setattr(ino, { mode: 0o755 }, { uid: 1000, gid: 1000 })),
    "none",
  );
});

test("chown of the user is root's, of the group the owner's within the owner's groups", (t) => {
  const { ns, ino } = file();
  t.is(
    errnoOf(() => ns.setattr(ino, { uid: 1001 }, alice)),
    "EPERM",
  );
  t.is(
    errnoOf(() => ns.setattr(ino, { uid: 1000 }, alice)),
    "none",
  );
  t.is(
    errnoOf(() => ns.setattr(ino, { gid: 3000 }, alice)),
    "EPERM",
  );
  t.is(
    errnoOf(() => ns.setattr(ino, { gid: 1000 }, alice)),
    "none",
  );
  t.is(
    errnoOf(() => ns.setattr(ino, { gid: 2000 }, { uid: 1000, gid: 1000 })),
    "EPERM",
  );
  t.is(
    errnoOf(() => ns.setattr(ino, { gid: 2000 }, alice)),
    "none",
  );
  t.is(
    errnoOf(() => ns.setattr(ino, { gid: 1001 }, bob)),
    "EPERM",
  );
  t.like(ns.setattr(ino, { uid: 5, gid: 6 }), { uid: 5, gid: 6 });
});

test("chown clears setuid and setgid, also by root, but not of directories", (t) => {
  const { ns, ino } = file();
  ns.setattr(ino, { mode: 0o6755 });
  t.is(ns.setattr(ino, { uid: 1000 }).mode, 0o100755);
  ns.setattr(ino, { mode: 0o6745 });
  t.is(ns.setattr(ino, { gid: 2000 }).mode, 0o102745);
  t.is(ns.setattr(ino, { gid: 2000 }, { ...alice, groups: [], gid: 2000 }).mode, 0o102745);
  const directory = ns.mkdir(rootIno, "d");
  ns.setattr(directory, { mode: 0o6755 });
  t.is(ns.setattr(directory, { uid: 1000 }).mode, 0o46755);
});

test("truncation needs write permission or an open file, and clears privileges of others than root", (t) => {
  const { ns, ino } = file();
  t.is(
    errnoOf(() => ns.setattr(ino, { size: 5 }, bob)),
    "EACCES",
  );
  t.is(ns.setattr(ino, { size: 5, fromOpenFile: true }, bob).size, 5);
  ns.setattr(ino, { mode: 0o6755 });
  t.is(ns.setattr(ino, { size: 9 }).mode, 0o106755);
  t.is(ns.setattr(ino, { size: 9, killPrivileges: true }).mode, 0o100755);
  ns.setattr(ino, { mode: 0o6755 });
  const before = ns.stat(ino);
  const after = ns.setattr(ino, { size: 9 }, alice);
  t.is(after.mode, 0o100755);
  t.true(after.mtime > before.mtime && after.ctime === after.mtime);
  t.is(
    errnoOf(() => ns.setattr(rootIno, { size: 0 })),
    "EISDIR",
  );
  t.is(
    errnoOf(() => ns.setattr(ns.symlink(rootIno, "s", "x"), { size: 0 })),
    "EINVAL",
  );
});

test("times: writers set both to now, only the owner sets anything else", (t) => {
  const { ns, ino } = file(0o666);
  t.is(
    errnoOf(() => ns.setattr(ino, { atime: "now", mtime: "now" }, bob)),
    "none",
  );
  t.is(
    errnoOf(() => ns.setattr(ino, { mtime: "now" }, bob)),
    "EPERM",
  );
  t.is(
    errnoOf(() => ns.setattr(ino, { atime: 1n, mtime: 1n }, bob)),
    "EPERM",
  );
  t.is(
    errnoOf(() => ns.setattr(ino, { size: 0, mtime: "now" }, bob)),
    "none",
  );
  ns.setattr(ino, { mode: 0o600 });
  t.is(
    errnoOf(() => ns.setattr(ino, { atime: "now", mtime: "now" }, bob)),
    "EACCES",
  );
  const before = ns.stat(ino);
  const after = ns.setattr(ino, { atime: -5n, mtime: 2n ** 62n }, alice);
  t.like(after, { atime: -5n, mtime: 2n ** 62n });
  t.true(after.ctime > before.ctime);
});

test("ctime always goes forward, and stays when it is given as it is", (t) => {
  const { ns, ino } = file();
  const future = ns.setattr(ino, { ctime: ns.now + 10n ** 12n }).ctime;
  t.is(ns.setattr(ino, { mode: 0o600 }).ctime, future + 1n);
  t.is(ns.setattr(ino, { ctime: 5n }).ctime, future + 1n);
  const other = ns.create(rootIno, "g");
  const { ctime } = ns.stat(other);
  t.like(ns.setattr(other, { atime: 77n, ctime }), { atime: 77n, ctime });
});

test("setting no attribute at all but privileges drops them", (t) => {
  const { ns, ino } = file();
  ns.setattr(ino, { mode: 0o6755 });
  ns.setxattr(ino, "security.capability", Buffer.from("caps"));
  t.is(ns.setattr(ino, { killPrivileges: true }).mode, 0o100755);
  t.is(
    errnoOf(() => ns.getxattr(ino, "security.capability")),
    "ENODATA",
  );
  t.deepEqual(violations(ns.store), []);
});

test("writing takes a file's capability away, whoever writes", (t) => {
  const { ns, ino } = file();
  ns.setattr(ino, { mode: 0o6755 });
  ns.setxattr(ino, "security.capability", Buffer.from("caps"));
  t.true(ns.writeInline(ino, 0, Buffer.from("x")).attributes.mode === 0o106755);
  t.is(
    errnoOf(() => ns.getxattr(ino, "security.capability")),
    "ENODATA",
  );
  const content = Buffer.from("y");
  ns.write(ino, [{ kind: "inline", offset: 0, length: 1, content }], { clear: true });
  t.is(ns.stat(ino).mode, 0o100755);
});

test("setgid without group execution stays for members of the group only, and who is one has to be known", (t) => {
  const { ns, ino } = file(0o666);
  const stranger = { uid: 77, gid: 77, groups: [] };
  const member = { uid: 78, gid: 78, groups: [ns.stat(ino).gid] };
  ns.setattr(ino, { mode: 0o2666 });
  t.is(ns.setattr(ino, { size: 1 }, member).mode, 0o102666);
  t.is(ns.setattr(ino, { killPrivileges: true }, member).mode, 0o102666);
  t.is(
    errnoOf(() => ns.setattr(ino, { size: 2 }, { uid: 77, gid: 77 })),
    "EPERM",
  );
  t.is(ns.setattr(ino, { size: 2 }, stranger).mode, 0o100666);
  ns.setattr(ino, { mode: 0o2666 });
  t.is(ns.setattr(ino, { killPrivileges: true }, stranger).mode, 0o100666);
});
