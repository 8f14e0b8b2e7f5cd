/** Sticky directories, setgid directories, and what unprivileged users may do with names. */
import { equal, fails, suite, type Place } from "../case.ts";
import { O, RENAME } from "../libc/constants.ts";
import { sys } from "../libc/sys.ts";
import { alice, bob, file, modeOf, namesIn, ownedDirectory, ownedFile, touchOpen } from "../steps.ts";

const cases = suite("sticky and setgid directories");
export const stickyCases = cases.all;

/** A sticky directory of one user with a name of another. */
function sticky(p: Place, directoryOwner: number, owner: number, kind: string): void {
  ownedDirectory(p.path("d"), directoryOwner, 0o1777);
  const path = p.path("d/a");
  if (kind === "file") file(path);
  else if (kind === "directory") sys.mkdir(path);
  else if (kind === "symlink") sys.symlink("absent", path);
  else sys.mkfifo(path);
  sys.lchown(path, owner, owner);
  ownedFile(p.path("d/mine"), bob.uid);
}

function removeName(path: string, kind: string): void {
  if (kind === "directory") sys.rmdir(path);
  else sys.unlink(path);
}

for (const kind of ["file", "directory", "symlink", "fifo"]) {
  cases.add(`sticky: somebody else's ${kind} cannot be removed, renamed or replaced: EPERM`, (p) => {
    sticky(p, 0, alice.uid, kind);
    if (kind === "directory") ownedDirectory(p.path("d/other"), bob.uid);
    const other = kind === "directory" ? "d/other" : "d/mine";
    sys.as(bob, () => {
      fails("EPERM", removeName, p.path("d/a"), kind);
      fails("EPERM", sys.rename, p.path("d/a"), p.path("d/b"));
      fails("EPERM", sys.rename, p.path("d/a"), p.path("b"));
      fails("EPERM", sys.rename, p.path(other), p.path("d/a"));
    });
    equal(namesIn(p.path("d")).includes("a"), true);
  });
  cases.add(`sticky: one's own ${kind} can be renamed and removed`, (p) => {
    sticky(p, 0, alice.uid, kind);
    sys.as(alice, () => {
      sys.rename(p.path("d/a"), p.path("d/b"));
      removeName(p.path("d/b"), kind);
    });
    equal(namesIn(p.path("d")), ["mine"]);
  });
  cases.add(`sticky: the directory's owner may remove anybody's ${kind}`, (p) => {
    sticky(p, bob.uid, alice.uid, kind);
    sys.as(bob, () => {
      removeName(p.path("d/a"), kind);
    });
    equal(namesIn(p.path("d")), ["mine"]);
  });
  cases.add(`sticky: root may remove anybody's ${kind}`, (p) => {
    sticky(p, alice.uid, alice.uid, kind);
    removeName(p.path("d/a"), kind);
    equal(namesIn(p.path("d")), ["mine"]);
  });
}

cases.add("sticky: a group's writer is no owner", (p) => {
  ownedDirectory(p.path("d"), 0, 0o1770, 50);
  ownedFile(p.path("d/a"), alice.uid);
  sys.as({ uid: bob.uid, gid: 50 }, () => {
    file(p.path("d/b"));
    fails("EPERM", sys.unlink, p.path("d/a"));
    sys.unlink(p.path("d/b"));
  });
});

cases.add("sticky: somebody else's file may be linked to, opened and written, as its mode allows", (p) => {
  ownedDirectory(p.path("d"), 0, 0o1777);
  ownedFile(p.path("d/a"), alice.uid, 0o666);
  sys.as(bob, () => {
    sys.link(p.path("d/a"), p.path("d/b"));
    fails("EPERM", sys.unlink, p.path("d/b"));
  });
  equal(sys.stat(p.path("d/a")).nlink, 2);
});

cases.add("sticky: a rename out of it onto one's own file elsewhere is EPERM for somebody else's", (p) => {
  ownedDirectory(p.path("d"), 0, 0o1777);
  ownedFile(p.path("d/a"), alice.uid);
  sys.as(bob, () => fails("EPERM", sys.renameat2, p.path("d/a"), p.path("x"), RENAME.NOREPLACE));
});

for (const kind of ["file", "directory", "symlink", "fifo", "O_TMPFILE"]) {
  cases.add(`setgid: a new ${kind} gets the directory's group`, (p) => {
    ownedDirectory(p.path("d"), alice.uid, 0o2777, 77);
    sys.as({ uid: bob.uid, gid: 5, groups: [6] }, () => {
      const path = p.path("d/a");
      if (kind === "file") touchOpen(path, O.CREAT | O.WRONLY);
      else if (kind === "directory") sys.mkdir(path);
      else if (kind === "symlink") sys.symlink("x", path);
      else if (kind === "fifo") sys.mkfifo(path);
      else {
        const fd = sys.open(p.path("d"), O.TMPFILE | O.RDWR);
        equal(sys.fstat(fd).gid, 77);
        sys.close(fd);
        return;
      }
      const { uid, gid, mode } = sys.lstat(path);
      equal([uid, gid, (mode & 0o2000) !== 0], [bob.uid, 77, kind === "directory"]);
    });
  });
}

cases.add("setgid: is handed down through directories", (p) => {
  ownedDirectory(p.path("d"), alice.uid, 0o2777, 77);
  sys.mkdir(p.path("d/e"));
  sys.mkdir(p.path("d/e/f"));
  file(p.path("d/e/f/a"));
  equal([sys.stat(p.path("d/e/f")).gid, sys.stat(p.path("d/e/f/a")).gid], [77, 77]);
  equal(modeOf(p.path("d/e/f")) & 0o2000, 0o2000);
});

cases.add("setgid: somebody outside the group makes no setgid executable there", (p) => {
  ownedDirectory(p.path("d"), alice.uid, 0o2777, 77);
  sys.umask(0);
  sys.as({ uid: bob.uid, gid: 5 }, () => {
    touchOpen(p.path("d/a"), O.CREAT | O.WRONLY, 0o2755);
    sys.mknod(p.path("d/b"), 0o102755);
  });
  equal([modeOf(p.path("d/a")), modeOf(p.path("d/b"))], [0o755, 0o755]);
});

cases.add("setgid: somebody of the group, and root, may", (p) => {
  ownedDirectory(p.path("d"), alice.uid, 0o2777, 77);
  sys.umask(0);
  sys.as({ uid: bob.uid, gid: 5, groups: [77] }, () => {
    touchOpen(p.path("d/a"), O.CREAT | O.WRONLY, 0o2755);
  });
  touchOpen(p.path("d/b"), O.CREAT | O.WRONLY, 0o2755);
  equal([modeOf(p.path("d/a")), modeOf(p.path("d/b"))], [0o2755, 0o2755]);
});

cases.add("setgid: a rename or link into the directory changes no group", (p) => {
  ownedDirectory(p.path("d"), alice.uid, 0o2777, 77);
  ownedFile(p.path("a"), bob.uid, 0o644, 5);
  sys.link(p.path("a"), p.path("d/linked"));
  sys.rename(p.path("a"), p.path("d/a"));
  equal(sys.stat(p.path("d/a")).gid, 5);
});

cases.add("without setgid a new file gets the caller's group", (p) => {
  ownedDirectory(p.path("d"), alice.uid, 0o777, 77);
  sys.as({ uid: bob.uid, gid: 5 }, () => file(p.path("d/a")));
  equal(sys.stat(p.path("d/a")).gid, 5);
});

// What write and search permission on a directory allow.
for (const bits of [0, 1, 2, 3, 4, 5, 6, 7]) {
  cases.add(`permission ${String(bits)} on a directory allows exactly what it should`, (p) => {
    ownedDirectory(p.path("d"), alice.uid, 0o777);
    ownedFile(p.path("d/a"), alice.uid);
    sys.chmod(p.path("d"), 0o700 | bits);
    const [canRead, canChange, canSearch] = [(bits & 4) !== 0, (bits & 3) === 3, (bits & 1) !== 0];
    const expect = (allowed: boolean, act: () => void): void => {
      if (allowed) act();
      else fails("EACCES", act);
    };
    sys.as(bob, () => {
      expect(canRead, () => void namesIn(p.path("d")));
      expect(canSearch, () => void sys.stat(p.path("d/a")));
      expect(canSearch, () => touchOpen(p.path("d/a"), O.RDONLY));
      expect(canSearch, () => sys.chdir(p.path("d")));
      sys.chdir("/");
      expect(canChange, () => touchOpen(p.path("d/new"), O.CREAT | O.WRONLY));
      expect(canChange, () => sys.mkdir(p.path("d/e")));
      expect(canChange, () => sys.symlink("x", p.path("d/l")));
      expect(canChange, () => sys.rename(p.path("d/a"), p.path("d/b")));
      expect(canChange, () => sys.unlink(p.path(canChange ? "d/b" : "d/a")));
    });
  });
}
