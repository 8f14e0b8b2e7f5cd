import { equal, fails, suite, type Place } from "../case.ts";
import { O } from "../libc/constants.ts";
import { sys } from "../libc/sys.ts";
import {
  alice,
  bob,
  contentOf,
  file,
  moved,
  namesIn,
  nobody,
  opened,
  ownedDirectory,
  ownedFile,
  touchOpen,
} from "../steps.ts";

const cases = suite("rename");
export const renameCases = cases.all;

type Kind =
  "absent" | "file" | "empty directory" | "full directory" | "symlink" | "dangling symlink" | "fifo" | "device";
const kinds: readonly Kind[] = [
  "file",
  "empty directory",
  "full directory",
  "symlink",
  "dangling symlink",
  "fifo",
  "device",
];

function make(kind: Kind, p: Place, name: string): void {
  const path = p.path(name);
  switch (kind) {
    case "absent":
      return;
    case "file":
      return file(path, name);
    case "empty directory":
      return sys.mkdir(path);
    case "full directory":
      sys.mkdir(path);
      return file(`${path}/inside`, name);
    case "symlink":
      return sys.symlink("/etc", path);
    case "dangling symlink":
      return sys.symlink("absent", path);
    case "fifo":
      return sys.mkfifo(path);
    case "device":
      return sys.mknod(path, 0o020600, 0x103);
  }
}

const isDirectory = (kind: Kind): boolean => kind.endsWith("directory");

for (const from of kinds) {
  cases.add(`moves a ${from} to an absent name with its inode`, (p) => {
    make(from, p, "a");
    const before = sys.lstat(p.path("a"));
    sys.rename(p.path("a"), p.path("b"));
    const after = sys.lstat(p.path("b"));
    equal([after.ino, after.mode, after.nlink], [before.ino, before.mode, before.nlink]);
    equal(namesIn(p.dir), ["b"]);
  });
  cases.add(`moves a ${from} into another directory`, (p) => {
    make(from, p, "a");
    sys.mkdir(p.path("d"));
    const { ino } = sys.lstat(p.path("a"));
    sys.rename(p.path("a"), p.path("d/b"));
    equal(sys.lstat(p.path("d/b")).ino, ino);
    fails("ENOENT", sys.lstat, p.path("a"));
  });
  for (const to of kinds) {
    const errno =
      isDirectory(from) && !isDirectory(to)
        ? "ENOTDIR"
        : !isDirectory(from) && isDirectory(to)
          ? "EISDIR"
          : to === "full directory"
            ? "ENOTEMPTY"
            : undefined;
    cases.add(`of a ${from} over a ${to} ${errno === undefined ? "replaces it" : `is ${errno}`}`, (p) => {
      make(from, p, "a");
      make(to, p, "b");
      const [a, b] = [sys.lstat(p.path("a")).ino, sys.lstat(p.path("b")).ino];
      if (errno === undefined) {
        sys.rename(p.path("a"), p.path("b"));
        equal(sys.lstat(p.path("b")).ino, a);
        equal(namesIn(p.dir), ["b"]);
      } else {
        fails(errno === "ENOTEMPTY" ? ["ENOTEMPTY", "EEXIST"] : errno, sys.rename, p.path("a"), p.path("b"));
        equal([sys.lstat(p.path("a")).ino, sys.lstat(p.path("b")).ino], [a, b]);
      }
    });
  }
  cases.add(`of a ${from} onto itself changes nothing`, (p) => {
    make(from, p, "a");
    const { ino, ctime } = sys.lstat(p.path("a"));
    sys.rename(p.path("a"), p.path("a"));
    equal([sys.lstat(p.path("a")).ino, sys.lstat(p.path("a")).ctime], [ino, ctime]);
  });
}

cases.add("of one hard link over another of the same inode changes nothing", (p) => {
  file(p.path("a"), "abc");
  sys.link(p.path("a"), p.path("b"));
  equal(
    moved(p.path("a"), () => sys.rename(p.path("a"), p.path("b"))),
    "",
  );
  equal(namesIn(p.dir), ["a", "b"]);
  equal(sys.stat(p.path("a")).nlink, 2);
});

for (const below of ["d", "d/e", "d/e/f"]) {
  cases.add(`of a directory into ${below === "d" ? "itself" : `its descendant ${below}`} is EINVAL`, (p) => {
    for (const name of ["d", "d/e", "d/e/f"]) sys.mkdir(p.path(name));
    fails("EINVAL", sys.rename, p.path("d"), p.path(`${below}/new`));
  });
}

cases.add("of a directory over its own parent is ENOTEMPTY", (p) => {
  for (const name of ["d", "d/e"]) sys.mkdir(p.path(name));
  fails(["ENOTEMPTY", "EEXIST"], sys.rename, p.path("d/e"), p.path("d"));
});

for (const name of [".", "..", "d/.", "d/.."]) {
  cases.add(`of or to ${name} is EBUSY or EINVAL`, (p) => {
    sys.mkdir(p.path("d"));
    sys.mkdir(p.path("e"));
    sys.chdir(p.path("e"));
    fails(["EBUSY", "EINVAL"], sys.rename, `${p.dir}/${name}`, p.path("new"));
    fails(["EBUSY", "EINVAL", "ENOTEMPTY", "EEXIST"], sys.rename, p.path("e"), `${p.dir}/${name}`);
  });
}

cases.add("moves mtime and ctime of both directories, and the ctime of the file", (p) => {
  sys.mkdir(p.path("d"));
  file(p.path("a"));
  const fd = sys.open(p.path("a"), O.RDONLY);
  const watched = [() => sys.stat(p.dir), () => sys.stat(p.path("d")), () => sys.fstat(fd)];
  const names = [p.path("a"), p.path("d/b")];
  const results = watched.map((look) => {
    const [from = "", to = ""] = names;
    names.reverse();
    return moved(look, () => sys.rename(from, to));
  });
  equal(results, ["mtime ctime", "mtime ctime", "ctime"]);
  sys.close(fd);
});

cases.add("over a file moves the ctime of what was replaced, if it has other links", (p) => {
  file(p.path("a"));
  file(p.path("b"));
  sys.link(p.path("b"), p.path("other"));
  equal(
    moved(p.path("other"), () => sys.rename(p.path("a"), p.path("b"))),
    "ctime",
  );
  equal(sys.stat(p.path("other")).nlink, 1);
});

cases.add("over an open file leaves that file to its descriptor", (p) => {
  file(p.path("a"), "new");
  file(p.path("b"), "old");
  opened(p.path("b"), O.RDWR, (fd) => {
    sys.rename(p.path("a"), p.path("b"));
    equal(sys.pread(fd, 9, 0).toString(), "old");
    equal(sys.fstat(fd).nlink, 0);
    sys.pwrite(fd, "OLD", 0);
    equal(contentOf(p.path("b")), "new");
  });
});

cases.add("of an open file leaves its descriptors usable", (p) => {
  file(p.path("a"), "abc");
  opened(p.path("a"), O.RDWR, (fd) => {
    sys.rename(p.path("a"), p.path("b"));
    sys.pwrite(fd, "X", 1);
  });
  equal(contentOf(p.path("b")), "aXc");
});

cases.add("of a directory keeps everything below it, also for the process that is in it", (p) => {
  sys.mkdir(p.path("d"));
  sys.mkdir(p.path("d/e"));
  file(p.path("d/e/a"), "abc");
  sys.chdir(p.path("d/e"));
  sys.rename(p.path("d"), p.path("moved"));
  equal(contentOf("a"), "abc");
  equal(process.cwd(), p.path("moved/e"));
  equal(contentOf(p.path("moved/e/a")), "abc");
  fails("ENOENT", sys.stat, p.path("d/e/a"));
});

cases.add("of a directory into another changes the link counts of both and its '..'", (p) => {
  sys.mkdir(p.path("one"));
  sys.mkdir(p.path("two"));
  sys.mkdir(p.path("one/d"));
  sys.rename(p.path("one/d"), p.path("two/d"));
  equal([sys.stat(p.path("one")).nlink, sys.stat(p.path("two")).nlink], [2, 3]);
  equal(sys.stat(p.path("two/d/..")).ino, sys.stat(p.path("two")).ino);
});

cases.add("of a directory over an empty one in the same directory lowers its link count", (p) => {
  sys.mkdir(p.path("one"));
  sys.mkdir(p.path("two"));
  equal(sys.stat(p.dir).nlink, 4);
  sys.rename(p.path("one"), p.path("two"));
  equal(sys.stat(p.dir).nlink, 3);
});

cases.add("with trailing slashes works for directories and is ENOTDIR for files", (p) => {
  sys.mkdir(p.path("d"));
  file(p.path("a"));
  sys.rename(`${p.path("d")}/`, `${p.path("e")}/`);
  equal(namesIn(p.dir), ["a", "e"]);
  fails("ENOTDIR", sys.rename, `${p.path("a")}/`, p.path("b"));
  fails("ENOTDIR", sys.rename, p.path("a"), `${p.path("b")}/`);
});

cases.add("to another filesystem is EXDEV", (p) => {
  file(p.path("a"));
  fails("EXDEV", sys.rename, p.path("a"), `/dev/shm/conformance-${String(process.pid)}`);
  fails("EXDEV", sys.rename, "/proc/self/status", p.path("b"));
});

cases.add("from or to a directory without write permission is EACCES", (p) => {
  ownedDirectory(p.path("mine"), alice.uid);
  ownedDirectory(p.path("theirs"), bob.uid);
  ownedFile(p.path("mine/a"), alice.uid);
  ownedFile(p.path("theirs/b"), alice.uid);
  sys.as(alice, () => {
    fails("EACCES", sys.rename, p.path("mine/a"), p.path("theirs/a"));
    fails("EACCES", sys.rename, p.path("theirs/b"), p.path("mine/b"));
  });
});

cases.add("of a directory that the caller may not write is EACCES, if its parent changes", (p) => {
  sys.mkdir(p.path("d"), 0o755);
  ownedDirectory(p.path("one"), nobody.uid);
  ownedDirectory(p.path("two"), nobody.uid);
  ownedDirectory(p.path("one/d"), 0, 0o755);
  sys.as(nobody, () => {
    fails("EACCES", sys.rename, p.path("one/d"), p.path("two/d"));
    sys.rename(p.path("one/d"), p.path("one/e"));
  });
});

cases.add("shows the new name at once a hundred times", (p) => {
  file(p.path("0"), "abc");
  for (let i = 0; i < 100; i++) {
    sys.rename(p.path(String(i)), p.path(String(i + 1)));
    fails("ENOENT", sys.stat, p.path(String(i)));
    equal(sys.stat(p.path(String(i + 1))).size, 3n);
  }
});

cases.add("over a name that was looked up absent makes it present", (p) => {
  fails("ENOENT", sys.stat, p.path("b"));
  file(p.path("a"), "x");
  sys.rename(p.path("a"), p.path("b"));
  equal(contentOf(p.path("b")), "x");
  touchOpen(p.path("a"), O.CREAT | O.EXCL | O.WRONLY);
});

cases.add("carries unsynced content over another file", (p) => {
  file(p.path("old"), "old content");
  opened(p.path("new"), O.CREAT | O.WRONLY, (fd) => {
    sys.write(fd, "new content");
    sys.rename(p.path("new"), p.path("old"));
    sys.write(fd, ", continued");
  });
  equal(contentOf(p.path("old")), "new content, continued");
});
