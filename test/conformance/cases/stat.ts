/** stat, lstat, fstat, statx, statfs, access. */
import { equal, fails, holds, suite } from "../case.ts";
import { O } from "../libc/constants.ts";
import { sys } from "../libc/sys.ts";
import { alice, bob, file, modeOf, moved, opened, ownedDirectory, ownedFile, pause } from "../steps.ts";

const cases = suite("stat");
export const statCases = cases.all;

cases.add("tells the same of a name, a descriptor and a hard link", (p) => {
  file(p.path("a"), "abc");
  sys.link(p.path("a"), p.path("b"));
  opened(p.path("a"), O.RDONLY, (fd) => {
    equal(sys.stat(p.path("a")), sys.fstat(fd));
    equal(sys.stat(p.path("a")), sys.stat(p.path("b")));
  });
});

cases.add("numbers every inode differently", (p) => {
  const inos = new Set<bigint>();
  for (let i = 0; i < 200; i++) {
    file(p.path(String(i)));
    inos.add(sys.stat(p.path(String(i))).ino);
  }
  equal(inos.size, 200);
});

cases.add("keeps an inode number over writes, chmod, rename and reopening", (p) => {
  file(p.path("a"));
  const { ino } = sys.stat(p.path("a"));
  file(p.path("a"), "content");
  sys.chmod(p.path("a"), 0o600);
  sys.rename(p.path("a"), p.path("b"));
  equal(sys.stat(p.path("b")).ino, ino);
});

cases.add("shows a size as soon as the write returned", (p) => {
  opened(p.path("a"), O.CREAT | O.WRONLY, (fd) => {
    for (let i = 1; i <= 50; i++) {
      sys.write(fd, "x".repeat(1000));
      equal(sys.stat(p.path("a")).size, BigInt(i * 1000));
      equal(sys.fstat(fd).size, BigInt(i * 1000));
    }
  });
});

cases.add("knows the time of birth, and it does not move", (p) => {
  file(p.path("a"));
  const { btime, mask, ctime } = sys.stat(p.path("a"));
  holds((mask & 0x800) !== 0, "STATX_BTIME");
  holds(btime > 10n ** 18n && btime <= ctime, "a time of birth");
  pause();
  file(p.path("a"), "x");
  sys.chmod(p.path("a"), 0o600);
  equal(sys.stat(p.path("a")).btime, btime);
});

cases.add("of a new file has all times equal, and near the clock", (p) => {
  const before = BigInt(Date.now()) * 1_000_000n;
  sys.mknod(p.path("a"), 0o100644);
  const { atime, mtime, ctime } = sys.stat(p.path("a"));
  equal([atime, mtime], [ctime, ctime]);
  const apart = ctime - before;
  holds(apart > -2_000_000_000n && apart < 10_000_000_000n, `${String(apart)} ns apart`);
});

for (const [size, least] of [
  [1, 1],
  [4096, 8],
  [1_000_000, 1900],
] as const) {
  cases.add(`st_blocks of ${String(size)} written and synced bytes is at least ${String(least)}`, (p) => {
    opened(p.path("a"), O.CREAT | O.WRONLY, (fd) => {
      sys.write(fd, Buffer.alloc(size, "x"));
      sys.fsync(fd);
      holds(sys.fstat(fd).blocks >= BigInt(least), String(sys.fstat(fd).blocks));
    });
  });
}

cases.add("st_blocks of a sparse file is less than its size", (p) => {
  opened(p.path("a"), O.CREAT | O.WRONLY, (fd) => {
    sys.pwrite(fd, "x", 100_000_000);
    sys.fsync(fd);
    const { size, blocks } = sys.fstat(fd);
    equal(size, 100_000_001n);
    holds(blocks > 0n && blocks * 512n < 1_000_000n, String(blocks));
  });
});

cases.add("needs no permission on the file itself", (p) => {
  ownedFile(p.path("a"), alice.uid, 0);
  sys.as(bob, () => equal(sys.stat(p.path("a")).uid, alice.uid));
});

cases.add("changes no time", (p) => {
  file(p.path("a"));
  equal(
    moved(p.path("a"), () => void sys.stat(p.path("a"))),
    "",
  );
});

cases.add("statfs tells names of 255 bytes, and space", (p) => {
  const { nameMax, blockBytes, blocks, free, available } = sys.statfs(p.dir);
  equal(nameMax, 255);
  holds(blockBytes >= 512 && blocks > 0 && free <= blocks && available <= free, "plausible");
});

cases.add("statfs of a descriptor and of a file in it works", (p) => {
  file(p.path("a"));
  equal(sys.statfs(p.path("a")).nameMax, 255);
  opened(p.path("a"), O.RDONLY, (fd) => sys.fstatfs(fd));
});

const access = suite("access");
for (const [who, identity, shift] of [
  ["the owner", { uid: 1001, gid: 5 }, 6],
  ["the group", { uid: 1002, gid: 1001 }, 3],
  ["a supplementary group", { uid: 1002, gid: 5, groups: [6, 1001] }, 3],
  ["others", { uid: 1002, gid: 5 }, 0],
] as const) {
  for (let bits = 0; bits < 8; bits++) {
    access.add(`of ${who} with ${String(bits)} in the mode allows exactly that`, (p) => {
      ownedFile(p.path("a"), 1001, (0o777 & ~(7 << shift)) | (bits << shift));
      if (bits % 2 === 0) sys.chmod(p.path("a"), bits << shift);
      sys.as(identity, () => {
        for (const wanted of [4, 2, 1, 6, 7]) {
          if ((bits & wanted) === wanted) sys.access(p.path("a"), wanted);
          else fails("EACCES", sys.access, p.path("a"), wanted);
        }
        sys.access(p.path("a"), 0);
      });
    });
  }
}

access.add("of root may read and write anything, and execute what somebody may", (p) => {
  ownedFile(p.path("a"), alice.uid, 0);
  sys.access(p.path("a"), 6);
  fails("EACCES", sys.access, p.path("a"), 1);
  sys.chmod(p.path("a"), 0o001);
  sys.access(p.path("a"), 7);
});

access.add("of root may search any directory", (p) => {
  ownedDirectory(p.path("d"), alice.uid, 0);
  file(p.path("d/a"));
  sys.access(p.path("d"), 7);
  equal(modeOf(p.path("d/a")), 0o644);
});

access.add("follows symlinks and changes no time", (p) => {
  file(p.path("a"));
  sys.symlink("a", p.path("l"));
  equal(
    moved(p.path("a"), () => sys.access(p.path("l"), 4)),
    "",
  );
});

access.add("with an unknown bit is EINVAL", (p) => {
  file(p.path("a"));
  fails("EINVAL", sys.access, p.path("a"), 8);
});

export const accessCases = access.all;
