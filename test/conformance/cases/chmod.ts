/** chmod, fchmod: who may, which bits stay. */
import { equal, fails, suite } from "../case.ts";
import { O } from "../libc/constants.ts";
import { sys } from "../libc/sys.ts";
import { alice, bob, file, modeOf, moved, opened, ownedDirectory, ownedFile } from "../steps.ts";

const cases = suite("chmod");
export const chmodCases = cases.all;

for (const mode of [0, 0o1, 0o444, 0o640, 0o777, 0o1644, 0o2755, 0o4755, 0o7777]) {
  for (const kind of ["file", "directory", "fifo"]) {
    cases.add(`of a ${kind} to ${mode.toString(8)} sets exactly that, whatever the umask`, (p) => {
      if (kind === "file") file(p.path("a"));
      else if (kind === "directory") sys.mkdir(p.path("a"));
      else sys.mkfifo(p.path("a"));
      sys.umask(0o077);
      sys.chmod(p.path("a"), mode);
      equal(modeOf(p.path("a")), mode);
    });
  }
}

cases.add("fchmod works on a descriptor opened to read", (p) => {
  file(p.path("a"));
  opened(p.path("a"), O.RDONLY, (fd) => {
    sys.fchmod(fd, 0o4711);
    equal(sys.fstat(fd).mode, 0o104711);
  });
  equal(modeOf(p.path("a")), 0o4711);
});

cases.add("fchmod works on an open directory", (p) => {
  sys.mkdir(p.path("d"));
  opened(p.path("d"), O.DIRECTORY, (fd) => sys.fchmod(fd, 0o1710));
  equal(modeOf(p.path("d")), 0o1710);
});

cases.add("ignores the bits of the file's type", (p) => {
  file(p.path("a"));
  sys.chmod(p.path("a"), 0o040755);
  equal(sys.stat(p.path("a")).mode, 0o100755);
});

cases.add("moves ctime only", (p) => {
  file(p.path("a"));
  equal(
    moved(p.path("a"), () => sys.chmod(p.path("a"), 0o600)),
    "ctime",
  );
  equal(
    moved(p.path("a"), () => sys.chmod(p.path("a"), 0o600)),
    "ctime",
    "the same mode again",
  );
});

cases.add("by the owner works", (p) => {
  ownedFile(p.path("a"), alice.uid);
  sys.as(alice, () => sys.chmod(p.path("a"), 0o751));
  equal(modeOf(p.path("a")), 0o751);
});

for (const mode of [0o600, 0o666, 0o777]) {
  cases.add(`by somebody else is EPERM, even of a file with mode ${mode.toString(8)}`, (p) => {
    ownedFile(p.path("a"), alice.uid, mode);
    sys.as({ uid: bob.uid, gid: alice.uid }, () => fails("EPERM", sys.chmod, p.path("a"), mode));
    equal(modeOf(p.path("a")), mode);
  });
}

cases.add("by root of somebody else's file works", (p) => {
  ownedFile(p.path("a"), alice.uid);
  sys.chmod(p.path("a"), 0o6711);
  equal(modeOf(p.path("a")), 0o6711);
});

cases.add("by an owner outside the file's group drops setgid", (p) => {
  ownedFile(p.path("a"), alice.uid, 0o755, 77);
  sys.as(alice, () => sys.chmod(p.path("a"), 0o2755));
  equal(modeOf(p.path("a")), 0o755);
});

cases.add("by an owner with the group as effective or supplementary group keeps setgid", (p) => {
  ownedFile(p.path("a"), alice.uid, 0o755, 77);
  sys.as({ uid: alice.uid, gid: 77 }, () => sys.chmod(p.path("a"), 0o2755));
  equal(modeOf(p.path("a")), 0o2755);
  sys.chmod(p.path("a"), 0o755);
  sys.as({ uid: alice.uid, gid: 5, groups: [6, 77] }, () => sys.chmod(p.path("a"), 0o2755));
  equal(modeOf(p.path("a")), 0o2755);
});

cases.add("by an owner outside the directory's group drops setgid of the directory", (p) => {
  ownedDirectory(p.path("d"), alice.uid, 0o755, 77);
  sys.as(alice, () => sys.chmod(p.path("d"), 0o2755));
  equal(modeOf(p.path("d")), 0o755);
});

cases.add("by an owner keeps the sticky bit of a directory and sets it on a file", (p) => {
  ownedFile(p.path("a"), alice.uid);
  ownedDirectory(p.path("d"), alice.uid);
  sys.as(alice, () => {
    sys.chmod(p.path("a"), 0o1644);
    sys.chmod(p.path("d"), 0o1755);
  });
  equal([modeOf(p.path("a")), modeOf(p.path("d"))], [0o1644, 0o1755]);
});

cases.add("counts for the next open at once, both ways", (p) => {
  ownedFile(p.path("a"), alice.uid, 0o600);
  for (let i = 0; i < 5; i++) {
    sys.chmod(p.path("a"), 0o604);
    sys.as(bob, () => sys.close(sys.open(p.path("a"), O.RDONLY)));
    sys.chmod(p.path("a"), 0o600);
    sys.as(bob, () => fails("EACCES", sys.open, p.path("a"), O.RDONLY));
  }
});

cases.add("of a directory counts for lookups in it at once", (p) => {
  ownedDirectory(p.path("d"), alice.uid, 0o755);
  ownedFile(p.path("d/a"), alice.uid, 0o644);
  for (let i = 0; i < 5; i++) {
    sys.as(bob, () => sys.stat(p.path("d/a")));
    sys.chmod(p.path("d"), 0o700);
    sys.as(bob, () => fails("EACCES", sys.stat, p.path("d/a")));
    sys.chmod(p.path("d"), 0o755);
  }
});
