/** utimensat, futimens. */
import { equal, fails, holds, suite } from "../case.ts";
import { AT, O } from "../libc/constants.ts";
import { sys } from "../libc/sys.ts";
import { alice, bob, file, moved, opened, ownedFile, pause } from "../steps.ts";

const cases = suite("utimens");
export const utimensCases = cases.all;

const second = 1_000_000_000n;

cases.add("of the year 2400 succeeds, and is kept or the last time that can be", (p) => {
  file(p.path("a"));
  const time = 13_569_465_600n * second;
  sys.utimensat(p.path("a"), [time, time]);
  const { mtime } = sys.stat(p.path("a"));
  holds(mtime <= time && mtime > 9_000_000_000n * second, String(mtime));
});

type Time = bigint | "now" | "omit";

for (const [name, time] of [
  ["0", 0n],
  ["1 ns", 1n],
  ["999999999 ns", 999_999_999n],
  ["2001", 1_000_000_000n * second + 123_456_789n],
  ["2038, the last second of 32 bits", (2n ** 31n - 1n) * second + 999_999_999n],
  ["2038, the first second after", 2n ** 31n * second + 1n],
  ["2106", 2n ** 32n * second + 5n],
  ["2261", 9_183_110_400n * second + 42n],
  ["1969", -1n * second],
  ["1969 with nanoseconds", -5n * second + 123_456_789n],
  ["1902", -2_147_480_000n * second],
] as const) {
  for (const kind of ["file", "directory", "symlink"]) {
    cases.add(`keeps ${name} of a ${kind} exactly`, (p) => {
      if (kind === "file") file(p.path("a"));
      else if (kind === "directory") sys.mkdir(p.path("a"));
      else sys.symlink("absent", p.path("a"));
      sys.utimensat(p.path("a"), [time, time + 1n], AT.SYMLINK_NOFOLLOW);
      const { atime, mtime } = sys.lstat(p.path("a"));
      equal([atime, mtime], [time, time + 1n]);
    });
  }
}

const set: Time = 1_500_000_000_123_456_789n;
for (const [times, changed] of [
  [["now", "now"], "atime mtime ctime"],
  [["now", "omit"], "atime ctime"],
  [["omit", "now"], "mtime ctime"],
  [["omit", "omit"], ""],
] as const) {
  cases.add(`with ${times.join(" and ")} moves ${changed === "" ? "nothing" : changed}`, (p) => {
    file(p.path("a"));
    equal(
      moved(p.path("a"), () => sys.utimensat(p.path("a"), times)),
      changed,
    );
  });
}

cases.add("with a null pointer sets both to now", (p) => {
  file(p.path("a"));
  equal(
    moved(p.path("a"), () => sys.utimensat(p.path("a"), null)),
    "atime mtime ctime",
  );
});

cases.add("with one time and omit leaves the other", (p) => {
  file(p.path("a"));
  const before = sys.stat(p.path("a"));
  sys.utimensat(p.path("a"), [set, "omit"]);
  equal([sys.stat(p.path("a")).atime, sys.stat(p.path("a")).mtime], [set, before.mtime]);
  sys.utimensat(p.path("a"), ["omit", set + 1n]);
  equal([sys.stat(p.path("a")).atime, sys.stat(p.path("a")).mtime], [set, set + 1n]);
});

cases.add("moves ctime to now, whatever is set", (p) => {
  file(p.path("a"));
  const before = sys.stat(p.path("a")).ctime;
  pause();
  sys.utimensat(p.path("a"), [1n, 2n]);
  holds(sys.stat(p.path("a")).ctime > before, "ctime");
});

cases.add("follows a symlink unless told not to", (p) => {
  file(p.path("a"));
  sys.symlink("a", p.path("l"));
  sys.utimensat(p.path("l"), [1n, 2n]);
  sys.utimensat(p.path("l"), [3n, 4n], AT.SYMLINK_NOFOLLOW);
  equal([sys.stat(p.path("a")).mtime, sys.lstat(p.path("l")).mtime], [2n, 4n]);
});

cases.add("futimens works on a descriptor opened to read", (p) => {
  file(p.path("a"));
  opened(p.path("a"), O.RDONLY, (fd) => sys.futimens(fd, [5n, 6n]));
  equal(sys.stat(p.path("a")).mtime, 6n);
});

cases.add("futimens after a write stays when the file is closed", (p) => {
  opened(p.path("a"), O.CREAT | O.WRONLY, (fd) => {
    sys.write(fd, "abc");
    sys.futimens(fd, [5n, 6n]);
  });
  pause(30);
  const { atime, mtime, size } = sys.stat(p.path("a"));
  equal([atime, mtime, size], [5n, 6n, 3n]);
});

cases.add("futimens after a write stays after fsync", (p) => {
  opened(p.path("a"), O.CREAT | O.WRONLY, (fd) => {
    sys.write(fd, "x".repeat(100_000));
    sys.futimens(fd, [5n, 6n]);
    sys.fsync(fd);
    equal(sys.fstat(fd).mtime, 6n);
  });
});

cases.add("by the owner sets any time", (p) => {
  ownedFile(p.path("a"), alice.uid, 0o000);
  sys.as(alice, () => sys.utimensat(p.path("a"), [1n, 2n]));
  equal(sys.stat(p.path("a")).mtime, 2n);
});

// Who is not the owner may say "now" with write permission, and nothing else.
for (const [mode, times, errno] of [
  [0o666, null, undefined],
  [0o666, ["now", "now"], undefined],
  [0o666, [1n, 2n], "EPERM"],
  [0o666, ["now", 2n], "EPERM"],
  [0o666, ["now", "omit"], "EPERM"],
  [0o666, ["omit", "now"], "EPERM"],
  [0o666, ["omit", "omit"], undefined],
  [0o644, null, "EACCES"],
  [0o644, ["now", "now"], "EACCES"],
  [0o644, [1n, 2n], "EPERM"],
  [0o644, ["omit", "omit"], undefined],
] as const) {
  const named = times === null ? "null" : times.join(" and ");
  cases.add(`with ${named} by somebody else on mode ${mode.toString(8)} ${errno ?? "works"}`, (p) => {
    ownedFile(p.path("a"), alice.uid, mode);
    sys.as(bob, () => {
      if (errno === undefined) sys.utimensat(p.path("a"), times);
      else fails(errno, sys.utimensat, p.path("a"), times);
    });
  });
}

cases.add("survives a rename, a link and a chmod", (p) => {
  file(p.path("a"));
  sys.utimensat(p.path("a"), [5n, 6n]);
  sys.rename(p.path("a"), p.path("b"));
  sys.link(p.path("b"), p.path("c"));
  sys.chmod(p.path("c"), 0o600);
  const { atime, mtime } = sys.stat(p.path("c"));
  equal([atime, mtime], [5n, 6n]);
});

cases.add("is undone by the next write", (p) => {
  file(p.path("a"));
  sys.utimensat(p.path("a"), [5n, 6n]);
  opened(p.path("a"), O.WRONLY, (fd) => sys.write(fd, "x"));
  holds(sys.stat(p.path("a")).mtime > 10n ** 18n, "mtime is now");
});
