/** mknod, mkfifo: fifos, devices and sockets. */
import { equal, fails, suite } from "../case.ts";
import { O } from "../libc/constants.ts";
import { sys } from "../libc/sys.ts";
import { alice, file, moved, nobody, opened, touchOpen } from "../steps.ts";

const cases = suite("special files");
export const specialFileCases = cases.all;

const types = [
  { name: "regular file", type: 0o100000, device: 0 },
  { name: "fifo", type: 0o010000, device: 0 },
  { name: "socket", type: 0o140000, device: 0 },
  { name: "character device", type: 0o020000, device: 0x103 },
  { name: "block device", type: 0o060000, device: 0x701 },
];

for (const { name, type, device } of types) {
  for (const mode of [0o600, 0o666, 0o4755, 0o2777]) {
    cases.add(`mknod makes a ${name} with mode ${mode.toString(8)} and the umask applied`, (p) => {
      sys.mknod(p.path("n"), type | mode, device);
      const found = sys.lstat(p.path("n"));
      equal([found.mode, found.nlink, found.size], [type | (mode & ~0o022), 1, 0n]);
      equal((found.rdevMajor << 8) | found.rdevMinor, device);
    });
  }
  cases.add(`a ${name} can be renamed, chmodded, chowned, timed and unlinked`, (p) => {
    sys.mknod(p.path("n"), type | 0o600, device);
    sys.rename(p.path("n"), p.path("m"));
    sys.chmod(p.path("m"), 0o640);
    sys.chown(p.path("m"), 5, 6);
    sys.utimensat(p.path("m"), [1_000_000_001n, 2_000_000_002n]);
    const { mode, uid, gid, atime, mtime } = sys.lstat(p.path("m"));
    equal([mode, uid, gid, atime, mtime], [type | 0o640, 5, 6, 1_000_000_001n, 2_000_000_002n]);
    sys.unlink(p.path("m"));
    fails("ENOENT", sys.lstat, p.path("m"));
  });
  cases.add(`mknod of a ${name} where a file is, is EEXIST`, (p) => {
    file(p.path("a"));
    fails("EEXIST", sys.mknod, p.path("a"), type | 0o600, device);
  });
  cases.add(`mknod of a ${name} moves the directory's times`, (p) => {
    equal(
      moved(p.dir, () => sys.mknod(p.path("a"), type | 0o600, device)),
      "mtime ctime",
    );
  });
}

cases.add("mknod of a device by a user is EPERM", (p) => {
  sys.as(nobody, () => {
    fails("EPERM", sys.mknod, p.path("c"), 0o020666, 0x103);
    fails("EPERM", sys.mknod, p.path("b"), 0o060666, 0x103);
  });
});

cases.add("mknod of a regular file, fifo or socket by a user works, and the user owns it", (p) => {
  sys.as(alice, () => {
    for (const type of [0o100000, 0o010000, 0o140000]) sys.mknod(p.path(String(type)), type | 0o600);
  });
  for (const type of [0o100000, 0o010000, 0o140000]) equal(sys.lstat(p.path(String(type))).uid, 1001);
});

cases.add("mknod of a directory is EPERM or EINVAL", (p) => {
  fails(["EPERM", "EINVAL"], sys.mknod, p.path("d"), 0o040755);
});

cases.add("mknod with type 0 makes a regular file", (p) => {
  sys.mknod(p.path("a"), 0o640);
  equal(sys.lstat(p.path("a")).mode, 0o100640);
});

cases.add("mknod keeps large device numbers", (p) => {
  // major 0x123, minor 0x45678 in the encoding of the C library.
  sys.mknod(p.path("c"), 0o020600, (0x456 << 20) | (0x123 << 8) | 0x78);
  const { rdevMajor, rdevMinor } = sys.lstat(p.path("c"));
  equal([rdevMajor, rdevMinor], [0x123, 0x45678]);
});

cases.add("a fifo carries bytes between two descriptors", (p) => {
  sys.mkfifo(p.path("f"));
  opened(p.path("f"), O.RDWR, (fd) => {
    sys.write(fd, "through");
    equal(sys.read(fd, 20).toString(), "through");
    fails("ESPIPE", sys.lseek, fd, 0, 0);
    fails("ESPIPE", sys.pread, fd, 1, 0);
  });
  equal(sys.stat(p.path("f")).size, 0n);
});

cases.add("a fifo carries bytes between two processes", (p) => {
  sys.mkfifo(p.path("f"));
  const fd = sys.open(p.path("f"), O.RDWR);
  const theirs = p.peer.call("open", p.path("f"), O.RDONLY);
  sys.write(fd, "hello");
  equal(p.peer.call("read", theirs, 10).toString(), "hello");
  p.peer.call("close", theirs);
  sys.close(fd);
});

cases.add("a fifo opened to write without blocking and without a reader is ENXIO", (p) => {
  sys.mkfifo(p.path("f"));
  fails("ENXIO", touchOpen, p.path("f"), O.WRONLY | O.NONBLOCK);
});

cases.add("a socket cannot be opened: ENXIO", (p) => {
  sys.mknod(p.path("s"), 0o140666);
  fails("ENXIO", touchOpen, p.path("s"), O.RDWR);
});

cases.add("truncate of a fifo is EINVAL", (p) => {
  sys.mkfifo(p.path("f"));
  fails("EINVAL", sys.truncate, p.path("f"), 0);
});

cases.add("user xattrs on a fifo are EPERM", (p) => {
  sys.mkfifo(p.path("f"));
  fails("EPERM", sys.setxattr, p.path("f"), "user.a", "x");
});

cases.add("permissions of a fifo are checked", (p) => {
  sys.mkfifo(p.path("f"), 0o600);
  fails("EACCES", () => sys.as(nobody, () => touchOpen(p.path("f"), O.RDONLY | O.NONBLOCK)));
});
