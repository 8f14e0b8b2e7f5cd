/** truncate, ftruncate. */
import { equal, fails, holds, suite } from "../case.ts";
import { O } from "../libc/constants.ts";
import { sys } from "../libc/sys.ts";
import { alice, bob, contentOf, file, modeOf, moved, opened, ownedFile } from "../steps.ts";

const cases = suite("truncate");
export const truncateCases = cases.all;

const sizes = [0, 1, 4095, 4096, 4097, 16_300, 65_536, 100_000, 1_048_577, 5_000_000];
function pattern(length: number): string {
  return Array.from({ length: Math.ceil(length / 16) }, (_, i) => i.toString(16).padStart(16, "."))
    .join("")
    .slice(0, length);
}

for (const from of [0, 10, 5000, 100_000, 5_000_000]) {
  for (const to of sizes) {
    cases.add(`from ${String(from)} to ${String(to)} bytes keeps what fits and fills with zeros`, (p) => {
      const content = pattern(from);
      file(p.path("a"), content);
      sys.truncate(p.path("a"), to);
      equal(sys.stat(p.path("a")).size, BigInt(to));
      holds(contentOf(p.path("a")) === content.slice(0, to).padEnd(to, "\0"), "content");
    });
  }
}

for (const [cut, grown] of [
  [10, 100],
  [100, 8192],
  [4096, 8192],
  [5000, 70_000],
] as const) {
  cases.add(`to ${String(cut)} and back to ${String(grown)} shows zeros, not the old bytes`, (p) => {
    file(p.path("a"), "x".repeat(100_000));
    opened(p.path("a"), O.RDWR, (fd) => {
      equal(sys.pread(fd, 100_000, 0).length, 100_000);
      sys.ftruncate(fd, cut);
      sys.ftruncate(fd, grown);
      holds(sys.pread(fd, 200_000, 0).toString() === "x".repeat(cut) + "\0".repeat(grown - cut), "content");
    });
  });
}

cases.add("and a write far behind the end leave zeros between", (p) => {
  file(p.path("a"), "x".repeat(9000));
  opened(p.path("a"), O.RDWR, (fd) => {
    sys.ftruncate(fd, 3);
    sys.pwrite(fd, "end", 8000);
    equal(sys.pread(fd, 9000, 0).toString(), "xxx" + "\0".repeat(7997) + "end");
  });
});

cases.add("moves mtime and ctime, also to the same size", (p) => {
  file(p.path("a"), "abc");
  for (const size of [1, 1, 10]) {
    equal(
      moved(p.path("a"), () => sys.truncate(p.path("a"), size)),
      "mtime ctime",
    );
  }
});

cases.add("to a bigger size makes a hole that takes no space", (p) => {
  file(p.path("a"));
  sys.truncate(p.path("a"), 1 << 30);
  const { size, blocks } = sys.stat(p.path("a"));
  equal(size, 1n << 30n);
  holds(blocks < 100n, `${String(blocks)} blocks`);
});

cases.add("to zero frees the space", (p) => {
  file(p.path("a"), "x".repeat(100_000));
  opened(p.path("a"), O.RDWR, (fd) => {
    sys.fsync(fd);
    holds(sys.fstat(fd).blocks > 100n, "blocks before");
    sys.ftruncate(fd, 0);
    equal(sys.fstat(fd).blocks, 0n);
  });
});

for (const length of [-1, -(2 ** 40)]) {
  cases.add(`to ${String(length)} bytes is EINVAL`, (p) => {
    file(p.path("a"), "abc");
    fails("EINVAL", sys.truncate, p.path("a"), length);
    opened(p.path("a"), O.RDWR, (fd) => fails("EINVAL", sys.ftruncate, fd, length));
    equal(contentOf(p.path("a")), "abc");
  });
}

cases.add("to 2^62 bytes is EFBIG", (p) => {
  file(p.path("a"), "abc");
  fails("EFBIG", sys.truncate, p.path("a"), 1n << 62n);
  opened(p.path("a"), O.RDWR, (fd) => fails("EFBIG", sys.ftruncate, fd, 1n << 62n));
  equal(sys.stat(p.path("a")).size, 3n);
});

cases.add("of a directory is EISDIR", (p) => {
  sys.mkdir(p.path("d"));
  fails("EISDIR", sys.truncate, p.path("d"), 0);
});

cases.add("follows a symlink", (p) => {
  file(p.path("a"), "abc");
  sys.symlink("a", p.path("l"));
  sys.truncate(p.path("l"), 2);
  equal(contentOf(p.path("a")), "ab");
});

cases.add("without write permission is EACCES", (p) => {
  ownedFile(p.path("a"), alice.uid, 0o644);
  sys.as(bob, () => fails("EACCES", sys.truncate, p.path("a"), 0));
});

cases.add("by the owner without write permission is EACCES", (p) => {
  ownedFile(p.path("a"), alice.uid, 0o444);
  sys.as(alice, () => fails("EACCES", sys.truncate, p.path("a"), 0));
});

cases.add("ftruncate of a descriptor opened to read is EINVAL", (p) => {
  file(p.path("a"), "abc");
  opened(p.path("a"), O.RDONLY, (fd) => fails(["EINVAL", "EBADF"], sys.ftruncate, fd, 0));
});

cases.add("ftruncate works after the permission was taken away", (p) => {
  ownedFile(p.path("a"), alice.uid, 0o600);
  const fd = sys.as(alice, () => sys.open(p.path("a"), O.WRONLY));
  sys.chmod(p.path("a"), 0o000);
  sys.as(alice, () => sys.ftruncate(fd, 10));
  equal(sys.fstat(fd).size, 10n);
  sys.close(fd);
});

cases.add("ftruncate leaves the position where it is", (p) => {
  file(p.path("a"), "abcdef");
  opened(p.path("a"), O.RDWR, (fd) => {
    sys.lseek(fd, 5, 0);
    sys.ftruncate(fd, 1);
    equal(sys.lseek(fd, 0, 1), 5);
    equal(sys.read(fd, 1).length, 0);
    sys.write(fd, "Z");
    equal(sys.pread(fd, 10, 0).toString(), "a\0\0\0\0Z");
  });
});

cases.add("is seen by another process that has the file open", (p) => {
  file(p.path("a"), "abcdef");
  const fd = p.peer.call("open", p.path("a"), O.RDONLY);
  equal(p.peer.call("pread", fd, 10, 0).toString(), "abcdef");
  sys.truncate(p.path("a"), 2);
  equal(p.peer.call("pread", fd, 10, 0).toString(), "ab");
  equal(p.peer.call("fstat", fd).size, 2n);
  p.peer.call("close", fd);
});

for (const mode of [0o4755, 0o2755, 0o6777]) {
  cases.add(`by a user clears setuid and setgid of mode ${mode.toString(8)}`, (p) => {
    ownedFile(p.path("a"), alice.uid, mode);
    sys.as(alice, () => sys.truncate(p.path("a"), 5));
    equal(modeOf(p.path("a")), mode & 0o777);
    sys.chmod(p.path("a"), mode);
    sys.as(alice, () => opened(p.path("a"), O.WRONLY, (fd) => sys.ftruncate(fd, 2)));
    equal(modeOf(p.path("a")), mode & 0o777);
  });
  cases.add(`by root keeps setuid and setgid of mode ${mode.toString(8)}`, (p) => {
    ownedFile(p.path("a"), alice.uid, mode);
    sys.truncate(p.path("a"), 5);
    equal(modeOf(p.path("a")), mode);
  });
}
