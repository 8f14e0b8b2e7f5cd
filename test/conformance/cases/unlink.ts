import { equal, fails, holds, suite } from "../case.ts";
import { O } from "../libc/constants.ts";
import { sys } from "../libc/sys.ts";

const cases = suite("unlink");
export const unlinkCases = cases.all;

function file(path: string, content = ""): void {
  const fd = sys.open(path, O.CREAT | O.WRONLY, 0o644);
  if (content !== "") sys.write(fd, content);
  sys.close(fd);
}

cases.add("removes a file", (p) => {
  file(p.path("a"));
  sys.unlink(p.path("a"));
  fails("ENOENT", () => sys.lstat(p.path("a")));
});

cases.add("of an absent name is ENOENT", (p) => {
  fails("ENOENT", () => {
    sys.unlink(p.path("a"));
  });
});

cases.add("of a directory is EISDIR", (p) => {
  sys.mkdir(p.path("d"));
  fails("EISDIR", () => {
    sys.unlink(p.path("d"));
  });
});

cases.add("removes a symlink, not its target", (p) => {
  file(p.path("a"), "x");
  sys.symlink("a", p.path("l"));
  sys.unlink(p.path("l"));
  equal(sys.stat(p.path("a")).size, 1n);
});

cases.add("leaves an open file usable, with no links", (p) => {
  file(p.path("a"), "content");
  const fd = sys.open(p.path("a"), O.RDWR);
  sys.unlink(p.path("a"));
  equal(sys.fstat(fd).nlink, 0);
  equal(sys.pread(fd, 20, 0).toString(), "content");
  sys.pwrite(fd, "C", 0);
  equal(sys.pread(fd, 20, 0).toString(), "Content");
  sys.close(fd);
});

cases.add("updates the directory's mtime and ctime, and the ctime of a remaining link", (p) => {
  file(p.path("a"));
  sys.link(p.path("a"), p.path("b"));
  const before = sys.stat(p.dir);
  const link = sys.stat(p.path("b"));
  equal(link.nlink, 2);
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 20);
  sys.unlink(p.path("a"));
  holds(sys.stat(p.dir).mtime > before.mtime, "directory mtime");
  holds(sys.stat(p.dir).ctime > before.ctime, "directory ctime");
  equal(sys.stat(p.path("b")).nlink, 1);
  holds(sys.stat(p.path("b")).ctime > link.ctime, "ctime of the other link");
});

cases.add("is EACCES in a directory without write permission", (p) => {
  sys.mkdir(p.path("d"), 0o755);
  file(p.path("d/a"));
  fails("EACCES", () => {
    sys.as({ uid: 65_534 }, () => {
      sys.unlink(p.path("d/a"));
    });
  });
});

cases.add("is EPERM in a sticky directory for somebody else's file", (p) => {
  sys.mkdir(p.path("d"));
  sys.chmod(p.path("d"), 0o1777);
  file(p.path("d/a"));
  fails("EPERM", () => {
    sys.as({ uid: 65_534 }, () => {
      sys.unlink(p.path("d/a"));
    });
  });
});

cases.add("of another process' open file leaves it to that process", (p) => {
  file(p.path("a"), "abc");
  const fd = p.peer.call("open", p.path("a"), O.RDONLY);
  sys.unlink(p.path("a"));
  equal(p.peer.call("pread", fd, 3, 0).toString(), "abc");
  p.peer.call("close", fd);
});
