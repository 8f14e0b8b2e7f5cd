import { equal, fails, holds, suite } from "../case.ts";
import { O } from "../libc/constants.ts";
import { sys } from "../libc/sys.ts";
import { bob, alice, contentOf, file, modeOf, nobody, opened, ownedFile, pause, touchOpen } from "../steps.ts";

const cases = suite("open");
export const openCases = cases.all;

for (const mode of [0o000, 0o200, 0o400, 0o600, 0o644, 0o666, 0o755, 0o777, 0o1644, 0o2755, 0o4711, 0o7777]) {
  cases.add(`O_CREAT with mode ${mode.toString(8)} applies the umask`, (p) => {
    sys.umask(0o027);
    touchOpen(p.path("a"), O.CREAT | O.WRONLY, mode);
    equal(modeOf(p.path("a")), mode & ~0o027);
  });
}

cases.add("O_CREAT returns a writable file even if its mode allows no writing", (p) => {
  opened(p.path("a"), O.CREAT | O.RDWR, (fd) => sys.write(fd, "abc"), 0o000);
  equal(contentOf(p.path("a")), "abc");
});

cases.add("O_CREAT by a user returns a writable file even if its mode allows no writing", (p) => {
  sys.as(nobody, () => {
    opened(p.path("a"), O.CREAT | O.RDWR, (fd) => sys.write(fd, "abc"), 0o000);
    fails("EACCES", () => touchOpen(p.path("a"), O.RDONLY));
  });
  equal(contentOf(p.path("a")), "abc");
});

cases.add("O_CREAT of a file that is there opens it and leaves mode and content", (p) => {
  file(p.path("a"), "abc", 0o640);
  opened(p.path("a"), O.CREAT | O.RDWR, (fd) => equal(sys.read(fd, 9).toString(), "abc"), 0o777);
  equal(modeOf(p.path("a")), 0o640);
});

cases.add("O_CREAT makes the caller the owner", (p) => {
  sys.as({ uid: 1001, gid: 1007 }, () => touchOpen(p.path("a"), O.CREAT | O.WRONLY));
  const { uid, gid } = sys.stat(p.path("a"));
  equal([uid, gid], [1001, 1007]);
});

cases.add("O_CREAT follows a dangling symlink and makes its target", (p) => {
  sys.symlink("target", p.path("l"));
  opened(p.path("l"), O.CREAT | O.WRONLY, (fd) => sys.write(fd, "x"));
  equal(contentOf(p.path("target")), "x");
});

for (const kind of ["file", "directory", "symlink", "fifo"]) {
  cases.add(`O_CREAT|O_EXCL where a ${kind} is, is EEXIST`, (p) => {
    if (kind === "file") file(p.path("a"));
    else if (kind === "directory") sys.mkdir(p.path("a"));
    else if (kind === "symlink") sys.symlink("absent", p.path("a"));
    else sys.mkfifo(p.path("a"));
    fails("EEXIST", touchOpen, p.path("a"), O.CREAT | O.EXCL | O.RDWR);
  });
}

cases.add("O_CREAT where a directory is, is EISDIR", (p) => {
  sys.mkdir(p.path("d"));
  fails("EISDIR", touchOpen, p.path("d"), O.CREAT | O.RDONLY);
});

for (const [flag, name] of [
  [O.WRONLY, "O_WRONLY"],
  [O.RDWR, "O_RDWR"],
  [O.RDONLY | O.TRUNC, "O_TRUNC"],
] as const) {
  cases.add(`${name} of a directory is EISDIR`, (p) => {
    sys.mkdir(p.path("d"));
    fails("EISDIR", touchOpen, p.path("d"), flag);
  });
}

cases.add("O_TRUNC empties the file and keeps its mode and inode", (p) => {
  file(p.path("a"), "abcdef", 0o640);
  const before = sys.stat(p.path("a"));
  touchOpen(p.path("a"), O.WRONLY | O.TRUNC);
  const after = sys.stat(p.path("a"));
  equal([after.size, after.ino, after.mode], [0n, before.ino, before.mode]);
  equal(after.blocks, 0n);
});

cases.add("O_TRUNC moves mtime and ctime, also of an empty file", (p) => {
  file(p.path("a"));
  const before = sys.stat(p.path("a"));
  pause();
  touchOpen(p.path("a"), O.WRONLY | O.TRUNC);
  const after = sys.stat(p.path("a"));
  holds(after.mtime > before.mtime && after.ctime > before.ctime, "times moved");
});

cases.add("O_TRUNC with O_RDONLY empties the file", (p) => {
  file(p.path("a"), "abc");
  touchOpen(p.path("a"), O.RDONLY | O.TRUNC);
  equal(sys.stat(p.path("a")).size, 0n);
});

cases.add("O_TRUNC without write permission is EACCES and leaves the content", (p) => {
  file(p.path("a"), "abc", 0o644);
  fails("EACCES", () => sys.as(nobody, () => touchOpen(p.path("a"), O.RDONLY | O.TRUNC)));
  equal(contentOf(p.path("a")), "abc");
});

cases.add("O_TRUNC is seen by a descriptor that was open before", (p) => {
  file(p.path("a"), "abcdef");
  opened(p.path("a"), O.RDONLY, (fd) => {
    touchOpen(p.path("a"), O.WRONLY | O.TRUNC);
    equal(sys.fstat(fd).size, 0n);
    equal(sys.read(fd, 10).length, 0);
  });
});

cases.add("O_NOFOLLOW of a symlink is ELOOP", (p) => {
  file(p.path("a"));
  sys.symlink("a", p.path("l"));
  fails("ELOOP", touchOpen, p.path("l"), O.RDONLY | O.NOFOLLOW);
});

cases.add("O_NOFOLLOW with O_CREAT of a dangling symlink is ELOOP", (p) => {
  sys.symlink("absent", p.path("l"));
  fails("ELOOP", touchOpen, p.path("l"), O.CREAT | O.WRONLY | O.NOFOLLOW);
  fails("ENOENT", sys.lstat, p.path("absent"));
});

cases.add("O_NOFOLLOW follows symlinks on the way", (p) => {
  sys.mkdir(p.path("d"));
  file(p.path("d/a"), "x");
  sys.symlink("d", p.path("l"));
  opened(p.path("l/a"), O.RDONLY | O.NOFOLLOW, (fd) => equal(sys.read(fd, 1).toString(), "x"));
});

cases.add("O_DIRECTORY of a file is ENOTDIR", (p) => {
  file(p.path("a"));
  fails("ENOTDIR", touchOpen, p.path("a"), O.DIRECTORY);
});

cases.add("O_DIRECTORY of a fifo is ENOTDIR and does not wait for a writer", (p) => {
  sys.mkfifo(p.path("f"));
  fails("ENOTDIR", touchOpen, p.path("f"), O.DIRECTORY);
});

cases.add("O_DIRECTORY follows a symlink to a directory", (p) => {
  sys.mkdir(p.path("d"));
  sys.symlink("d", p.path("l"));
  touchOpen(p.path("l"), O.DIRECTORY);
  fails(["ENOTDIR", "ELOOP"], touchOpen, p.path("l"), O.DIRECTORY | O.NOFOLLOW);
});

cases.add("a directory can be opened to read, and reading it is EISDIR", (p) => {
  opened(p.dir, O.RDONLY, (fd) => fails("EISDIR", sys.read, fd, 10));
});

cases.add("a file with a trailing slash is ENOTDIR", (p) => {
  file(p.path("a"));
  fails("ENOTDIR", touchOpen, `${p.path("a")}/`, O.RDONLY);
});

cases.add("O_CREAT with a trailing slash is EISDIR", (p) => {
  fails("EISDIR", touchOpen, `${p.dir}/a/`, O.CREAT | O.WRONLY);
});

// Who may open what: owner, member of the group, others.
const who = [
  { name: "its owner", uid: 1001, gid: 5, groups: [], shift: 6 },
  { name: "somebody of its group", uid: 1002, gid: 1003, groups: [], shift: 3 },
  { name: "somebody with its group as a supplementary one", uid: 1002, gid: 5, groups: [7, 1003], shift: 3 },
  { name: "anybody else", uid: 1002, gid: 5, groups: [7], shift: 0 },
];
for (const { name, uid, gid, groups, shift } of who) {
  for (const bits of [0, 2, 4, 6]) {
    cases.add(`a file that gives ${name} ${String(bits)} and everybody else ${String(6 - bits)}`, (p) => {
      const others = 6 - bits;
      const mode = ((others * 0o111) & ~(7 << shift)) | (bits << shift);
      ownedFile(p.path("a"), 1001, mode, 1003);
      sys.as({ uid, gid, groups }, () => {
        for (const [flags, needs] of [
          [O.RDONLY, 4],
          [O.WRONLY, 2],
          [O.RDWR, 6],
        ] as const) {
          if ((bits & needs) === needs) touchOpen(p.path("a"), flags);
          else fails("EACCES", touchOpen, p.path("a"), flags);
        }
      });
    });
  }
}

cases.add("O_CREAT in a directory without write permission is EACCES, if the name is absent", (p) => {
  sys.mkdir(p.path("d"), 0o755);
  file(p.path("d/a"), "", 0o666);
  sys.chmod(p.path("d/a"), 0o666);
  sys.as(nobody, () => {
    fails("EACCES", touchOpen, p.path("d/b"), O.CREAT | O.WRONLY);
    touchOpen(p.path("d/a"), O.CREAT | O.WRONLY);
  });
});

cases.add("permission is checked when opening, not later", (p) => {
  ownedFile(p.path("a"), alice.uid, 0o600);
  const fd = sys.as(alice, () => sys.open(p.path("a"), O.RDWR));
  sys.chmod(p.path("a"), 0);
  sys.as(bob, () => {
    equal(sys.write(fd, "abc"), 3);
    equal(sys.pread(fd, 3, 0).toString(), "abc");
  });
  sys.close(fd);
});

cases.add("O_RDONLY cannot write and O_WRONLY cannot read", (p) => {
  file(p.path("a"), "abc");
  opened(p.path("a"), O.RDONLY, (fd) => fails("EBADF", sys.write, fd, "x"));
  opened(p.path("a"), O.WRONLY, (fd) => fails("EBADF", sys.read, fd, 1));
});

cases.add("each open has its own position, a dup shares it", (p) => {
  file(p.path("a"), "abcdef");
  opened(p.path("a"), O.RDONLY, (fd) => {
    const copy = sys.dup(fd);
    equal(sys.read(fd, 2).toString(), "ab");
    equal(sys.read(copy, 2).toString(), "cd");
    opened(p.path("a"), O.RDONLY, (own) => equal(sys.read(own, 2).toString(), "ab"));
    sys.close(copy);
    equal(sys.read(fd, 2).toString(), "ef");
  });
});

cases.add("openat is relative to its directory, also after this was renamed", (p) => {
  sys.mkdir(p.path("d"));
  file(p.path("d/a"), "x");
  opened(p.path("d"), O.DIRECTORY, (dir) => {
    sys.rename(p.path("d"), p.path("e"));
    const fd = sys.openat(dir, "a", O.RDONLY);
    equal(sys.read(fd, 1).toString(), "x");
    sys.close(fd);
  });
});

cases.add("openat in a directory that was removed is ENOENT", (p) => {
  sys.mkdir(p.path("d"));
  opened(p.path("d"), O.DIRECTORY, (dir) => {
    sys.rmdir(p.path("d"));
    fails("ENOENT", sys.openat, dir, "a", O.CREAT | O.WRONLY);
    fails("ENOENT", sys.openat, dir, "a", O.RDONLY);
  });
});

cases.add("a thousand opens of one file all read it", (p) => {
  file(p.path("a"), "abc");
  const fds = Array.from({ length: 1000 }, () => sys.open(p.path("a"), O.RDONLY));
  for (const fd of fds) equal(sys.read(fd, 3).toString(), "abc");
  for (const fd of fds) sys.close(fd);
});
