import test from "ava";
import type { Ino } from "../../../src/base/ids.ts";
import { violations } from "./invariants.ts";
import { alice, errnoOf, Namespace, root, rootIno } from "./support.ts";

interface Tree {
  readonly ns: Namespace;
  readonly a: Ino;
  readonly b: Ino;
  readonly inner: Ino;
  readonly file: Ino;
}

/** /a/inner/, /a/f, /b/, /b/g */
function tree(): Tree {
  const ns = new Namespace();
  const [a, b] = [ns.mkdir(rootIno, "a"), ns.mkdir(rootIno, "b")];
  const inner = ns.mkdir(a, "inner");
  const file = ns.create(a, "f");
  ns.create(b, "g");
  return { ns, a, b, inner, file };
}

test("rename moves a name and sets the times of all that changed", (t) => {
  const { ns, a, b, file } = tree();
  const before = [ns.stat(a), ns.stat(b), ns.stat(file)] as const;
  const reply = ns.rename([a, "f"], [b, "h"]);
  t.is(reply.attributes.ino, file);
  t.is(reply.replaced, null);
  t.is(ns.lookup(a, "f"), null);
  t.is(ns.lookup(b, "h")?.ino, file);
  t.true(ns.stat(a).mtime > before[0].mtime && ns.stat(b).ctime > before[1].ctime);
  t.true(ns.stat(file).ctime > before[2].ctime);
  t.is(ns.stat(file).mtime, before[2].mtime);
  t.deepEqual(violations(ns.store), []);
});

test("rename of a directory moves its .. and the counts of both parents", (t) => {
  const { ns, a, b, inner } = tree();
  ns.rename([a, "inner"], [b, "moved"]);
  t.is(ns.stat(a).nlink, 2);
  t.is(ns.stat(b).nlink, 3);
  t.is(ns.call("lookup", { parent: inner, name: ".." }).attributes?.ino, b);
  ns.rename([b, "moved"], [b, "renamed"]);
  t.is(ns.stat(b).nlink, 3);
  t.deepEqual(violations(ns.store), []);
});

test("rename replaces a file or an empty directory", (t) => {
  const { ns, a, b } = tree();
  const target = ns.lookup(b, "g")?.ino as Ino;
  const replaced = ns.rename([a, "f"], [b, "g"], { keep: true }).replaced;
  t.like(replaced, { ino: target, nlink: 0 });
  ns.mkdir(b, "empty");
  t.is(ns.rename([a, "inner"], [b, "empty"]).replaced, null);
  t.is(ns.stat(b).nlink, 3);
  ns.call("releaseOrphans", { inos: [target] });
  t.deepEqual(violations(ns.store), []);
});

test("rename over another name of the same inode, or onto itself, does nothing", (t) => {
  const { ns, a, b, file } = tree();
  ns.link(file, b, "same");
  const before = ns.stat(file);
  t.is(ns.rename([a, "f"], [b, "same"]).attributes.nlink, 2);
  t.is(ns.rename([a, "f"], [a, "f"]).attributes.ino, file);
  t.is(ns.rename([a, "inner"], [a, "inner"], { flags: 2 }).replaced, null);
  t.deepEqual(ns.stat(file), before);
  t.is(ns.lookup(a, "f")?.ino, file);
});

test("rename is refused as the kernel refuses it", (t) => {
  const { ns, a, b, inner } = tree();
  const errno = (from: readonly [Ino, string], to: readonly [Ino, string], flags = 0, caller = root): string =>
    errnoOf(() => ns.rename(from, to, { flags, caller }));
  t.is(errno([a, "none"], [b, "x"]), "ENOENT");
  t.is(errno([a, "inner"], [b, "g"]), "ENOTDIR");
  t.is(errno([a, "f"], [a, "inner"]), "EISDIR");
  t.is(errno([rootIno, "b"], [rootIno, "a"]), "ENOTEMPTY");
  t.is(errno([rootIno, "a"], [inner, "x"]), "EINVAL");
  t.is(errno([rootIno, "a"], [a, "x"]), "EINVAL");
  t.is(errno([a, "f"], [rootIno, "a"]), "ENOTEMPTY");
  t.is(errno([a, "f"], [rootIno, "a"], 2), "EINVAL");
  t.is(errno([a, "f"], [b, "g"], 1), "EEXIST");
  t.is(errno([a, "f"], [b, "x"], 2), "ENOENT");
  t.is(errno([a, "f"], [b, "g"], 3), "EINVAL");
  t.is(errno([a, "f"], [b, "g"], 8), "EINVAL");
  t.is(errno([a, "f"], [b, "x"], 0, alice), "EACCES");
  t.is(errno([a, "f"], [ns.stat(ns.create(rootIno, "z")).ino, "x"]), "ENOTDIR");
  const gone = ns.mkdir(rootIno, "gone");
  ns.rmdir(rootIno, "gone", root, true);
  t.is(errno([a, "f"], [gone, "x"]), "ENOENT");
  ns.call("releaseOrphans", { inos: [gone] });
  t.deepEqual(violations(ns.store), []);
});

test("a directory that gets another parent must be writable itself", (t) => {
  const { ns, a, b, inner } = tree();
  ns.setattr(a, { mode: 0o777 });
  ns.setattr(b, { mode: 0o777 });
  t.is(
    errnoOf(() => ns.rename([a, "inner"], [b, "x"], { caller: alice })),
    "EACCES",
  );
  t.is(
    errnoOf(() => ns.rename([a, "inner"], [a, "x"], { caller: alice })),
    "none",
  );
  ns.setattr(inner, { mode: 0o777 });
  t.is(
    errnoOf(() => ns.rename([a, "x"], [b, "x"], { caller: alice })),
    "none",
  );
});

test("exchange swaps two names of any kind", (t) => {
  const { ns, a, b, inner } = tree();
  const target = ns.lookup(b, "g")?.ino as Ino;
  const reply = ns.rename([a, "inner"], [b, "g"], { flags: 2 });
  t.is(reply.replaced?.ino, target);
  t.is(ns.lookup(a, "inner")?.ino, target);
  t.is(ns.lookup(b, "g")?.ino, inner);
  t.is(ns.stat(a).nlink, 2);
  t.is(ns.stat(b).nlink, 3);
  t.deepEqual(violations(ns.store), []);
});

test("whiteout leaves a character device 0, 0, also by a user without privileges", (t) => {
  const { ns, a, b } = tree();
  ns.rename([a, "f"], [b, "h"], { flags: 4 });
  t.like(ns.lookup(a, "f"), { mode: 0o20000, rdev: 0, nlink: 1 });
  ns.setattr(b, { mode: 0o777 });
  ns.rename([b, "h"], [b, "i"], { flags: 4, caller: alice });
  t.like(ns.lookup(b, "h"), { mode: 0o20000, rdev: 0, uid: alice.uid, gid: alice.gid });
  t.deepEqual(violations(ns.store), []);
});
