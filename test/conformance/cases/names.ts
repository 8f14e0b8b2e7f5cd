/** Names and paths: which bytes, how long, and what the umask does to what they are made with. */
import { equal, fails, suite } from "../case.ts";
import { O } from "../libc/constants.ts";
import { sys } from "../libc/sys.ts";
import { contentOf, file, modeOf, namesIn, touchOpen } from "../steps.ts";

const cases = suite("names");
export const nameCases = cases.all;

for (const [what, name] of [
  ["of one byte", Buffer.from("a")],
  ["of 255 bytes", Buffer.alloc(255, "n")],
  ["of 255 bytes of UTF-8", Buffer.from("é".repeat(127) + "x")],
  ["with spaces, tabs and newlines", Buffer.from(" a\tb\n ")],
  ["that begins with a dash", Buffer.from("-rf")],
  ["of three dots", Buffer.from("...")],
  ["with a backslash and quotes", Buffer.from("\\\"'`$*?")],
  ["of control characters", Buffer.from([1, 2, 0x1b, 0x7f])],
  ["that is not UTF-8", Buffer.from([0xff, 0xfe, 0x80, 0xc3])],
  ["of a lone continuation byte", Buffer.from([0x80])],
  ["of an overlong sequence", Buffer.from([0xc0, 0xaf])],
  ["with a surrogate in UTF-8", Buffer.from([0xed, 0xa0, 0x80])],
  ["beyond the BMP", Buffer.from("🗂️")],
  ["with a combining accent", Buffer.from("e\u0301")],
  ["that looks like a number", Buffer.from("0x10")],
  ["__proto__", Buffer.from("__proto__")],
] as const) {
  for (const kind of ["file", "directory", "symlink"]) {
    cases.add(`a ${kind} ${what} is made, listed, renamed and removed`, (p) => {
      const path = Buffer.concat([Buffer.from(`${p.dir}/`), name]);
      if (kind === "file") file(path, "content");
      else if (kind === "directory") sys.mkdir(path);
      else sys.symlink(name, path);
      equal(namesIn(p.dir), [name.toString("latin1")]);
      const { ino } = sys.lstat(path);
      sys.rename(path, p.path("other"));
      fails("ENOENT", sys.lstat, path);
      sys.rename(p.path("other"), path);
      equal(sys.lstat(path).ino, ino);
      if (kind === "symlink") equal(sys.readlink(path).toString("hex"), name.toString("hex"));
      if (kind === "file") equal(contentOf(path), "content");
      if (kind === "directory") sys.rmdir(path);
      else sys.unlink(path);
      equal(namesIn(p.dir), []);
    });
  }
}

cases.add("differ by case", (p) => {
  file(p.path("name"), "small");
  file(p.path("NAME"), "big");
  equal(namesIn(p.dir), ["NAME", "name"]);
  equal([contentOf(p.path("name")), contentOf(p.path("NAME"))], ["small", "big"]);
});

cases.add("composed and decomposed accents are two names", (p) => {
  file(p.path("\u00e9"), "composed");
  file(p.path("e\u0301"), "decomposed");
  equal(namesIn(p.dir).length, 2);
  equal(contentOf(p.path("\u00e9")), "composed");
});

cases.add("slashes are collapsed and dots skipped", (p) => {
  sys.mkdir(p.path("d"));
  file(p.path("d/a"), "x");
  equal(contentOf(`${p.dir}//d///a`), "x");
  equal(contentOf(`${p.dir}/./d/../d/./a`), "x");
});

cases.add("a path of 4095 bytes reaches its file", (p) => {
  file(p.path("a"), "x");
  const room = 4095 - p.dir.length - 2;
  const path = `${p.dir}${"/.".repeat(Math.floor(room / 2))}${room % 2 === 0 ? "" : "/"}/a`;
  equal(path.length, 4095);
  equal(contentOf(path), "x");
  fails("ENAMETOOLONG", sys.stat, `/${path}`);
});

cases.add("an absent name that was looked up is there once it is made", (p) => {
  for (const name of ["a", "b", "c"]) {
    for (let i = 0; i < 3; i++) fails("ENOENT", sys.stat, p.path(name));
  }
  file(p.path("a"));
  sys.mkdir(p.path("b"));
  sys.link(p.path("a"), p.path("c"));
  for (const name of ["a", "b", "c"]) sys.stat(p.path(name));
});

cases.add("an absent name that another process makes is there", (p) => {
  for (let i = 0; i < 3; i++) fails("ENOENT", sys.stat, p.path("a"));
  p.peer.call("mkdir", p.path("a"));
  sys.stat(p.path("a"));
  p.peer.call("rmdir", p.path("a"));
  fails("ENOENT", sys.stat, p.path("a"));
});

const umask = suite("umask");
for (const mask of [0, 0o002, 0o022, 0o027, 0o077, 0o777]) {
  umask.add(`${mask.toString(8)} counts for open, mkdir, mknod, mkfifo and O_TMPFILE`, (p) => {
    sys.umask(mask);
    touchOpen(p.path("file"), O.CREAT | O.WRONLY, 0o666);
    sys.mkdir(p.path("directory"), 0o777);
    sys.mknod(p.path("node"), 0o100666);
    sys.mkfifo(p.path("fifo"), 0o666);
    const fd = sys.open(p.dir, O.TMPFILE | O.RDWR, 0o666);
    sys.symlink("x", p.path("symlink"));
    equal(
      [modeOf(p.path("file")), modeOf(p.path("directory")), modeOf(p.path("node")), modeOf(p.path("fifo"))],
      [0o666 & ~mask, 0o777 & ~mask, 0o666 & ~mask, 0o666 & ~mask],
    );
    equal(sys.fstat(fd).mode & 0o777, 0o666 & ~mask);
    equal(modeOf(p.path("symlink")), 0o777);
    sys.close(fd);
  });
}

export const umaskCases = umask.all;
