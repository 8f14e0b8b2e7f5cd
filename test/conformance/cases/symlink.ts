import { equal, fails, suite } from "../case.ts";
import { O } from "../libc/constants.ts";
import { sys } from "../libc/sys.ts";
import { alice, contentOf, file, moved, namesIn, nobody, touchOpen } from "../steps.ts";

const cases = suite("symlink");
export const symlinkCases = cases.all;

for (const [what, target] of [
  ["a relative path", Buffer.from("a/b/../c")],
  ["an absolute path", Buffer.from("/etc/passwd")],
  ["one byte", Buffer.from("x")],
  ["spaces and newlines", Buffer.from(" a\nb\t ")],
  ["bytes that are not UTF-8", Buffer.from([0xff, 0x80, 0x2f, 0xc0, 1])],
  ["255 bytes", Buffer.alloc(255, "a")],
  ["1000 bytes", Buffer.alloc(1000, "a/")],
  ["4095 bytes", Buffer.alloc(4095, "ab/")],
] as const) {
  cases.add(`keeps a target of ${what}`, (p) => {
    sys.symlink(target, p.path("l"));
    equal(sys.readlink(p.path("l")).toString("hex"), target.toString("hex"));
    equal(sys.lstat(p.path("l")).size, BigInt(target.length));
  });
}

cases.add("with a target of 4096 bytes is ENAMETOOLONG", (p) => {
  fails("ENAMETOOLONG", sys.symlink, "a".repeat(4096), p.path("l"));
});

cases.add("with an empty target is ENOENT", (p) => {
  fails("ENOENT", sys.symlink, "", p.path("l"));
});

cases.add("has mode 777 whatever the umask, one link, and the caller as owner", (p) => {
  sys.umask(0o077);
  sys.as(alice, () => sys.symlink("a", p.path("l")));
  const { mode, nlink, uid, gid } = sys.lstat(p.path("l"));
  equal([mode, nlink, uid, gid], [0o120777, 1, 1001, 1001]);
});

for (const kind of ["file", "directory", "symlink"]) {
  cases.add(`where a ${kind} is, is EEXIST`, (p) => {
    if (kind === "file") file(p.path("a"));
    else if (kind === "directory") sys.mkdir(p.path("a"));
    else sys.symlink("x", p.path("a"));
    fails("EEXIST", sys.symlink, "target", p.path("a"));
  });
}

cases.add("moves mtime and ctime of the directory", (p) => {
  equal(
    moved(p.dir, () => sys.symlink("a", p.path("l"))),
    "mtime ctime",
  );
});

cases.add("in a directory without write permission is EACCES", (p) => {
  sys.mkdir(p.path("d"), 0o755);
  fails("EACCES", () => sys.as(nobody, () => sys.symlink("a", p.path("d/l"))));
});

cases.add("readlink gives as many bytes as asked for", (p) => {
  sys.symlink("abcdef", p.path("l"));
  equal(sys.readlink(p.path("l"), 3).toString(), "abc");
});

cases.add("readlink with a size of 0 is EINVAL", (p) => {
  sys.symlink("abcdef", p.path("l"));
  fails("EINVAL", sys.readlink, p.path("l"), 0);
});

for (const kind of ["file", "directory", "fifo"]) {
  cases.add(`readlink of a ${kind} is EINVAL`, (p) => {
    if (kind === "file") file(p.path("a"));
    else if (kind === "directory") sys.mkdir(p.path("a"));
    else sys.mkfifo(p.path("a"));
    fails("EINVAL", sys.readlink, p.path("a"));
  });
}

cases.add("readlink needs no permission on the symlink", (p) => {
  sys.symlink("target", p.path("l"));
  sys.as(nobody, () => equal(sys.readlink(p.path("l")).toString(), "target"));
});

cases.add("is relative to its own directory", (p) => {
  sys.mkdir(p.path("d"));
  file(p.path("d/a"), "inner");
  file(p.path("a"), "outer");
  sys.symlink("a", p.path("d/l"));
  sys.symlink("../a", p.path("d/up"));
  equal(contentOf(p.path("d/l")), "inner");
  equal(contentOf(p.path("d/up")), "outer");
});

cases.add("to a directory is followed on the way and with a trailing slash", (p) => {
  sys.mkdir(p.path("d"));
  file(p.path("d/a"), "x");
  sys.symlink("d", p.path("l"));
  equal(contentOf(p.path("l/a")), "x");
  equal(sys.lstat(`${p.path("l")}/`).mode & 0o170000, 0o040000);
  equal(namesIn(p.path("l")), ["a"]);
});

for (const depth of [1, 10, 40]) {
  cases.add(`a chain of ${String(depth)} is followed`, (p) => {
    file(p.path("0"), "end");
    for (let i = 1; i <= depth; i++) sys.symlink(String(i - 1), p.path(String(i)));
    equal(contentOf(p.path(String(depth))), "end");
  });
}

cases.add("a chain of 41 is ELOOP", (p) => {
  file(p.path("0"), "end");
  for (let i = 1; i <= 41; i++) sys.symlink(String(i - 1), p.path(String(i)));
  fails("ELOOP", touchOpen, p.path("41"), O.RDONLY);
  fails("ELOOP", sys.stat, p.path("41"));
});

cases.add("two that point at each other are ELOOP", (p) => {
  sys.symlink("b", p.path("a"));
  sys.symlink("a", p.path("b"));
  fails("ELOOP", sys.stat, p.path("a"));
  equal(sys.readlink(p.path("a")).toString(), "b");
});

cases.add("a replaced symlink shows its new target at once", (p) => {
  for (let i = 0; i < 20; i++) {
    sys.symlink(`target-${String(i)}`, p.path("new"));
    sys.rename(p.path("new"), p.path("l"));
    equal(sys.readlink(p.path("l")).toString(), `target-${String(i)}`);
  }
});

cases.add("an unlinked and remade symlink shows its new target", (p) => {
  sys.symlink("one", p.path("l"));
  equal(sys.readlink(p.path("l")).toString(), "one");
  sys.unlink(p.path("l"));
  sys.symlink("other", p.path("l"));
  equal(sys.readlink(p.path("l")).toString(), "other");
});

cases.add("chmod follows it, lchown does not", (p) => {
  file(p.path("a"));
  sys.symlink("a", p.path("l"));
  sys.chmod(p.path("l"), 0o611);
  sys.lchown(p.path("l"), 7, 8);
  equal(sys.stat(p.path("a")).mode & 0o7777, 0o611);
  equal(sys.stat(p.path("a")).uid, 0);
  equal(sys.lstat(p.path("l")).uid, 7);
  equal(sys.lstat(p.path("l")).gid, 8);
});

cases.add("open with O_CREAT through one into another directory makes the file there", (p) => {
  sys.mkdir(p.path("d"));
  sys.symlink("d/new", p.path("l"));
  file(p.path("l"), "x");
  equal(namesIn(p.path("d")), ["new"]);
});

cases.add("user xattrs on a symlink are EPERM", (p) => {
  sys.symlink("a", p.path("l"));
  fails("EPERM", sys.lsetxattr, p.path("l"), "user.a", "x");
});

cases.add("trusted xattrs on a symlink work", (p) => {
  sys.symlink("absent", p.path("l"));
  sys.lsetxattr(p.path("l"), "trusted.a", "x");
  equal(sys.lgetxattr(p.path("l"), "trusted.a").toString(), "x");
  equal(sys.llistxattr(p.path("l")), ["trusted.a"]);
  sys.lremovexattr(p.path("l"), "trusted.a");
  fails("ENODATA", sys.lgetxattr, p.path("l"), "trusted.a");
});
