/** What every call that takes a path must answer when the way to the file is wrong. */
import { fails, suite, type Place } from "../case.ts";
import type { Path } from "../libc/calls.ts";
import { AT, O } from "../libc/constants.ts";
import { Directory } from "../libc/directory.ts";
import { sys } from "../libc/sys.ts";
import { file, nobody, touchOpen } from "../steps.ts";

const cases = suite("path errors");
export const pathErrorCases = cases.all;

interface PathCall {
  readonly name: string;
  readonly call: (path: Path, p: Place) => void;
  /** Succeeds on an absent name. */
  readonly makes?: true;
  /** Does not follow a symlink in the last place. */
  readonly noFollow?: true;
}

const calls: readonly PathCall[] = [
  { name: "open", call: (path) => sys.close(sys.open(path, O.RDONLY)) },
  { name: "open for writing", call: (path) => sys.close(sys.open(path, O.WRONLY)) },
  { name: "open with O_TRUNC", call: (path) => sys.close(sys.open(path, O.WRONLY | O.TRUNC)) },
  { name: "open with O_PATH", call: (path) => sys.close(sys.open(path, O.PATH)) },
  { name: "open with O_DIRECTORY", call: (path) => sys.close(sys.open(path, O.DIRECTORY)) },
  { name: "open with O_CREAT", call: (path) => touchOpen(path, O.CREAT | O.WRONLY), makes: true },
  {
    name: "open with O_EXCL",
    call: (path) => touchOpen(path, O.CREAT | O.EXCL | O.WRONLY),
    makes: true,
    noFollow: true,
  },
  { name: "open with O_TMPFILE", call: (path) => sys.close(sys.open(path, O.TMPFILE | O.RDWR)) },
  { name: "opendir", call: (path) => new Directory(path).close() },
  { name: "mkdir", call: (path) => sys.mkdir(path), makes: true, noFollow: true },
  { name: "mknod", call: (path) => sys.mknod(path, 0o100644), makes: true, noFollow: true },
  { name: "mkfifo", call: (path) => sys.mkfifo(path), makes: true, noFollow: true },
  { name: "symlink", call: (path) => sys.symlink("target", path), makes: true, noFollow: true },
  { name: "link to it", call: (path, p) => sys.link(p.path("other"), path), makes: true, noFollow: true },
  { name: "link from it", call: (path, p) => sys.link(path, p.path("new")), noFollow: true },
  { name: "rename to it", call: (path, p) => sys.rename(p.path("other"), path), makes: true, noFollow: true },
  { name: "rename from it", call: (path, p) => sys.rename(path, p.path("new")), noFollow: true },
  { name: "unlink", call: (path) => sys.unlink(path), noFollow: true },
  { name: "rmdir", call: (path) => sys.rmdir(path), noFollow: true },
  { name: "readlink", call: (path) => sys.readlink(path), noFollow: true },
  { name: "stat", call: (path) => sys.stat(path) },
  { name: "lstat", call: (path) => sys.lstat(path), noFollow: true },
  { name: "statfs", call: (path) => sys.statfs(path) },
  { name: "access", call: (path) => sys.access(path, 0) },
  { name: "chmod", call: (path) => sys.chmod(path, 0o600) },
  { name: "chown", call: (path) => sys.chown(path, 1, 1) },
  { name: "lchown", call: (path) => sys.lchown(path, 1, 1), noFollow: true },
  { name: "truncate", call: (path) => sys.truncate(path, 0) },
  { name: "utimensat", call: (path) => sys.utimensat(path, [1n, 1n]) },
  {
    name: "utimensat of a symlink",
    call: (path) => sys.utimensat(path, [1n, 1n], AT.SYMLINK_NOFOLLOW),
    noFollow: true,
  },
  { name: "setxattr", call: (path) => sys.setxattr(path, "user.a", "x") },
  { name: "getxattr", call: (path) => sys.getxattr(path, "user.a") },
  { name: "lgetxattr", call: (path) => sys.lgetxattr(path, "user.a"), noFollow: true },
  { name: "listxattr", call: (path) => sys.listxattr(path) },
  { name: "removexattr", call: (path) => sys.removexattr(path, "user.a") },
  { name: "chdir", call: (path) => sys.chdir(path) },
];

const long256 = "n".repeat(256);

/** An absolute path of so many bytes, all its components short and none of them there. */
function longPath(p: Place, bytes: number): string {
  const missing = bytes - p.dir.length;
  return p.dir + "/x".repeat(Math.floor(missing / 2) - 1) + (missing % 2 === 0 ? "/x" : "/xx");
}

for (const { name, call, makes, noFollow } of calls) {
  cases.add(`${name} through a regular file is ENOTDIR`, (p) => {
    file(p.path("other"));
    file(p.path("a"));
    fails("ENOTDIR", call, p.path("a/b"), p);
  });
  cases.add(`${name} through a fifo is ENOTDIR`, (p) => {
    file(p.path("other"));
    sys.mkfifo(p.path("a"));
    fails("ENOTDIR", call, p.path("a/b"), p);
  });
  cases.add(`${name} through a symlink to a file is ENOTDIR`, (p) => {
    file(p.path("other"));
    sys.symlink("other", p.path("a"));
    fails("ENOTDIR", call, p.path("a/b"), p);
  });
  cases.add(`${name} through an absent directory is ENOENT`, (p) => {
    file(p.path("other"));
    fails("ENOENT", call, p.path("absent/b"), p);
  });
  cases.add(`${name} through a dangling symlink is ENOENT`, (p) => {
    file(p.path("other"));
    sys.symlink("absent", p.path("a"));
    fails("ENOENT", call, p.path("a/b"), p);
  });
  cases.add(`${name} through a symlink to itself is ELOOP`, (p) => {
    file(p.path("other"));
    sys.symlink("loop", p.path("loop"));
    fails("ELOOP", call, p.path("loop/b"), p);
  });
  cases.add(`${name} of a name of 256 bytes is ENAMETOOLONG`, (p) => {
    file(p.path("other"));
    fails("ENAMETOOLONG", call, p.path(long256), p);
  });
  cases.add(`${name} through a name of 256 bytes is ENAMETOOLONG`, (p) => {
    file(p.path("other"));
    fails("ENAMETOOLONG", call, p.path(`${long256}/b`), p);
  });
  cases.add(`${name} of a path of 4096 bytes is ENAMETOOLONG, of 4095 bytes ENOENT`, (p) => {
    file(p.path("other"));
    fails("ENAMETOOLONG", call, longPath(p, 4096), p);
    fails("ENOENT", call, longPath(p, 4095), p);
  });
  cases.add(`${name} of an empty path is ENOENT`, (p) => {
    file(p.path("other"));
    fails("ENOENT", call, "", p);
  });
  cases.add(`${name} in a directory without search permission is EACCES`, (p) => {
    sys.mkdir(p.path("d"));
    file(p.path("d/a"));
    file(p.path("other"));
    sys.chown(p.path("d/a"), nobody.uid, nobody.uid);
    sys.chown(p.path("other"), nobody.uid, nobody.uid);
    sys.chmod(p.path("d"), 0o766);
    sys.as(nobody, () => {
      fails("EACCES", call, p.path("d/a"), p);
      fails("EACCES", call, p.path("d/absent"), p);
    });
  });
  if (makes !== true) {
    cases.add(`${name} of an absent name is ENOENT`, (p) => {
      fails("ENOENT", call, p.path("absent"), p);
    });
  }
  if (noFollow !== true) {
    cases.add(`${name} of a symlink to itself is ELOOP`, (p) => {
      sys.symlink("loop", p.path("loop"));
      fails("ELOOP", call, p.path("loop"), p);
    });
    if (makes !== true) {
      cases.add(`${name} of a dangling symlink is ENOENT`, (p) => {
        sys.symlink("absent", p.path("l"));
        fails("ENOENT", call, p.path("l"), p);
      });
    }
  } else if (makes === true && !name.startsWith("rename")) {
    cases.add(`${name} where a dangling symlink is, is EEXIST`, (p) => {
      file(p.path("other"));
      sys.symlink("absent", p.path("l"));
      fails("EEXIST", call, p.path("l"), p);
    });
  }
}
