/** Default ACLs: what new files and directories get from them. */
import { accessAcl, aclOf, defaultAcl, setAcl, type Acl } from "../acl.ts";
import { equal, fails, suite } from "../case.ts";
import { O } from "../libc/constants.ts";
import { sys } from "../libc/sys.ts";
import { file, modeOf, touchOpen } from "../steps.ts";

const cases = suite("acl");
export const aclInheritanceCases = cases.all;

const inherited: Acl = { owner: 7, users: { 1002: 6 }, owningGroup: 5, groups: { 77: 7 }, mask: 7, other: 1 };

for (const [mode, wanted] of [
  [0o666, { owner: 6, mask: 6, other: 0 }],
  [0o600, { owner: 6, mask: 0, other: 0 }],
  [0o777, { owner: 7, mask: 7, other: 1 }],
  [0o444, { owner: 4, mask: 4, other: 0 }],
] as const) {
  cases.add(`a default ACL makes a file of mode ${mode.toString(8)}, without the umask`, (p) => {
    sys.mkdir(p.path("d"));
    setAcl(p.path("d"), inherited, defaultAcl);
    sys.umask(0o077);
    touchOpen(p.path("d/a"), O.CREAT | O.WRONLY, mode);
    equal(aclOf(p.path("d/a")), { ...inherited, ...wanted });
    equal(modeOf(p.path("d/a")), (wanted.owner << 6) | (wanted.mask << 3) | wanted.other);
    fails("ENODATA", sys.getxattr, p.path("d/a"), defaultAcl);
  });
}

for (const kind of ["mknod", "mkfifo", "O_TMPFILE"]) {
  cases.add(`a default ACL counts for ${kind}`, (p) => {
    sys.mkdir(p.path("d"));
    setAcl(p.path("d"), inherited, defaultAcl);
    sys.umask(0o077);
    if (kind === "mknod") sys.mknod(p.path("d/a"), 0o100666);
    else if (kind === "mkfifo") sys.mkfifo(p.path("d/a"), 0o666);
    if (kind === "O_TMPFILE") {
      const fd = sys.open(p.path("d"), O.TMPFILE | O.RDWR, 0o666);
      equal(sys.fstat(fd).mode & 0o777, 0o660);
      sys.close(fd);
    } else equal(modeOf(p.path("d/a")), 0o660);
  });
}

cases.add("a directory inherits a default ACL as both of its own", (p) => {
  sys.mkdir(p.path("d"));
  setAcl(p.path("d"), inherited, defaultAcl);
  sys.umask(0o077);
  sys.mkdir(p.path("d/e"), 0o777);
  equal(aclOf(p.path("d/e")), inherited);
  equal(aclOf(p.path("d/e"), defaultAcl), inherited);
  sys.mkdir(p.path("d/e/f"), 0o700);
  equal(aclOf(p.path("d/e/f")), { ...inherited, mask: 0, other: 0 });
  equal(aclOf(p.path("d/e/f"), defaultAcl), inherited);
});

cases.add("a symlink inherits nothing", (p) => {
  sys.mkdir(p.path("d"));
  setAcl(p.path("d"), inherited, defaultAcl);
  sys.symlink("x", p.path("d/l"));
  equal(sys.lstat(p.path("d/l")).mode & 0o777, 0o777);
  equal(sys.llistxattr(p.path("d/l")), []);
});

cases.add("a default ACL that says no more than a mode is kept, and replaces the umask", (p) => {
  sys.mkdir(p.path("d"));
  setAcl(p.path("d"), { owner: 7, owningGroup: 7, other: 5 }, defaultAcl);
  sys.umask(0o077);
  touchOpen(p.path("d/a"), O.CREAT | O.WRONLY, 0o666);
  equal(modeOf(p.path("d/a")), 0o664);
  fails("ENODATA", sys.getxattr, p.path("d/a"), accessAcl);
});

cases.add("without a default ACL the umask counts again after its removal", (p) => {
  sys.mkdir(p.path("d"));
  setAcl(p.path("d"), inherited, defaultAcl);
  sys.removexattr(p.path("d"), defaultAcl);
  sys.umask(0o077);
  touchOpen(p.path("d/a"), O.CREAT | O.WRONLY, 0o666);
  equal(modeOf(p.path("d/a")), 0o600);
});

cases.add("a default ACL does not change the directory's own mode or access", (p) => {
  sys.mkdir(p.path("d"));
  setAcl(p.path("d"), inherited, defaultAcl);
  equal(modeOf(p.path("d")), 0o755);
  fails("ENODATA", sys.getxattr, p.path("d"), accessAcl);
});

cases.add("an existing file keeps its mode when a default ACL comes", (p) => {
  sys.mkdir(p.path("d"));
  file(p.path("d/a"));
  setAcl(p.path("d"), inherited, defaultAcl);
  touchOpen(p.path("d/a"), O.CREAT | O.WRONLY, 0o600);
  equal(modeOf(p.path("d/a")), 0o644);
});
