/** mkdir and rmdir. */
import { equal, fails, suite } from "../case.ts";
import { AT, O } from "../libc/constants.ts";
import { sys } from "../libc/sys.ts";
import { alice, bob, file, modeOf, moved, namesIn, nobody, opened, ownedDirectory } from "../steps.ts";

const cases = suite("directories");
export const directoryCases = cases.all;

for (const mode of [0o000, 0o111, 0o700, 0o755, 0o777, 0o1777, 0o2777, 0o4777, 0o7777]) {
  cases.add(`mkdir with mode ${mode.toString(8)} applies the umask and keeps no setuid or setgid`, (p) => {
    sys.umask(0o027);
    sys.mkdir(p.path("d"), mode);
    equal(modeOf(p.path("d")), mode & 0o1777 & ~0o027);
  });
}

cases.add("mkdir makes an empty directory with two links, owned by the caller", (p) => {
  sys.as({ uid: 1001, gid: 1007 }, () => sys.mkdir(p.path("d")));
  const { nlink, uid, gid, mode } = sys.stat(p.path("d"));
  equal([nlink, uid, gid, mode & 0o170000], [2, 1001, 1007, 0o040000]);
  equal(namesIn(p.path("d")), []);
});

cases.add("mkdir with trailing slashes works", (p) => {
  sys.mkdir(`${p.path("d")}///`);
  equal(namesIn(p.dir), ["d"]);
});

for (const kind of ["file", "directory", "symlink", "dangling symlink", "fifo"]) {
  cases.add(`mkdir where a ${kind} is, is EEXIST`, (p) => {
    if (kind === "file") file(p.path("a"));
    else if (kind === "directory") sys.mkdir(p.path("a"));
    else if (kind === "fifo") sys.mkfifo(p.path("a"));
    else sys.symlink(kind === "symlink" ? "/etc" : "absent", p.path("a"));
    fails("EEXIST", sys.mkdir, p.path("a"));
  });
}

for (const name of [".", "..", "/"]) {
  cases.add(`mkdir of ${name} is EEXIST`, (p) => {
    sys.chdir(p.dir);
    fails("EEXIST", sys.mkdir, name);
  });
}

cases.add("mkdir raises the parent's link count and moves its times", (p) => {
  equal(sys.stat(p.dir).nlink, 2);
  equal(
    moved(p.dir, () => sys.mkdir(p.path("d"))),
    "mtime ctime",
  );
  equal(sys.stat(p.dir).nlink, 3);
});

cases.add("a file or symlink does not raise the directory's link count", (p) => {
  file(p.path("a"));
  sys.symlink("a", p.path("l"));
  equal(sys.stat(p.dir).nlink, 2);
});

for (const count of [10, 300]) {
  cases.add(`${String(count)} subdirectories are as many links and two`, (p) => {
    for (let i = 0; i < count; i++) sys.mkdir(p.path(String(i)));
    equal(sys.stat(p.dir).nlink, count + 2);
    for (let i = 0; i < count; i++) sys.rmdir(p.path(String(i)));
    equal(sys.stat(p.dir).nlink, 2);
  });
}

cases.add("mkdir in a directory without write permission is EACCES", (p) => {
  sys.mkdir(p.path("d"), 0o755);
  fails("EACCES", () => sys.as(nobody, () => sys.mkdir(p.path("d/e"))));
});

cases.add("'.' and '..' are the directory and its parent", (p) => {
  sys.mkdir(p.path("d"));
  sys.mkdir(p.path("d/e"));
  equal(sys.stat(p.path("d") + "/.").ino, sys.stat(p.path("d")).ino);
  equal(sys.stat(p.path("d/e") + "/..").ino, sys.stat(p.path("d")).ino);
  equal(sys.stat(p.path("d/e") + "/../..").ino, sys.stat(p.dir).ino);
});

cases.add("200 directories deep works, and each is reached by '..'", (p) => {
  sys.chdir(p.dir);
  for (let i = 0; i < 200; i++) {
    sys.mkdir("deeper");
    sys.chdir("deeper");
  }
  file("bottom", "x");
  for (let i = 0; i < 200; i++) sys.chdir("..");
  equal(sys.stat(".").ino, sys.stat(p.dir).ino);
});

cases.add("rmdir removes an empty directory and lowers the parent's link count", (p) => {
  sys.mkdir(p.path("d"));
  equal(
    moved(p.dir, () => sys.rmdir(p.path("d"))),
    "mtime ctime",
  );
  equal(sys.stat(p.dir).nlink, 2);
  fails("ENOENT", sys.stat, p.path("d"));
});

for (const kind of ["file", "directory", "symlink", "hidden file"]) {
  cases.add(`rmdir of a directory with a ${kind} in it is ENOTEMPTY`, (p) => {
    sys.mkdir(p.path("d"));
    if (kind === "directory") sys.mkdir(p.path("d/a"));
    else if (kind === "symlink") sys.symlink("absent", p.path("d/a"));
    else file(p.path(kind === "file" ? "d/a" : "d/.a"));
    fails(["ENOTEMPTY", "EEXIST"], sys.rmdir, p.path("d"));
  });
}

for (const kind of ["file", "symlink to a directory", "fifo"]) {
  cases.add(`rmdir of a ${kind} is ENOTDIR`, (p) => {
    sys.mkdir(p.path("d"));
    if (kind === "file") file(p.path("a"));
    else if (kind === "fifo") sys.mkfifo(p.path("a"));
    else sys.symlink("d", p.path("a"));
    fails("ENOTDIR", sys.rmdir, p.path("a"));
  });
}

cases.add("rmdir of '.' is EINVAL and of '..' ENOTEMPTY", (p) => {
  sys.mkdir(p.path("d"));
  fails("EINVAL", sys.rmdir, p.path("d") + "/.");
  fails(["ENOTEMPTY", "EEXIST", "EINVAL"], sys.rmdir, p.path("d") + "/..");
});

cases.add("rmdir of the root is EBUSY", () => {
  fails("EBUSY", sys.rmdir, "/");
});

cases.add("rmdir in a directory without write permission is EACCES", (p) => {
  sys.mkdir(p.path("d"), 0o755);
  sys.mkdir(p.path("d/e"));
  fails("EACCES", () => sys.as(nobody, () => sys.rmdir(p.path("d/e"))));
});

cases.add("rmdir needs no permission on the directory itself", (p) => {
  ownedDirectory(p.path("d"), alice.uid, 0);
  sys.as(bob, () => sys.rmdir(p.path("d")));
  equal(namesIn(p.dir), []);
});

cases.add("unlinkat with AT_REMOVEDIR is rmdir", (p) => {
  sys.mkdir(p.path("d"));
  file(p.path("a"));
  opened(p.dir, O.DIRECTORY, (dir) => {
    fails("EISDIR", sys.unlinkat, dir, "d", 0);
    sys.unlinkat(dir, "d", AT.REMOVEDIR);
    fails("ENOTDIR", sys.unlinkat, dir, "a", AT.REMOVEDIR);
  });
  equal(namesIn(p.dir), ["a"]);
});

cases.add("a removed directory that is open has no links, and nothing can be made in it", (p) => {
  sys.mkdir(p.path("d"));
  sys.chdir(p.path("d"));
  opened(".", O.DIRECTORY, (fd) => {
    sys.rmdir(p.path("d"));
    equal(sys.fstat(fd).nlink, 0);
  });
  fails("ENOENT", sys.mkdir, "x");
  fails("ENOENT", sys.symlink, "x", "y");
  fails("ENOENT", sys.mkfifo, "x");
  fails("ENOENT", sys.open, "x", O.CREAT | O.WRONLY);
});

cases.add("a removed and remade directory is a new, empty one", (p) => {
  sys.mkdir(p.path("d"));
  file(p.path("d/a"));
  sys.unlink(p.path("d/a"));
  opened(p.path("d"), O.DIRECTORY, (fd) => {
    const { ino } = sys.fstat(fd);
    sys.rmdir(p.path("d"));
    sys.mkdir(p.path("d"));
    equal(sys.stat(p.path("d")).ino === ino, false);
  });
  fails("ENOENT", sys.stat, p.path("d/a"));
});
