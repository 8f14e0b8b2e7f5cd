/** Which operation moves which time of which inode. */
import { writeFileSync } from "node:fs";
import { equal, holds, suite, type Place } from "../case.ts";
import { O, RENAME } from "../libc/constants.ts";
import { sys } from "../libc/sys.ts";
import { contentOf, file, moved, namesIn, opened, pause, touchOpen } from "../steps.ts";

const cases = suite("times");
export const timeCases = cases.all;

interface Operation {
  readonly name: string;
  /** Before the moment in which nothing happens. The directory d with the file d/a is there. */
  readonly prepare?: (p: Place) => void;
  readonly act: (p: Place) => void;
  /** What moves of d, of d/a, and of other paths. */
  readonly moves: Readonly<Record<string, string>>;
}

const changed = "mtime ctime";
const operations: readonly Operation[] = [
  { name: "creat", act: (p) => touchOpen(p.path("d/new"), O.CREAT | O.WRONLY), moves: { d: changed, "d/a": "" } },
  {
    name: "open with O_CREAT of a file that is there",
    act: (p) => touchOpen(p.path("d/a"), O.CREAT | O.WRONLY),
    moves: { d: "", "d/a": "" },
  },
  { name: "open and close", act: (p) => touchOpen(p.path("d/a"), O.RDWR), moves: { d: "", "d/a": "" } },
  {
    name: "open with O_TRUNC",
    act: (p) => touchOpen(p.path("d/a"), O.WRONLY | O.TRUNC),
    moves: { d: "", "d/a": changed },
  },
  { name: "O_TMPFILE", act: (p) => touchOpen(p.path("d"), O.TMPFILE | O.RDWR), moves: { d: "" } },
  { name: "mkdir", act: (p) => sys.mkdir(p.path("d/new")), moves: { d: changed } },
  {
    name: "rmdir",
    prepare: (p) => sys.mkdir(p.path("d/new")),
    act: (p) => sys.rmdir(p.path("d/new")),
    moves: { d: changed },
  },
  { name: "mknod", act: (p) => sys.mknod(p.path("d/new"), 0o100644), moves: { d: changed } },
  { name: "symlink", act: (p) => sys.symlink("a", p.path("d/new")), moves: { d: changed, "d/a": "" } },
  { name: "link", act: (p) => sys.link(p.path("d/a"), p.path("d/new")), moves: { d: changed, "d/a": "ctime" } },
  {
    name: "link into another directory",
    prepare: (p) => sys.mkdir(p.path("e")),
    act: (p) => sys.link(p.path("d/a"), p.path("e/new")),
    moves: { d: "", e: changed, "d/a": "ctime" },
  },
  {
    name: "unlink of one of two names",
    prepare: (p) => sys.link(p.path("d/a"), p.path("d/b")),
    act: (p) => sys.unlink(p.path("d/b")),
    moves: { d: changed, "d/a": "ctime" },
  },
  {
    name: "rename of another file",
    prepare: (p) => file(p.path("d/b")),
    act: (p) => sys.rename(p.path("d/b"), p.path("d/c")),
    moves: { d: changed, "d/a": "" },
  },
  {
    name: "rename of the directory",
    act: (p) => {
      sys.rename(p.path("d"), p.path("e"));
      sys.rename(p.path("e"), p.path("d"));
    },
    moves: { d: "ctime", "d/a": "", "": changed },
  },
  {
    name: "EXCHANGE of two files",
    prepare: (p) => file(p.path("d/b")),
    act: (p) => sys.renameat2(p.path("d/a"), p.path("d/b"), RENAME.EXCHANGE),
    moves: { d: changed, "": "" },
  },
  {
    name: "a refused rename",
    prepare: (p) => sys.mkdir(p.path("e")),
    act: (p) => refused(() => sys.rename(p.path("d/a"), p.path("e"))),
    moves: { d: "", "d/a": "", e: "" },
  },
  { name: "a refused mkdir", act: (p) => refused(() => sys.mkdir(p.path("d/a"))), moves: { d: "", "d/a": "" } },
  { name: "a refused rmdir", act: (p) => refused(() => sys.rmdir(p.path("d"))), moves: { d: "", "": "" } },
  {
    name: "write",
    act: (p) => opened(p.path("d/a"), O.WRONLY, (fd) => void sys.write(fd, "x")),
    moves: { d: "", "d/a": changed },
  },
  {
    name: "write and fsync",
    act: (p) =>
      opened(p.path("d/a"), O.WRONLY, (fd) => {
        sys.write(fd, "x");
        sys.fsync(fd);
      }),
    moves: { d: "", "d/a": changed },
  },
  {
    name: "fsync without a write",
    act: (p) => opened(p.path("d/a"), O.WRONLY, (fd) => sys.fsync(fd)),
    moves: { "d/a": "" },
  },
  {
    name: "ftruncate to the same size",
    act: (p) => opened(p.path("d/a"), O.WRONLY, (fd) => sys.ftruncate(fd, 7)),
    moves: { "d/a": changed },
  },
  {
    name: "chmod of the directory",
    act: (p) => sys.chmod(p.path("d"), 0o700),
    moves: { d: "ctime", "d/a": "", "": "" },
  },
  { name: "chown of the file", act: (p) => sys.chown(p.path("d/a"), 1, 1), moves: { d: "", "d/a": "ctime" } },
  { name: "chown to -1:-1", act: (p) => sys.chown(p.path("d/a"), -1, -1), moves: { "d/a": "ctime" } },
  { name: "setxattr", act: (p) => sys.setxattr(p.path("d/a"), "user.a", "x"), moves: { d: "", "d/a": "ctime" } },
  {
    name: "getxattr and listxattr",
    act: (p) => {
      sys.listxattr(p.path("d/a"));
      refused(() => void sys.getxattr(p.path("d/a"), "user.a"));
    },
    moves: { "d/a": "" },
  },
  {
    name: "stat, access, statfs and readlink",
    act: (p) => {
      sys.stat(p.path("d/a"));
      sys.access(p.path("d/a"), 4);
      sys.statfs(p.path("d"));
      refused(() => void sys.readlink(p.path("d/a")));
    },
    moves: { d: "", "d/a": "" },
  },
  {
    name: "lseek",
    act: (p) => opened(p.path("d/a"), O.RDONLY, (fd) => void sys.lseek(fd, 3, 0)),
    moves: { "d/a": "" },
  },
  { name: "flock", act: (p) => opened(p.path("d/a"), O.RDONLY, (fd) => sys.flock(fd, 2)), moves: { "d/a": "" } },
  { name: "chdir", act: (p) => sys.chdir(p.path("d")), moves: { d: "" } },
  {
    name: "letting the kernel's caches go",
    prepare: (p) => void contentOf(p.path("d/a")),
    act: () => writeFileSync("/proc/sys/vm/drop_caches", "2"),
    moves: { d: "", "d/a": "" },
  },
  {
    name: "a file made below a subdirectory",
    prepare: (p) => sys.mkdir(p.path("d/e")),
    act: (p) => file(p.path("d/e/new")),
    moves: { d: "", "d/e": changed },
  },
];

function refused(act: () => void): void {
  try {
    act();
  } catch {
    return;
  }
  throw new Error("it was not refused");
}

for (const { name, prepare, act, moves } of operations) {
  for (const [path, wanted] of Object.entries(moves)) {
    const what = path === "" ? "the upper directory" : path;
    cases.add(`${name} moves ${wanted === "" ? "nothing" : wanted} of ${what}`, (p) => {
      sys.mkdir(p.path("d"));
      file(p.path("d/a"), "content");
      prepare?.(p);
      // Read once: the relatime rule has had its turn.
      namesIn(p.path("d"));
      equal(
        moved(path === "" ? p.dir : p.path(path), () => act(p)),
        wanted,
      );
    });
  }
}

cases.add("ctime never goes back over fifty changes", (p) => {
  file(p.path("a"));
  let last = 0n;
  for (let i = 0; i < 50; i++) {
    sys.chmod(p.path("a"), i % 2 === 0 ? 0o600 : 0o644);
    const { ctime } = sys.stat(p.path("a"));
    holds(ctime >= last, "ctime");
    last = ctime;
  }
});

cases.add("what is made later has later times", (p) => {
  let last = 0n;
  for (let i = 0; i < 10; i++) {
    file(p.path(String(i)));
    const { mtime } = sys.stat(p.path(String(i)));
    holds(mtime > last, "mtime");
    last = mtime;
    pause();
  }
});

cases.add("what is made later never has earlier times, however quickly it follows", (p) => {
  let last = 0n;
  for (let i = 0; i < 300; i++) {
    sys.mknod(p.path(String(i)), 0o100644);
    const { mtime } = sys.stat(p.path(String(i)));
    holds(mtime >= last, `file ${String(i)} is ${String(last - mtime)} ns older than the one before`);
    last = mtime;
  }
});

cases.add("a write later than another never has an earlier time, however quickly it follows", (p) => {
  file(p.path("a"));
  file(p.path("b"));
  opened(p.path("a"), O.WRONLY, (one) =>
    opened(p.path("b"), O.WRONLY, (two) => {
      let last = 0n;
      for (let i = 0; i < 300; i++) {
        const fd = i % 2 === 0 ? one : two;
        sys.pwrite(fd, "x", i);
        const { mtime } = sys.fstat(fd);
        holds(mtime >= last, `write ${String(i)} is ${String(last - mtime)} ns older than the one before`);
        last = mtime;
      }
    }),
  );
});

for (const [name, atime, mtime, moves] of [
  ["older than mtime", 1n, 2n, "atime"],
  ["a day old", 1_000_000_000n * 1_000_000_000n, 2n, "atime"],
] as const) {
  cases.add(`a read moves an atime that is ${name}`, (p) => {
    file(p.path("a"), "abc");
    sys.utimensat(p.path("a"), [atime, mtime]);
    equal(
      moved(p.path("a"), () => void contentOf(p.path("a"))),
      moves,
    );
  });
}

cases.add("a read of nothing at the end moves no atime of a file that was just read", (p) => {
  file(p.path("a"), "abc");
  contentOf(p.path("a"));
  pause();
  contentOf(p.path("a"));
  equal(
    moved(p.path("a"), () => opened(p.path("a"), O.RDONLY, (fd) => void sys.pread(fd, 10, 100))),
    "",
  );
});

cases.add("ctime and mtime of a write are the same moment", (p) => {
  file(p.path("a"));
  pause();
  opened(p.path("a"), O.WRONLY, (fd) => {
    sys.write(fd, "x");
    const { mtime, ctime } = sys.fstat(fd);
    equal(mtime, ctime);
  });
});

cases.add("of a written file stay after close and fsync", (p) => {
  const fd = sys.open(p.path("a"), O.CREAT | O.WRONLY);
  sys.write(fd, "x".repeat(50_000));
  const { mtime, ctime } = sys.fstat(fd);
  pause();
  sys.fsync(fd);
  equal([sys.fstat(fd).mtime, sys.fstat(fd).ctime], [mtime, ctime]);
  sys.close(fd);
  pause(30);
  equal([sys.stat(p.path("a")).mtime, sys.stat(p.path("a")).ctime], [mtime, ctime]);
});
