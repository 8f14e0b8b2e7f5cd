/** renameat2: NOREPLACE, EXCHANGE, WHITEOUT. */
import { equal, fails, suite } from "../case.ts";
import { O, RENAME } from "../libc/constants.ts";
import { sys } from "../libc/sys.ts";
import { alice, bob, contentOf, file, moved, namesIn, nobody, opened, ownedDirectory, ownedFile } from "../steps.ts";

const cases = suite("renameat2");
export const renameFlagCases = cases.all;

for (const kind of ["file", "directory", "symlink", "fifo"]) {
  const make = (path: string): void => {
    if (kind === "file") file(path);
    else if (kind === "directory") sys.mkdir(path);
    else if (kind === "symlink") sys.symlink("absent", path);
    else sys.mkfifo(path);
  };
  cases.add(`NOREPLACE over a ${kind} is EEXIST`, (p) => {
    file(p.path("a"), "abc");
    make(p.path("b"));
    fails("EEXIST", sys.renameat2, p.path("a"), p.path("b"), RENAME.NOREPLACE);
    equal(contentOf(p.path("a")), "abc");
  });
  cases.add(`NOREPLACE moves a ${kind} to an absent name`, (p) => {
    make(p.path("a"));
    sys.renameat2(p.path("a"), p.path("b"), RENAME.NOREPLACE);
    equal(namesIn(p.dir), ["b"]);
  });
  for (const other of ["file", "empty directory", "full directory", "symlink"]) {
    cases.add(`EXCHANGE swaps a ${kind} and a ${other}`, (p) => {
      make(p.path("a"));
      if (other === "file") file(p.path("b"));
      else if (other === "symlink") sys.symlink("a", p.path("b"));
      else sys.mkdir(p.path("b"));
      if (other === "full directory") file(p.path("b/inside"));
      const [a, b] = [sys.lstat(p.path("a")), sys.lstat(p.path("b"))];
      sys.renameat2(p.path("a"), p.path("b"), RENAME.EXCHANGE);
      const [x, y] = [sys.lstat(p.path("a")), sys.lstat(p.path("b"))];
      equal([x.ino, x.nlink, y.ino, y.nlink], [b.ino, b.nlink, a.ino, a.nlink]);
    });
  }
}

cases.add("NOREPLACE onto itself is EEXIST", (p) => {
  file(p.path("a"));
  fails("EEXIST", sys.renameat2, p.path("a"), p.path("a"), RENAME.NOREPLACE);
});

cases.add("EXCHANGE with an absent name is ENOENT", (p) => {
  file(p.path("a"));
  fails("ENOENT", sys.renameat2, p.path("a"), p.path("b"), RENAME.EXCHANGE);
  fails("ENOENT", sys.renameat2, p.path("b"), p.path("a"), RENAME.EXCHANGE);
});

cases.add("EXCHANGE of a name with itself changes nothing", (p) => {
  file(p.path("a"), "abc");
  sys.renameat2(p.path("a"), p.path("a"), RENAME.EXCHANGE);
  equal(contentOf(p.path("a")), "abc");
});

cases.add("EXCHANGE across directories keeps link counts and '..' right", (p) => {
  sys.mkdir(p.path("one"));
  sys.mkdir(p.path("two"));
  sys.mkdir(p.path("one/d"));
  file(p.path("two/a"), "abc");
  sys.renameat2(p.path("one/d"), p.path("two/a"), RENAME.EXCHANGE);
  equal([sys.stat(p.path("one")).nlink, sys.stat(p.path("two")).nlink], [2, 3]);
  equal(contentOf(p.path("one/d")), "abc");
  equal(sys.stat(p.path("two/a/..")).ino, sys.stat(p.path("two")).ino);
});

cases.add("EXCHANGE of a directory with something below it is EINVAL", (p) => {
  sys.mkdir(p.path("d"));
  file(p.path("d/a"));
  fails("EINVAL", sys.renameat2, p.path("d"), p.path("d/a"), RENAME.EXCHANGE);
  fails("EINVAL", sys.renameat2, p.path("d/a"), p.path("d"), RENAME.EXCHANGE);
});

cases.add("EXCHANGE shows the contents swapped through open descriptors' names", (p) => {
  file(p.path("a"), "A");
  file(p.path("b"), "B");
  opened(p.path("a"), O.RDWR, (fd) => {
    sys.renameat2(p.path("a"), p.path("b"), RENAME.EXCHANGE);
    sys.pwrite(fd, "Z", 0);
  });
  equal([contentOf(p.path("a")), contentOf(p.path("b"))], ["B", "Z"]);
});

cases.add("EXCHANGE moves the ctime of both", (p) => {
  file(p.path("a"));
  file(p.path("b"));
  const fds = [sys.open(p.path("a"), O.RDONLY), sys.open(p.path("b"), O.RDONLY)];
  for (const fd of fds) {
    equal(
      moved(
        () => sys.fstat(fd),
        () => sys.renameat2(p.path("a"), p.path("b"), RENAME.EXCHANGE),
      ),
      "ctime",
    );
    sys.close(fd);
  }
});

cases.add("EXCHANGE needs write permission on both directories", (p) => {
  ownedDirectory(p.path("mine"), alice.uid);
  ownedDirectory(p.path("theirs"), bob.uid);
  ownedFile(p.path("mine/a"), alice.uid);
  ownedFile(p.path("theirs/b"), alice.uid);
  sys.as(alice, () => fails("EACCES", sys.renameat2, p.path("mine/a"), p.path("theirs/b"), RENAME.EXCHANGE));
});

cases.add("EXCHANGE in a sticky directory needs ownership of both", (p) => {
  ownedDirectory(p.path("d"), 0, 0o1777);
  ownedFile(p.path("d/a"), alice.uid);
  ownedFile(p.path("d/b"), bob.uid);
  ownedFile(p.path("d/c"), alice.uid);
  sys.as(alice, () => {
    fails("EPERM", sys.renameat2, p.path("d/a"), p.path("d/b"), RENAME.EXCHANGE);
    sys.renameat2(p.path("d/a"), p.path("d/c"), RENAME.EXCHANGE);
  });
});

cases.add("WHITEOUT leaves a character device 0,0 behind", (p) => {
  file(p.path("a"), "abc");
  sys.renameat2(p.path("a"), p.path("b"), RENAME.WHITEOUT);
  const left = sys.lstat(p.path("a"));
  equal([left.mode & 0o170000, left.rdevMajor, left.rdevMinor], [0o020000, 0, 0]);
  equal(contentOf(p.path("b")), "abc");
});

cases.add("WHITEOUT over another file replaces it", (p) => {
  file(p.path("a"), "abc");
  file(p.path("b"), "old");
  sys.renameat2(p.path("a"), p.path("b"), RENAME.WHITEOUT);
  equal(contentOf(p.path("b")), "abc");
  equal(sys.lstat(p.path("a")).mode & 0o170000, 0o020000);
});

cases.add("WHITEOUT with NOREPLACE refuses an existing name", (p) => {
  file(p.path("a"));
  file(p.path("b"));
  fails("EEXIST", sys.renameat2, p.path("a"), p.path("b"), RENAME.WHITEOUT | RENAME.NOREPLACE);
  sys.renameat2(p.path("a"), p.path("c"), RENAME.WHITEOUT | RENAME.NOREPLACE);
  equal(namesIn(p.dir), ["a", "b", "c"]);
});

for (const flags of [3, 6, 7, 8, 0x80000000]) {
  cases.add(`flags ${String(flags)} are EINVAL`, (p) => {
    file(p.path("a"));
    file(p.path("b"));
    fails("EINVAL", sys.renameat2, p.path("a"), p.path("b"), flags);
  });
}

cases.add("NOREPLACE in a directory without write permission is EACCES", (p) => {
  sys.mkdir(p.path("d"), 0o755);
  file(p.path("d/a"));
  fails("EACCES", () => sys.as(nobody, () => sys.renameat2(p.path("d/a"), p.path("d/b"), RENAME.NOREPLACE)));
});
