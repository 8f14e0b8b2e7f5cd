/** The flags of open that change what the descriptor is: O_TMPFILE, O_PATH, O_APPEND, O_DIRECT, O_NOATIME, O_SYNC. */
import { equal, fails, holds, suite } from "../case.ts";
import { AT, O } from "../libc/constants.ts";
import { sys } from "../libc/sys.ts";
import { alice, bob, contentOf, file, namesIn, nobody, opened, ownedFile, pause, touchOpen } from "../steps.ts";

const cases = suite("open");
export const openSpecialCases = cases.all;

/** Gives an open file a name. */
function linkDescriptor(fd: number, to: string): void {
  sys.linkat(AT.FDCWD, `/proc/self/fd/${String(fd)}`, AT.FDCWD, to, AT.SYMLINK_FOLLOW);
}

cases.add("O_TMPFILE makes a file without a name", (p) => {
  opened(p.dir, O.TMPFILE | O.RDWR, (fd) => {
    equal(namesIn(p.dir), []);
    equal(sys.fstat(fd).nlink, 0);
    equal(sys.write(fd, "abc"), 3);
    equal(sys.pread(fd, 9, 0).toString(), "abc");
    equal(sys.fstat(fd).size, 3n);
  });
});

cases.add("O_TMPFILE applies mode and umask, and the caller owns it", (p) => {
  sys.as(alice, () =>
    opened(
      p.dir,
      O.TMPFILE | O.RDWR,
      (fd) => {
        const { mode, uid, gid } = sys.fstat(fd);
        equal([mode & 0o7777, uid, gid], [0o640, 1001, 1001]);
      },
      0o662,
    ),
  );
});

cases.add("O_TMPFILE gets a name by linkat of /proc/self/fd", (p) => {
  opened(p.dir, O.TMPFILE | O.RDWR, (fd) => {
    sys.write(fd, "abc");
    linkDescriptor(fd, p.path("a"));
    equal(sys.fstat(fd).nlink, 1);
    equal(contentOf(p.path("a")), "abc");
    equal(sys.stat(p.path("a")).ino, sys.fstat(fd).ino);
    sys.write(fd, "def");
  });
  equal(contentOf(p.path("a")), "abcdef");
});

cases.add("O_TMPFILE gets a name by linkat with AT_EMPTY_PATH", (p) => {
  opened(p.dir, O.TMPFILE | O.RDWR, (fd) => {
    sys.write(fd, "abc");
    sys.linkat(fd, "", AT.FDCWD, p.path("a"), AT.EMPTY_PATH);
  });
  equal(contentOf(p.path("a")), "abc");
});

cases.add("O_TMPFILE can be named, unlinked and used on", (p) => {
  opened(p.dir, O.TMPFILE | O.RDWR, (fd) => {
    linkDescriptor(fd, p.path("a"));
    sys.unlink(p.path("a"));
    sys.write(fd, "abc");
    equal(sys.pread(fd, 3, 0).toString(), "abc");
    equal(sys.fstat(fd).nlink, 0);
  });
});

cases.add("O_TMPFILE with O_EXCL can never be named", (p) => {
  opened(p.dir, O.TMPFILE | O.RDWR | O.EXCL, (fd) => {
    fails("ENOENT", linkDescriptor, fd, p.path("a"));
    sys.write(fd, "abc");
    equal(sys.pread(fd, 3, 0).toString(), "abc");
  });
});

cases.add("O_TMPFILE over a name that is there is EEXIST", (p) => {
  file(p.path("a"));
  opened(p.dir, O.TMPFILE | O.RDWR, (fd) => fails("EEXIST", linkDescriptor, fd, p.path("a")));
});

cases.add("O_TMPFILE needs write access", (p) => {
  fails("EINVAL", touchOpen, p.dir, O.TMPFILE | O.RDONLY);
});

cases.add("O_TMPFILE in a file is ENOTDIR", (p) => {
  file(p.path("a"));
  fails("ENOTDIR", touchOpen, p.path("a"), O.TMPFILE | O.RDWR);
});

cases.add("O_TMPFILE in a directory without write permission is EACCES", (p) => {
  sys.mkdir(p.path("d"), 0o755);
  fails("EACCES", () => sys.as(nobody, () => touchOpen(p.path("d"), O.TMPFILE | O.RDWR)));
});

cases.add("O_TMPFILE files can be truncated, chmodded and given xattrs", (p) => {
  opened(p.dir, O.TMPFILE | O.RDWR, (fd) => {
    sys.write(fd, "abcdef");
    sys.ftruncate(fd, 3);
    sys.fchmod(fd, 0o604);
    sys.fsetxattr(fd, "user.a", "x");
    linkDescriptor(fd, p.path("a"));
  });
  equal(contentOf(p.path("a")), "abc");
  equal(sys.stat(p.path("a")).mode & 0o7777, 0o604);
  equal(sys.getxattr(p.path("a"), "user.a").toString(), "x");
});

const needFile: readonly (readonly [string, (fd: number) => void])[] = [
  ["read", (fd: number) => sys.read(fd, 1)],
  ["write", (fd: number) => sys.write(fd, "x")],
  ["pread", (fd: number) => sys.pread(fd, 1, 0)],
  ["ftruncate", (fd: number) => sys.ftruncate(fd, 0)],
  ["fchmod", (fd: number) => sys.fchmod(fd, 0o600)],
  ["fchown", (fd: number) => sys.fchown(fd, 1, 1)],
  ["fsync", (fd: number) => sys.fsync(fd)],
  ["fsetxattr", (fd: number) => sys.fsetxattr(fd, "user.a", "x")],
  ["fgetxattr", (fd: number) => sys.fgetxattr(fd, "user.a")],
  ["flock", (fd: number) => sys.flock(fd, 2)],
  ["fallocate", (fd: number) => sys.fallocate(fd, 0, 0, 1)],
  ["lseek", (fd: number) => sys.lseek(fd, 0, 0)],
];
for (const [name, call] of needFile) {
  cases.add(`O_PATH descriptors refuse ${name} with EBADF`, (p) => {
    file(p.path("a"), "abc");
    opened(p.path("a"), O.PATH, (fd) => fails("EBADF", call, fd));
  });
}

cases.add("O_PATH needs no permission on the file, and fstat works", (p) => {
  ownedFile(p.path("a"), alice.uid, 0);
  sys.as(bob, () => opened(p.path("a"), O.PATH, (fd) => equal(sys.fstat(fd).uid, 1001)));
});

cases.add("O_PATH with O_NOFOLLOW opens the symlink itself", (p) => {
  sys.symlink("absent", p.path("l"));
  opened(p.path("l"), O.PATH | O.NOFOLLOW, (fd) => equal(sys.fstat(fd).mode & 0o170000, 0o120000));
});

cases.add("O_PATH opens again through /proc/self/fd", (p) => {
  file(p.path("a"), "abc");
  opened(p.path("a"), O.PATH, (fd) => equal(contentOf(`/proc/self/fd/${String(fd)}`), "abc"));
});

cases.add("O_PATH of a directory serves openat and fchdir", (p) => {
  file(p.path("a"), "abc");
  opened(p.dir, O.PATH | O.DIRECTORY, (dir) => {
    sys.fchdir(dir);
    equal(contentOf("a"), "abc");
    sys.close(sys.openat(dir, "a", O.RDONLY));
  });
});

cases.add("O_PATH does not change atime and does not open a fifo", (p) => {
  sys.mkfifo(p.path("f"));
  opened(p.path("f"), O.PATH, (fd) => equal(sys.fstat(fd).mode & 0o170000, 0o010000));
});

cases.add("O_APPEND writes at the end wherever the position is", (p) => {
  file(p.path("a"), "abc");
  opened(p.path("a"), O.RDWR | O.APPEND, (fd) => {
    sys.lseek(fd, 0, 0);
    sys.write(fd, "def");
    equal(sys.lseek(fd, 0, 1), 6);
  });
  equal(contentOf(p.path("a")), "abcdef");
});

cases.add("O_APPEND follows another descriptor's writes", (p) => {
  opened(p.path("a"), O.CREAT | O.WRONLY | O.APPEND, (one) =>
    opened(p.path("a"), O.WRONLY | O.APPEND, (two) => {
      for (let i = 0; i < 10; i++) {
        sys.write(one, "a");
        sys.write(two, "b");
      }
    }),
  );
  equal(contentOf(p.path("a")), "ab".repeat(10));
});

cases.add("O_APPEND follows another process' writes and truncation", (p) => {
  file(p.path("a"));
  opened(p.path("a"), O.WRONLY | O.APPEND, (mine) => {
    const theirs = p.peer.call("open", p.path("a"), O.WRONLY | O.APPEND);
    sys.write(mine, "one ");
    p.peer.call("write", theirs, "two ");
    sys.write(mine, "three ");
    p.peer.call("ftruncate", theirs, 4);
    sys.write(mine, "four");
    p.peer.call("close", theirs);
  });
  equal(contentOf(p.path("a")), "one four");
});

cases.add("O_APPEND reads from the position, not the end", (p) => {
  file(p.path("a"), "abc");
  opened(p.path("a"), O.RDWR | O.APPEND, (fd) => equal(sys.read(fd, 2).toString(), "ab"));
});

cases.add("O_APPEND makes Linux's pwrite append too", (p) => {
  file(p.path("a"), "abc");
  opened(p.path("a"), O.RDWR | O.APPEND, (fd) => sys.pwrite(fd, "X", 0));
  equal(contentOf(p.path("a")), "abcX");
});

cases.add("O_APPEND set by fcntl counts from then on", (p) => {
  file(p.path("a"), "abc");
  opened(p.path("a"), O.RDWR, (fd) => {
    sys.setFlags(fd, O.APPEND);
    holds((sys.flags(fd) & O.APPEND) !== 0, "F_GETFL shows it");
    sys.write(fd, "d");
    sys.setFlags(fd, 0);
    sys.lseek(fd, 0, 0);
    sys.write(fd, "A");
  });
  equal(contentOf(p.path("a")), "Abcd");
});

cases.add("O_APPEND reads back what it wrote, also in the middle of a page", (p) => {
  file(p.path("a"), "x".repeat(5000));
  opened(p.path("a"), O.RDWR | O.APPEND, (fd) => {
    equal(sys.pread(fd, 5000, 0).length, 5000);
    sys.write(fd, "tail");
    equal(sys.pread(fd, 10, 4998).toString(), "xxtail");
  });
});

cases.add("O_NOATIME by somebody who is not the owner is EPERM", (p) => {
  ownedFile(p.path("a"), alice.uid, 0o666);
  fails("EPERM", () => sys.as(bob, () => touchOpen(p.path("a"), O.RDONLY | O.NOATIME)));
  sys.as(alice, () => touchOpen(p.path("a"), O.RDONLY | O.NOATIME));
});

cases.add("O_NOATIME reads without moving atime", (p) => {
  file(p.path("a"), "abc");
  sys.utimensat(p.path("a"), [1000n, 2000n]);
  opened(p.path("a"), O.RDONLY | O.NOATIME, (fd) => sys.read(fd, 3));
  pause();
  equal(sys.stat(p.path("a")).atime, 1000n);
});

for (const [flag, name] of [
  [O.SYNC, "O_SYNC"],
  [O.DSYNC, "O_DSYNC"],
  [O.NONBLOCK, "O_NONBLOCK"],
  [O.NOCTTY, "O_NOCTTY"],
] as const) {
  cases.add(`${name} reads and writes like any other`, (p) => {
    opened(p.path("a"), O.CREAT | O.RDWR | flag, (fd) => {
      equal(sys.write(fd, "abcdef"), 6);
      equal(sys.pread(fd, 3, 2).toString(), "cde");
    });
  });
}

cases.add("O_DIRECT writes and reads whole blocks", (p) => {
  opened(p.path("a"), O.CREAT | O.RDWR | O.DIRECT, (fd) => {
    holds((sys.flags(fd) & O.DIRECT) !== 0, "F_GETFL shows it");
    equal(sys.fstat(fd).size, 0n);
  });
});
