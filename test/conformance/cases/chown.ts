/** chown, lchown, fchown: who may give what to whom. */
import { equal, fails, suite } from "../case.ts";
import type { Path } from "../libc/calls.ts";
import { O } from "../libc/constants.ts";
import { sys } from "../libc/sys.ts";
import { alice, bob, file, modeOf, moved, opened, ownedDirectory, ownedFile } from "../steps.ts";

const cases = suite("chown");
export const chownCases = cases.all;

function ownerOf(path: Path): [number, number] {
  const { uid, gid } = sys.lstat(path);
  return [uid, gid];
}

for (const [uid, gid] of [
  [7, 8],
  [7, -1],
  [-1, 8],
  [-1, -1],
  [0, 0],
  [65_534, 65_534],
  [4_000_000_000, 4_000_000_001],
] as const) {
  for (const kind of ["file", "directory", "symlink"]) {
    cases.add(`of a ${kind} to ${String(uid)}:${String(gid)} by root`, (p) => {
      if (kind === "file") file(p.path("a"));
      else if (kind === "directory") sys.mkdir(p.path("a"));
      else sys.symlink("absent", p.path("a"));
      sys.lchown(p.path("a"), 3, 4);
      sys.lchown(p.path("a"), uid, gid);
      equal(ownerOf(p.path("a")), [uid === -1 ? 3 : uid, gid === -1 ? 4 : gid]);
    });
  }
}

cases.add("follows a symlink, lchown changes the symlink", (p) => {
  file(p.path("a"));
  sys.symlink("a", p.path("l"));
  sys.chown(p.path("l"), 7, 8);
  sys.lchown(p.path("l"), 9, 10);
  equal(ownerOf(p.path("a")), [7, 8]);
  equal(ownerOf(p.path("l")), [9, 10]);
});

cases.add("fchown works on a descriptor opened to read, and on a directory", (p) => {
  file(p.path("a"));
  opened(p.path("a"), O.RDONLY, (fd) => sys.fchown(fd, 7, 8));
  opened(p.dir, O.DIRECTORY, (fd) => sys.fchown(fd, 9, 10));
  equal(ownerOf(p.path("a")), [7, 8]);
  equal(ownerOf(p.dir), [9, 10]);
});

cases.add("moves ctime only", (p) => {
  file(p.path("a"));
  equal(
    moved(p.path("a"), () => sys.chown(p.path("a"), 7, 8)),
    "ctime",
  );
});

cases.add("to another user by the owner is EPERM", (p) => {
  ownedFile(p.path("a"), alice.uid);
  sys.as(alice, () => fails("EPERM", sys.chown, p.path("a"), bob.uid, -1));
});

cases.add("to the same user by the owner works", (p) => {
  ownedFile(p.path("a"), alice.uid);
  sys.as(alice, () => sys.chown(p.path("a"), alice.uid, -1));
});

cases.add("to the owner's effective or supplementary group works", (p) => {
  ownedFile(p.path("a"), alice.uid);
  sys.as({ uid: alice.uid, gid: 50, groups: [60, 70] }, () => {
    sys.chown(p.path("a"), -1, 50);
    equal(ownerOf(p.path("a")), [alice.uid, 50]);
    sys.chown(p.path("a"), -1, 70);
    equal(ownerOf(p.path("a")), [alice.uid, 70]);
    sys.chown(p.path("a"), alice.uid, 60);
    equal(ownerOf(p.path("a")), [alice.uid, 60]);
  });
});

cases.add("to a group that the owner is not in is EPERM", (p) => {
  ownedFile(p.path("a"), alice.uid);
  sys.as({ uid: alice.uid, gid: 50, groups: [60] }, () => fails("EPERM", sys.chown, p.path("a"), -1, 99));
});

cases.add("to the group that it has already, by an owner outside of it, works", (p) => {
  ownedFile(p.path("a"), alice.uid, 0o644, 99);
  sys.as(alice, () => sys.chown(p.path("a"), -1, 99));
});

for (const [uid, gid] of [
  [bob.uid, -1],
  [-1, bob.uid],
  [alice.uid, alice.uid],
] as const) {
  cases.add(`to ${String(uid)}:${String(gid)} by somebody who is not the owner is EPERM`, (p) => {
    ownedFile(p.path("a"), alice.uid, 0o666);
    sys.as(bob, () => fails("EPERM", sys.chown, p.path("a"), uid, gid));
    equal(ownerOf(p.path("a")), [alice.uid, alice.uid]);
  });
}

for (const mode of [0o4755, 0o2755, 0o6755, 0o6711]) {
  cases.add(`of an executable with mode ${mode.toString(8)} by root clears setuid and setgid`, (p) => {
    ownedFile(p.path("a"), alice.uid, mode);
    sys.chown(p.path("a"), bob.uid, bob.uid);
    equal(modeOf(p.path("a")), mode & 0o777);
  });
  cases.add(`of an executable with mode ${mode.toString(8)} by the owner clears setuid and setgid`, (p) => {
    ownedFile(p.path("a"), alice.uid, mode, 50);
    sys.as({ uid: alice.uid, gid: 50, groups: [60] }, () => sys.chown(p.path("a"), -1, 60));
    equal(modeOf(p.path("a")), mode & 0o777);
  });
}

cases.add("keeps setgid without group execution", (p) => {
  ownedFile(p.path("a"), alice.uid, 0o2644);
  sys.chown(p.path("a"), bob.uid, bob.uid);
  equal(modeOf(p.path("a")), 0o2644);
});

cases.add("of a directory keeps setuid, setgid and sticky", (p) => {
  ownedDirectory(p.path("d"), alice.uid, 0o7755);
  sys.chown(p.path("d"), bob.uid, bob.uid);
  equal(modeOf(p.path("d")), 0o7755);
});

cases.add("counts for permission at once", (p) => {
  ownedFile(p.path("a"), alice.uid, 0o600);
  sys.as(bob, () => fails("EACCES", sys.open, p.path("a"), O.RDONLY));
  sys.chown(p.path("a"), bob.uid, -1);
  sys.as(bob, () => sys.close(sys.open(p.path("a"), O.RDONLY)));
  sys.as(alice, () => fails("EACCES", sys.open, p.path("a"), O.WRONLY));
});

cases.add("shows through every hard link", (p) => {
  file(p.path("a"));
  sys.link(p.path("a"), p.path("b"));
  sys.stat(p.path("b"));
  sys.chown(p.path("a"), 7, 8);
  equal(ownerOf(p.path("b")), [7, 8]);
});
