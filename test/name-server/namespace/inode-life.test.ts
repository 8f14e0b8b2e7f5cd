import test from "ava";
import type { Ino } from "../../../src/base/ids.ts";
import { keys } from "../../../src/metadata-store/keys.ts";
import { encodeInode, decodeInode } from "../../../src/metadata-store/records.ts";
import { violations } from "./invariants.ts";
import { alice, bob, errnoOf, Namespace, otherSession, root, rootIno } from "./support.ts";

test("hard links share an inode; directories have none; there is a limit", (t) => {
  const ns = new Namespace();
  const directory = ns.mkdir(rootIno, "d");
  const file = ns.create(rootIno, "f");
  const before = ns.stat(file);
  t.is(ns.link(file, directory, "g").nlink, 2);
  t.true(ns.stat(file).ctime > before.ctime);
  t.is(ns.stat(file).mtime, before.mtime);
  t.is(ns.unlink(rootIno, "f")?.nlink, 1);
  t.is(ns.lookup(directory, "g")?.nlink, 1);
  t.is(
    errnoOf(() => ns.link(directory, rootIno, "x")),
    "EPERM",
  );
  t.is(
    errnoOf(() => ns.link(file, directory, "g")),
    "EEXIST",
  );
  t.is(
    errnoOf(() => ns.link(file, rootIno, "x", alice)),
    "EACCES",
  );
  t.is(
    errnoOf(() => ns.link(404 as Ino, rootIno, "x")),
    "ESTALE",
  );
  const record = decodeInode(ns.store.get(keys.inode(file)) as Buffer);
  ns.store.apply([[keys.inode(file), encodeInode({ ...record, nlink: 65_000 })]]);
  t.is(
    errnoOf(() => ns.link(file, rootIno, "x")),
    "EMLINK",
  );
});

test("a file of O_TMPFILE is kept for its session and can be given a name once", (t) => {
  const ns = new Namespace();
  const make = (): Ino =>
    ns.call("tmpfile", { caller: root, parent: rootIno, mode: 0o4640, umask: 0o022 }).attributes.ino;
  const before = ns.stat(rootIno);
  const [linked, released] = [make(), make()];
  t.like(ns.stat(linked), { nlink: 0, mode: 0o104640 });
  t.deepEqual(ns.stat(rootIno), before);
  t.is(ns.link(linked, rootIno, "f").nlink, 1);
  ns.call("releaseOrphans", { inos: [linked, released] });
  t.is(ns.stat(linked).nlink, 1);
  t.is(
    errnoOf(() => ns.stat(released)),
    "ESTALE",
  );
  ns.unlink(rootIno, "f", root, true);
  t.is(
    errnoOf(() => ns.link(linked, rootIno, "again")),
    "ENOENT",
  );
  t.is(
    errnoOf(() => ns.call("tmpfile", { caller: alice, parent: rootIno, mode: 0o600, umask: 0 })),
    "EACCES",
  );
  t.deepEqual(violations(ns.store), []);
});

test("an unlinked file lives until every session that may use it has let go", (t) => {
  const ns = new Namespace();
  ns.others = [otherSession];
  const file = ns.create(rootIno, "f");
  ns.writeInline(file, 0, Buffer.from("content"));
  t.is(ns.unlink(rootIno, "f", root, true)?.nlink, 0);
  t.deepEqual(ns.orphaned, [file]);
  ns.call("releaseOrphans", { inos: [file] });
  t.is(ns.stat(file).size, 7);
  ns.call("releaseOrphans", { inos: [file] }, otherSession);
  t.is(
    errnoOf(() => ns.stat(file)),
    "ESTALE",
  );
  const alone = ns.create(rootIno, "alone");
  ns.others = [];
  t.is(ns.unlink(rootIno, "alone"), null);
  t.is(
    errnoOf(() => ns.stat(alone)),
    "ESTALE",
  );
  t.deepEqual(violations(ns.store), []);
});

test("inode numbers are never given twice, also after a restart or a dropped transaction", (t) => {
  const ns = new Namespace();
  const seen = new Set<Ino>([rootIno]);
  for (let i = 0; i < 5_000; i++) {
    const ino = ns.create(rootIno, `f${String(i)}`);
    t.false(seen.has(ino));
    seen.add(ino);
    if (i % 700 === 0) ns.restart();
    if (i % 500 === 0) {
      t.throws(() =>
        ns.run((context) => {
          for (let j = 0; j < 3_000; j++) seen.add(context.allocator.ino(context.transaction));
          throw new Error("dropped");
        }),
      );
    }
  }
});

test("statfs counts inodes", (t) => {
  const ns = new Namespace();
  ns.create(rootIno, "f");
  t.like(ns.call("statfs", {}), { files: 1_000_002, filesFree: 1_000_000, bytesFree: 2 ** 39 });
  ns.unlink(rootIno, "f");
  t.is(ns.call("statfs", {}).files, 1_000_001);
});

test("open asks the permission that open(2) asks", (t) => {
  const ns = new Namespace();
  const file = ns.create(rootIno, "f", root, 0o640);
  ns.setattr(file, { gid: 2000 });
  const open = (ino: Ino, caller: typeof alice, read: boolean, write: boolean): unknown =>
    ns.call("open", { caller, ino, read, write });
  t.is(
    errnoOf(() => open(file, root, true, true)),
    "none",
  );
  t.is(
    errnoOf(() => open(file, alice, true, false)),
    "none",
  );
  t.is(
    errnoOf(() => open(file, { uid: 1000, gid: 1000 }, true, false)),
    "EACCES",
  );
  t.is(
    errnoOf(() => open(file, alice, true, true)),
    "EACCES",
  );
  t.is(
    errnoOf(() => open(file, bob, true, false)),
    "EACCES",
  );
  t.is(
    errnoOf(() => open(rootIno, bob, true, false)),
    "none",
  );
  t.is(
    errnoOf(() => open(rootIno, root, false, true)),
    "EISDIR",
  );
  t.is(
    errnoOf(() => open(ns.symlink(rootIno, "s", "x"), root, true, false)),
    "ELOOP",
  );
});
