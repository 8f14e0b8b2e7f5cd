/** fallocate in the modes that FUSE passes on, SEEK_DATA and SEEK_HOLE. */
import { equal, fails, holds, suite } from "../case.ts";
import { FALLOC, O, SEEK } from "../libc/constants.ts";
import { sys } from "../libc/sys.ts";
import { alice, file, modeOf, moved, opened, ownedFile } from "../steps.ts";

const cases = suite("fallocate");
export const fallocateCases = cases.all;

for (const [from, offset, length] of [
  [0, 0, 1],
  [0, 0, 100_000],
  [10, 5, 10],
  [5000, 4096, 65_536],
  [100, 1_000_000, 10],
] as const) {
  cases.add(`0 of ${String(length)} at ${String(offset)} extends ${String(from)} bytes with zeros`, (p) => {
    file(p.path("a"), "x".repeat(from));
    opened(p.path("a"), O.RDWR, (fd) => {
      sys.fallocate(fd, 0, offset, length);
      equal(sys.fstat(fd).size, BigInt(offset + length));
      const read = sys.pread(fd, offset + length, 0);
      holds(read.toString() === "x".repeat(from) + "\0".repeat(offset + length - from), "content");
    });
  });
  cases.add(`KEEP_SIZE of ${String(length)} at ${String(offset)} leaves ${String(from)} bytes`, (p) => {
    file(p.path("a"), "x".repeat(from));
    opened(p.path("a"), O.RDWR, (fd) => {
      sys.fallocate(fd, FALLOC.KEEP_SIZE, offset, length);
      equal(sys.fstat(fd).size, BigInt(from));
      equal(sys.pread(fd, from + 10, 0).toString(), "x".repeat(from));
    });
  });
}

cases.add("0 inside of the file changes no content and no size", (p) => {
  file(p.path("a"), "x".repeat(10_000));
  opened(p.path("a"), O.RDWR, (fd) => {
    sys.fallocate(fd, 0, 100, 5000);
    equal(sys.pread(fd, 20_000, 0).toString(), "x".repeat(10_000));
  });
});

for (const [offset, length] of [
  [0, 4096],
  [0, 1],
  [100, 50],
  [4000, 5000],
  [4096, 8192],
  [0, 20_000],
  [19_000, 50_000],
  [30_000, 100],
] as const) {
  for (const mode of ["PUNCH_HOLE", "ZERO_RANGE"] as const) {
    cases.add(`${mode}|KEEP_SIZE of ${String(length)} at ${String(offset)} reads zeros there, and only there`, (p) => {
      const wanted = Buffer.alloc(20_000, "x");
      file(p.path("a"), wanted);
      opened(p.path("a"), O.RDWR, (fd) => {
        sys.fallocate(fd, FALLOC[mode] | FALLOC.KEEP_SIZE, offset, length);
        wanted.fill(0, Math.min(20_000, offset), Math.min(20_000, offset + length));
        holds(sys.pread(fd, 40_000, 0).equals(wanted), "content at once");
        sys.fsync(fd);
        holds(sys.pread(fd, 40_000, 0).equals(wanted), "content after fsync");
        equal(sys.fstat(fd).size, 20_000n);
      });
    });
  }
}

cases.add("ZERO_RANGE without KEEP_SIZE beyond the end extends the file", (p) => {
  file(p.path("a"), "x".repeat(100));
  opened(p.path("a"), O.RDWR, (fd) => {
    sys.fallocate(fd, FALLOC.ZERO_RANGE, 50, 100);
    equal(sys.pread(fd, 200, 0).toString(), "x".repeat(50) + "\0".repeat(100));
  });
});

cases.add("PUNCH_HOLE gives the space back", (p) => {
  opened(p.path("a"), O.CREAT | O.RDWR, (fd) => {
    sys.write(fd, Buffer.alloc(1 << 20, "x"));
    sys.fsync(fd);
    const before = sys.fstat(fd).blocks;
    sys.fallocate(fd, FALLOC.PUNCH_HOLE | FALLOC.KEEP_SIZE, 0, 1 << 19);
    sys.fsync(fd);
    holds(sys.fstat(fd).blocks < before, "fewer blocks");
  });
});

for (const [name, mode, offset, length, errno] of [
  ["a length of 0", 0, 0, 0, "EINVAL"],
  ["a negative length", 0, 0, -1, "EINVAL"],
  ["a negative offset", 0, -1, 1, "EINVAL"],
  ["PUNCH_HOLE without KEEP_SIZE", FALLOC.PUNCH_HOLE, 0, 1, "EOPNOTSUPP"],
  ["an unknown mode", 0x400, 0, 1, "EOPNOTSUPP"],
  ["PUNCH_HOLE with ZERO_RANGE", FALLOC.PUNCH_HOLE | FALLOC.ZERO_RANGE | 1, 0, 1, ["EOPNOTSUPP", "EINVAL"]],
] as const) {
  cases.add(`with ${name} is ${[errno].flat().join(" or ")}`, (p) => {
    file(p.path("a"), "abc");
    opened(p.path("a"), O.RDWR, (fd) => fails(errno, sys.fallocate, fd, mode, offset, length));
    equal(sys.stat(p.path("a")).size, 3n);
  });
}

cases.add("beyond the largest file is EFBIG", (p) => {
  file(p.path("a"), "abc");
  opened(p.path("a"), O.RDWR, (fd) => {
    fails("EFBIG", sys.fallocate, fd, 0, 1n << 62n, 1);
    fails("EFBIG", sys.fallocate, fd, 0, (1n << 63n) - 10n, 100);
  });
});

cases.add("of a descriptor opened to read is EBADF", (p) => {
  file(p.path("a"), "abc");
  opened(p.path("a"), O.RDONLY, (fd) => fails("EBADF", sys.fallocate, fd, 0, 0, 10));
});

cases.add("of a directory is EBADF, EISDIR or ENODEV", (p) => {
  opened(p.dir, O.RDONLY, (fd) => fails(["EBADF", "EISDIR", "ENODEV"], sys.fallocate, fd, 0, 0, 10));
});

cases.add("of a fifo is ESPIPE", (p) => {
  sys.mkfifo(p.path("f"));
  opened(p.path("f"), O.RDWR, (fd) => fails("ESPIPE", sys.fallocate, fd, 0, 0, 10));
});

for (const mode of [0, FALLOC.PUNCH_HOLE | FALLOC.KEEP_SIZE, FALLOC.ZERO_RANGE]) {
  cases.add(`with mode ${String(mode)} moves mtime and ctime`, (p) => {
    file(p.path("a"), "x".repeat(10_000));
    opened(p.path("a"), O.RDWR, (fd) =>
      equal(
        moved(p.path("a"), () => sys.fallocate(fd, mode, 5000, 10_000)),
        "mtime ctime",
      ),
    );
  });
  cases.add(`with mode ${String(mode)} by a user clears setuid and setgid`, (p) => {
    ownedFile(p.path("a"), alice.uid, 0o6755);
    sys.as(alice, () => opened(p.path("a"), O.RDWR, (fd) => sys.fallocate(fd, mode, 0, 5000)));
    equal(modeOf(p.path("a")), 0o755);
  });
}

const seek = suite("lseek");
const mebibyte = 1 << 20;

/** Content at 0 and 2 MiB of 3 MiB, each of 1 MiB, with fsync or without. */
function sparse(path: string, synced: boolean, run: (fd: number) => void): void {
  opened(path, O.CREAT | O.RDWR, (fd) => {
    sys.pwrite(fd, Buffer.alloc(mebibyte, "x"), 0);
    sys.pwrite(fd, Buffer.alloc(mebibyte, "y"), 2 * mebibyte);
    sys.ftruncate(fd, 4 * mebibyte);
    if (synced) sys.fsync(fd);
    run(fd);
  });
}

for (const synced of [true, false]) {
  const when = synced ? "after fsync" : "before fsync";
  seek.add(`SEEK_DATA ${when} finds content, and ENXIO in the last hole`, (p) => {
    sparse(p.path("a"), synced, (fd) => {
      equal(sys.lseek(fd, 0, SEEK.DATA), 0);
      equal(sys.lseek(fd, 100, SEEK.DATA), 100);
      equal(sys.lseek(fd, mebibyte + 10, SEEK.DATA), 2 * mebibyte);
      fails("ENXIO", sys.lseek, fd, 3 * mebibyte + 10, SEEK.DATA);
    });
  });
  seek.add(`SEEK_HOLE ${when} finds holes, the last being the end`, (p) => {
    sparse(p.path("a"), synced, (fd) => {
      equal(sys.lseek(fd, 0, SEEK.HOLE), mebibyte);
      equal(sys.lseek(fd, mebibyte + 5, SEEK.HOLE), mebibyte + 5);
      equal(sys.lseek(fd, 2 * mebibyte, SEEK.HOLE), 3 * mebibyte);
      sys.ftruncate(fd, 3 * mebibyte);
      equal(sys.lseek(fd, 2 * mebibyte, SEEK.HOLE), 3 * mebibyte);
    });
  });
  seek.add(`SEEK_HOLE ${when} finds what was punched`, (p) => {
    sparse(p.path("a"), synced, (fd) => {
      sys.fallocate(fd, FALLOC.PUNCH_HOLE | FALLOC.KEEP_SIZE, mebibyte / 2, mebibyte / 4);
      equal(sys.lseek(fd, 0, SEEK.HOLE), mebibyte / 2);
      equal(sys.lseek(fd, mebibyte / 2, SEEK.DATA), (mebibyte / 4) * 3);
    });
  });
}

for (const whence of ["DATA", "HOLE"] as const) {
  seek.add(`SEEK_${whence} at or beyond the end is ENXIO`, (p) => {
    file(p.path("a"), "abc");
    opened(p.path("a"), O.RDONLY, (fd) => {
      fails("ENXIO", sys.lseek, fd, 3, SEEK[whence]);
      fails("ENXIO", sys.lseek, fd, 1000, SEEK[whence]);
      fails("ENXIO", sys.lseek, fd, -1, SEEK[whence]);
    });
  });
  seek.add(`SEEK_${whence} in an empty file is ENXIO`, (p) => {
    file(p.path("a"));
    opened(p.path("a"), O.RDONLY, (fd) => fails("ENXIO", sys.lseek, fd, 0, SEEK[whence]));
  });
  seek.add(`SEEK_${whence} moves the position`, (p) => {
    file(p.path("a"), "x".repeat(100));
    opened(p.path("a"), O.RDONLY, (fd) => {
      const at = sys.lseek(fd, 10, SEEK[whence]);
      equal(at, whence === "DATA" ? 10 : 100);
      equal(sys.lseek(fd, 0, SEEK.CUR), at);
    });
  });
}

seek.add("SEEK_DATA in a file that is one hole is ENXIO, SEEK_HOLE is the offset", (p) => {
  file(p.path("a"));
  sys.truncate(p.path("a"), 10 * mebibyte);
  opened(p.path("a"), O.RDONLY, (fd) => {
    fails("ENXIO", sys.lseek, fd, 0, SEEK.DATA);
    equal(sys.lseek(fd, 12_345, SEEK.HOLE), 12_345);
  });
});

export const holeCases = seek.all;
