/** Descriptors: wrong ones, files without a name, and limits. */
import { copyFileSync } from "node:fs";
import { spawn, spawnSync } from "node:child_process";
import { equal, fails, holds, suite } from "../case.ts";
import { FALLOC, O } from "../libc/constants.ts";
import { sys } from "../libc/sys.ts";
import { alice, contentOf, file, modeOf, namesIn, opened, pause, touchOpen } from "../steps.ts";

const cases = suite("descriptors");
export const descriptorCases = cases.all;

const calls: readonly (readonly [name: string, call: (fd: number) => void])[] = [
  ["read", (fd) => void sys.read(fd, 1)],
  ["write", (fd) => void sys.write(fd, "x")],
  ["pread", (fd) => void sys.pread(fd, 1, 0)],
  ["pwrite", (fd) => void sys.pwrite(fd, "x", 0)],
  ["lseek", (fd) => void sys.lseek(fd, 0, 0)],
  ["fstat", (fd) => void sys.fstat(fd)],
  ["ftruncate", (fd) => sys.ftruncate(fd, 0)],
  ["fchmod", (fd) => sys.fchmod(fd, 0o600)],
  ["fchown", (fd) => sys.fchown(fd, 1, 1)],
  ["futimens", (fd) => sys.futimens(fd, null)],
  ["fsync", (fd) => sys.fsync(fd)],
  ["fdatasync", (fd) => sys.fdatasync(fd)],
  ["fallocate", (fd) => sys.fallocate(fd, 0, 0, 1)],
  ["flock", (fd) => sys.flock(fd, 1)],
  ["fsetxattr", (fd) => sys.fsetxattr(fd, "user.a", "x")],
  ["fgetxattr", (fd) => void sys.fgetxattr(fd, "user.a")],
  ["flistxattr", (fd) => void sys.flistxattr(fd)],
  ["fremovexattr", (fd) => sys.fremovexattr(fd, "user.a")],
  ["fchdir", (fd) => sys.fchdir(fd)],
  ["fstatfs", (fd) => sys.fstatfs(fd)],
  ["dup", (fd) => void sys.dup(fd)],
  ["close", (fd) => sys.close(fd)],
];

for (const [name, call] of calls) {
  cases.add(`${name} of a closed one is EBADF`, (p) => {
    file(p.path("a"));
    const fd = sys.open(p.path("a"), O.RDWR);
    sys.close(fd);
    fails("EBADF", call, fd);
    fails("EBADF", call, -1);
  });
}

for (const [name, call] of calls) {
  if (["close", "dup", "fchdir", "fgetxattr", "fremovexattr"].includes(name)) continue;
  cases.add(`${name} works on an unlinked file`, (p) => {
    file(p.path("a"), "content");
    opened(p.path("a"), O.RDWR, (fd) => {
      sys.unlink(p.path("a"));
      call(fd);
      equal(sys.fstat(fd).nlink, 0);
    });
  });
}

const unlinked = suite("unlinked open files");

unlinked.add("can be written, truncated, punched and read to any size", (p) => {
  opened(p.path("a"), O.CREAT | O.RDWR, (fd) => {
    sys.unlink(p.path("a"));
    sys.write(fd, Buffer.alloc(2_000_000, "x"));
    sys.fsync(fd);
    sys.fallocate(fd, FALLOC.PUNCH_HOLE | FALLOC.KEEP_SIZE, 10, 100);
    sys.ftruncate(fd, 1000);
    equal(sys.pread(fd, 5000, 0).toString(), "x".repeat(10) + "\0".repeat(100) + "x".repeat(890));
    equal(sys.fstat(fd).size, 1000n);
  });
});

unlinked.add("keep xattrs, mode, owner and times that are set", (p) => {
  file(p.path("a"));
  opened(p.path("a"), O.RDWR, (fd) => {
    sys.unlink(p.path("a"));
    sys.fsetxattr(fd, "user.a", "x");
    sys.fchmod(fd, 0o4711);
    sys.fchown(fd, 5, 6);
    sys.fchmod(fd, 0o4711);
    sys.futimens(fd, [7n, 8n]);
    const { mode, uid, gid, atime, mtime } = sys.fstat(fd);
    equal([mode, uid, gid, atime, mtime], [0o104711, 5, 6, 7n, 8n]);
    equal(sys.fgetxattr(fd, "user.a").toString(), "x");
  });
});

unlinked.add("are another file than a new one of the name", (p) => {
  file(p.path("a"), "old");
  opened(p.path("a"), O.RDWR, (fd) => {
    sys.unlink(p.path("a"));
    file(p.path("a"), "new");
    equal(sys.pread(fd, 9, 0).toString(), "old");
    holds(sys.fstat(fd).ino !== sys.stat(p.path("a")).ino, "another inode");
    sys.pwrite(fd, "OLD", 0);
    equal(contentOf(p.path("a")), "new");
  });
});

unlinked.add("can be opened again through /proc/self/fd", (p) => {
  file(p.path("a"), "content");
  opened(p.path("a"), O.RDWR, (fd) => {
    sys.unlink(p.path("a"));
    opened(`/proc/self/fd/${String(fd)}`, O.RDWR, (again) => {
      equal(sys.read(again, 20).toString(), "content");
      sys.pwrite(again, "C", 0);
    });
    equal(sys.pread(fd, 20, 0).toString(), "Content");
  });
});

unlinked.add("live as long as one of two descriptors", (p) => {
  file(p.path("a"), "content");
  const one = sys.open(p.path("a"), O.RDONLY);
  const two = sys.open(p.path("a"), O.RDONLY);
  sys.unlink(p.path("a"));
  sys.close(one);
  pause(30);
  equal(sys.read(two, 20).toString(), "content");
  sys.close(two);
});

unlinked.add("a hundred at a time keep their contents", (p) => {
  const fds = Array.from({ length: 100 }, (_, i) => {
    const path = p.path(String(i));
    file(path, `content ${String(i)}`);
    const fd = sys.open(path, O.RDONLY);
    sys.unlink(path);
    return fd;
  });
  equal(namesIn(p.dir), []);
  fds.forEach((fd, i) => {
    equal(sys.read(fd, 30).toString(), `content ${String(i)}`);
    sys.close(fd);
  });
});

unlinked.add("the directory of one can be removed", (p) => {
  sys.mkdir(p.path("d"));
  file(p.path("d/a"), "content");
  opened(p.path("d/a"), O.RDONLY, (fd) => {
    sys.unlink(p.path("d/a"));
    sys.rmdir(p.path("d"));
    equal(sys.read(fd, 20).toString(), "content");
  });
});

export const unlinkedCases = unlinked.all;

const programs = suite("programs");

programs.add("a running one cannot be opened to write: ETXTBSY", (p) => {
  copyFileSync("/bin/sleep", p.path("sleep"));
  sys.chmod(p.path("sleep"), 0o755);
  const child = spawn(p.path("sleep"), ["30"]);
  try {
    pause(50);
    fails("ETXTBSY", touchOpen, p.path("sleep"), O.WRONLY);
    fails("ETXTBSY", touchOpen, p.path("sleep"), O.RDWR | O.TRUNC);
    fails("ETXTBSY", sys.truncate, p.path("sleep"), 0);
    touchOpen(p.path("sleep"), O.RDONLY);
    sys.unlink(p.path("sleep"));
  } finally {
    child.kill("SIGKILL");
  }
});

programs.add("one that is open to write cannot be run: ETXTBSY", (p) => {
  copyFileSync("/bin/true", p.path("true"));
  sys.chmod(p.path("true"), 0o755);
  opened(p.path("true"), O.WRONLY, () => {
    equal((spawnSync(p.path("true")).error as NodeJS.ErrnoException | undefined)?.code, "ETXTBSY");
  });
  equal(spawnSync(p.path("true")).status, 0);
});

programs.add("one without execute permission cannot be run: EACCES, also by root", (p) => {
  copyFileSync("/bin/true", p.path("true"));
  sys.chmod(p.path("true"), 0o644);
  equal((spawnSync(p.path("true")).error as NodeJS.ErrnoException | undefined)?.code, "EACCES");
});

programs.add("a script with an interpreter runs", (p) => {
  file(p.path("script"), "#!/bin/sh\nexit 7\n");
  sys.chmod(p.path("script"), 0o755);
  equal(spawnSync(p.path("script")).status, 7);
});

programs.add("one that was just written runs at once, ten times over", (p) => {
  for (let i = 0; i < 10; i++) {
    file(p.path("script"), `#!/bin/sh\nexit ${String(i)}\n`, 0o755);
    equal(spawnSync(p.path("script")).status, i);
  }
});

programs.add("a setuid one runs as its owner", (p) => {
  copyFileSync("/usr/bin/id", p.path("id"));
  sys.chown(p.path("id"), alice.uid, alice.uid);
  sys.chmod(p.path("id"), 0o4755);
  equal(modeOf(p.path("id")), 0o4755);
  equal(spawnSync(p.path("id"), ["-u"]).stdout.toString().trim(), String(alice.uid));
});

export const programCases = programs.all;
