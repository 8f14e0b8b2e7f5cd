import { equal, fails, suite } from "../case.ts";
import { AT, O } from "../libc/constants.ts";
import { sys } from "../libc/sys.ts";
import { alice, bob, contentOf, file, moved, nobody, opened, ownedFile } from "../steps.ts";

const cases = suite("link");
export const linkCases = cases.all;

cases.add("gives a second name to the same inode", (p) => {
  file(p.path("a"), "abc");
  sys.link(p.path("a"), p.path("b"));
  const [a, b] = [sys.stat(p.path("a")), sys.stat(p.path("b"))];
  equal(a.ino, b.ino);
  equal([a.nlink, b.nlink], [2, 2]);
});

cases.add("shows the same content, mode, owner and xattrs under both names", (p) => {
  file(p.path("a"), "abc");
  sys.link(p.path("a"), p.path("b"));
  opened(p.path("b"), O.WRONLY | O.APPEND, (fd) => sys.write(fd, "def"));
  sys.chmod(p.path("a"), 0o604);
  sys.chown(p.path("b"), 3, 4);
  sys.setxattr(p.path("a"), "user.x", "v");
  equal(contentOf(p.path("a")), "abcdef");
  const { mode, uid, gid } = sys.stat(p.path("a"));
  equal([mode & 0o7777, uid, gid], [0o604, 3, 4]);
  equal(sys.stat(p.path("b")).mode & 0o7777, 0o604);
  equal(sys.getxattr(p.path("b"), "user.x").toString(), "v");
});

for (const count of [3, 10, 200]) {
  cases.add(`${String(count)} times shows as many links`, (p) => {
    file(p.path("0"));
    for (let i = 1; i < count; i++) sys.link(p.path("0"), p.path(String(i)));
    equal(sys.stat(p.path("0")).nlink, count);
    for (let i = 1; i < count; i++) sys.unlink(p.path(String(i)));
    equal(sys.stat(p.path("0")).nlink, 1);
  });
}

cases.add("outlives the first name", (p) => {
  file(p.path("a"), "abc");
  sys.link(p.path("a"), p.path("b"));
  sys.unlink(p.path("a"));
  equal(contentOf(p.path("b")), "abc");
  equal(sys.stat(p.path("b")).nlink, 1);
});

cases.add("moves the inode's ctime, not its mtime", (p) => {
  file(p.path("a"));
  equal(
    moved(p.path("a"), () => sys.link(p.path("a"), p.path("b"))),
    "ctime",
  );
});

cases.add("moves mtime and ctime of the directory", (p) => {
  file(p.path("a"));
  equal(
    moved(p.dir, () => sys.link(p.path("a"), p.path("b"))),
    "mtime ctime",
  );
});

cases.add("of a directory is EPERM", (p) => {
  sys.mkdir(p.path("d"));
  fails("EPERM", sys.link, p.path("d"), p.path("e"));
});

for (const kind of ["file", "directory", "symlink"]) {
  cases.add(`where a ${kind} is, is EEXIST`, (p) => {
    file(p.path("a"));
    if (kind === "file") file(p.path("b"));
    else if (kind === "directory") sys.mkdir(p.path("b"));
    else sys.symlink("absent", p.path("b"));
    fails("EEXIST", sys.link, p.path("a"), p.path("b"));
  });
}

cases.add("to the same name is EEXIST", (p) => {
  file(p.path("a"));
  fails("EEXIST", sys.link, p.path("a"), p.path("a"));
});

cases.add("of a symlink links the symlink itself", (p) => {
  file(p.path("a"), "abc");
  sys.symlink("a", p.path("l"));
  sys.link(p.path("l"), p.path("m"));
  equal(sys.readlink(p.path("m")).toString(), "a");
  equal(sys.lstat(p.path("m")).nlink, 2);
  equal(sys.lstat(p.path("m")).ino, sys.lstat(p.path("l")).ino);
});

cases.add("of a dangling symlink links the symlink itself", (p) => {
  sys.symlink("absent", p.path("l"));
  sys.link(p.path("l"), p.path("m"));
  equal(sys.readlink(p.path("m")).toString(), "absent");
});

cases.add("with AT_SYMLINK_FOLLOW links the target", (p) => {
  file(p.path("a"), "abc");
  sys.symlink("a", p.path("l"));
  sys.linkat(AT.FDCWD, p.path("l"), AT.FDCWD, p.path("b"), AT.SYMLINK_FOLLOW);
  equal(sys.lstat(p.path("b")).ino, sys.stat(p.path("a")).ino);
});

cases.add("of a fifo and of a device work", (p) => {
  sys.mkfifo(p.path("f"));
  sys.mknod(p.path("c"), 0o020600, 0x103);
  sys.link(p.path("f"), p.path("f2"));
  sys.link(p.path("c"), p.path("c2"));
  equal(sys.lstat(p.path("f2")).nlink, 2);
  equal(sys.lstat(p.path("c2")).rdevMinor, 3);
});

cases.add("across directories works, and unlinking one leaves the other", (p) => {
  sys.mkdir(p.path("d"));
  sys.mkdir(p.path("e"));
  file(p.path("d/a"), "abc");
  sys.link(p.path("d/a"), p.path("e/b"));
  sys.unlink(p.path("d/a"));
  sys.rmdir(p.path("d"));
  equal(contentOf(p.path("e/b")), "abc");
});

cases.add("into a directory without write permission is EACCES", (p) => {
  ownedFile(p.path("a"), nobody.uid);
  sys.mkdir(p.path("d"), 0o755);
  fails("EACCES", () => sys.as(nobody, () => sys.link(p.path("a"), p.path("d/b"))));
});

cases.add("to another filesystem is EXDEV", (p) => {
  file(p.path("a"));
  fails("EXDEV", sys.link, p.path("a"), `/dev/shm/conformance-${String(process.pid)}`);
});

cases.add("from another filesystem is EXDEV", (p) => {
  fails("EXDEV", sys.link, "/proc/self/status", p.path("b"));
});

cases.add("of an open file without a name, by /proc/self/fd, is ENOENT", (p) => {
  file(p.path("a"));
  opened(p.path("a"), O.RDONLY, (fd) => {
    sys.unlink(p.path("a"));
    fails("ENOENT", () =>
      sys.linkat(AT.FDCWD, `/proc/self/fd/${String(fd)}`, AT.FDCWD, p.path("b"), AT.SYMLINK_FOLLOW),
    );
  });
});

cases.add("of an open file by /proc/self/fd after its rename works", (p) => {
  file(p.path("a"), "abc");
  opened(p.path("a"), O.RDONLY, (fd) => {
    sys.rename(p.path("a"), p.path("c"));
    sys.linkat(AT.FDCWD, `/proc/self/fd/${String(fd)}`, AT.FDCWD, p.path("b"), AT.SYMLINK_FOLLOW);
  });
  equal(contentOf(p.path("b")), "abc");
  equal(sys.stat(p.path("c")).nlink, 2);
});

cases.add("into a removed directory is ENOENT", (p) => {
  file(p.path("a"));
  sys.mkdir(p.path("d"));
  opened(p.path("d"), O.DIRECTORY, (dir) => {
    sys.rmdir(p.path("d"));
    fails("ENOENT", sys.linkat, AT.FDCWD, p.path("a"), dir, "b", 0);
  });
});

cases.add("with a trailing slash is ENOENT or ENOTDIR", (p) => {
  file(p.path("a"));
  fails(["ENOENT", "ENOTDIR"], sys.link, p.path("a"), `${p.dir}/b/`);
  fails("ENOTDIR", sys.link, `${p.path("a")}/`, p.path("b"));
});

cases.add("of a setgid or foreign unreadable file follows protected_hardlinks or succeeds", (p) => {
  ownedFile(p.path("a"), alice.uid, 0o600);
  let linked = true;
  try {
    sys.as(bob, () => sys.link(p.path("a"), p.path("b")));
  } catch {
    linked = false;
  }
  equal(sys.stat(p.path("a")).nlink, linked ? 2 : 1);
});
