/** copy_file_range and sendfile. */
import { equal, fails, holds, suite } from "../case.ts";
import { O } from "../libc/constants.ts";
import { sys } from "../libc/sys.ts";
import { alice, contentOf, file, modeOf, moved, opened, ownedFile } from "../steps.ts";

const cases = suite("copy_file_range");
export const copyRangeCases = cases.all;

/** Copies all of it, however many calls that takes. */
function copyAll(from: number, fromOffset: number, to: number, toOffset: number, length: number): number {
  let done = 0;
  while (done < length) {
    const count = sys.copyFileRange(from, fromOffset + done, to, toOffset + done, length - done);
    if (count === 0) break;
    done += count;
  }
  return done;
}

function between<T>(from: string, to: string, run: (from: number, to: number) => T): T {
  return opened(from, O.RDONLY, (source) => opened(to, O.CREAT | O.RDWR, (target) => run(source, target)));
}

for (const bytes of [1, 100, 4096, 5000, 100_000, 3_000_000]) {
  for (const synced of [false, true]) {
    cases.add(`copies ${String(bytes)} bytes ${synced ? "that were synced" : "just written"}`, (p) => {
      const content = Buffer.alloc(bytes, "0123456789abcdef!");
      file(p.path("a"), content);
      if (synced) opened(p.path("a"), O.RDWR, (fd) => sys.fsync(fd));
      between(p.path("a"), p.path("b"), (from, to) => equal(copyAll(from, 0, to, 0, bytes), bytes));
      holds(contentOf(p.path("b")) === content.toString("latin1"), "content");
    });
  }
}

for (const [from, to, length] of [
  [0, 0, 10],
  [3, 0, 5000],
  [0, 3, 5000],
  [4096, 8192, 4096],
  [4000, 50_000, 10_000],
  [1, 99_999, 12_345],
] as const) {
  cases.add(`copies ${String(length)} bytes from ${String(from)} to ${String(to)} and nothing else`, (p) => {
    const source = Buffer.alloc(60_000, "0123456789abcdef!");
    const target = Buffer.alloc(Math.max(70_000, to + length), 0);
    target.fill("-", 0, 70_000);
    file(p.path("a"), source);
    file(p.path("b"), target.subarray(0, 70_000));
    between(p.path("a"), p.path("b"), (one, two) => equal(copyAll(one, from, two, to, length), length));
    source.copy(target, to, from, from + length);
    holds(contentOf(p.path("b")) === target.toString("latin1"), "content");
  });
}

cases.add("uses and moves the descriptors' positions", (p) => {
  file(p.path("a"), "0123456789");
  between(p.path("a"), p.path("b"), (from, to) => {
    sys.lseek(from, 2, 0);
    equal(sys.copyFileRange(from, null, to, null, 3), 3);
    equal(sys.copyFileRange(from, null, to, null, 3), 3);
    equal([sys.lseek(from, 0, 1), sys.lseek(to, 0, 1)], [8, 6]);
  });
  equal(contentOf(p.path("b")), "234567");
});

cases.add("stops at the end of the source and is 0 behind it", (p) => {
  file(p.path("a"), "abc");
  between(p.path("a"), p.path("b"), (from, to) => {
    equal(sys.copyFileRange(from, 1, to, 0, 100), 2);
    equal(sys.copyFileRange(from, 3, to, 2, 100), 0);
    equal(sys.copyFileRange(from, 50, to, 2, 100), 0);
  });
  equal(contentOf(p.path("b")), "bc");
});

cases.add("copies holes as zeros", (p) => {
  opened(p.path("a"), O.CREAT | O.RDWR, (fd) => {
    sys.pwrite(fd, "end", 100_000);
    opened(p.path("b"), O.CREAT | O.RDWR, (to) => equal(copyAll(fd, 0, to, 0, 100_003), 100_003));
  });
  holds(contentOf(p.path("b")) === "\0".repeat(100_000) + "end", "content");
});

cases.add("leaves both files independent of each other", (p) => {
  file(p.path("a"), "x".repeat(100_000));
  between(p.path("a"), p.path("b"), (from, to) => copyAll(from, 0, to, 0, 100_000));
  opened(p.path("a"), O.WRONLY, (fd) => sys.pwrite(fd, "AAAA", 50_000));
  opened(p.path("b"), O.WRONLY, (fd) => sys.pwrite(fd, "BBBB", 20_000));
  equal(contentOf(p.path("a")).indexOf("B"), -1);
  equal(contentOf(p.path("b")).indexOf("A"), -1);
  sys.unlink(p.path("a"));
  equal(contentOf(p.path("b")).slice(19_999, 20_005), "xBBBBx");
});

cases.add("within one file copies without overlap", (p) => {
  file(p.path("a"), "0123456789");
  opened(p.path("a"), O.RDWR, (fd) => equal(copyAll(fd, 0, fd, 5, 5), 5));
  equal(contentOf(p.path("a")), "0123401234");
});

cases.add("within one file with overlap is EINVAL", (p) => {
  file(p.path("a"), "0123456789");
  opened(p.path("a"), O.RDWR, (fd) => fails("EINVAL", sys.copyFileRange, fd, 0, fd, 3, 5));
  equal(contentOf(p.path("a")), "0123456789");
});

cases.add("moves mtime and ctime of the target", (p) => {
  file(p.path("a"), "abc");
  file(p.path("b"));
  between(p.path("a"), p.path("b"), (from, to) =>
    equal(
      moved(p.path("b"), () => void sys.copyFileRange(from, 0, to, 0, 3)),
      "mtime ctime",
    ),
  );
});

cases.add("by a user clears setuid and setgid of the target", (p) => {
  file(p.path("a"), "abc");
  ownedFile(p.path("b"), alice.uid, 0o6755);
  sys.as(alice, () => between(p.path("a"), p.path("b"), (from, to) => sys.copyFileRange(from, 0, to, 0, 3)));
  equal(modeOf(p.path("b")), 0o755);
});

cases.add("to a descriptor opened to read, or from one opened to write, is EBADF", (p) => {
  file(p.path("a"), "abc");
  file(p.path("b"), "def");
  opened(p.path("a"), O.RDONLY, (one) =>
    opened(p.path("b"), O.RDONLY, (two) => fails("EBADF", sys.copyFileRange, one, 0, two, 0, 3)),
  );
  opened(p.path("a"), O.WRONLY, (one) =>
    opened(p.path("b"), O.WRONLY, (two) => fails("EBADF", sys.copyFileRange, one, 0, two, 0, 3)),
  );
});

cases.add("to a descriptor with O_APPEND is EBADF", (p) => {
  file(p.path("a"), "abc");
  file(p.path("b"), "def");
  opened(p.path("a"), O.RDONLY, (one) =>
    opened(p.path("b"), O.WRONLY | O.APPEND, (two) => fails("EBADF", sys.copyFileRange, one, 0, two, 0, 3)),
  );
});

cases.add("of a directory is EISDIR", (p) => {
  file(p.path("a"), "abc");
  opened(p.dir, O.RDONLY, (one) =>
    opened(p.path("a"), O.RDWR, (two) => fails("EISDIR", sys.copyFileRange, one, 0, two, 0, 3)),
  );
});

cases.add("beyond the largest file is EFBIG", (p) => {
  file(p.path("a"), "abc");
  between(p.path("a"), p.path("b"), (from, to) =>
    fails("EFBIG", sys.copyFileRange, from, 0, to, Number.MAX_SAFE_INTEGER, 3),
  );
});

cases.add("sendfile copies between files", (p) => {
  file(p.path("a"), "x".repeat(100_000));
  between(p.path("a"), p.path("b"), (from, to) => {
    while (sys.sendfile(to, from, 1 << 20) > 0);
  });
  holds(contentOf(p.path("b")) === "x".repeat(100_000), "content");
});
