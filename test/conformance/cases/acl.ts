/** POSIX ACLs: who may, how they and the mode follow each other, what is inherited. */
import { accessAcl, aclOf, defaultAcl, encodeAcl, encodeEntries, setAcl, type Acl } from "../acl.ts";
import { equal, fails, suite } from "../case.ts";
import { O } from "../libc/constants.ts";
import { sys } from "../libc/sys.ts";
import { alice, bob, file, modeOf, moved, namesIn, ownedDirectory, ownedFile, touchOpen } from "../steps.ts";

const cases = suite("acl");
export const aclCases = cases.all;

const full: Acl = { owner: 6, users: { 1002: 4, 1003: 6 }, owningGroup: 4, groups: { 77: 6 }, mask: 6, other: 0 };

cases.add("comes back as it was set, and the mode shows owner, mask and other", (p) => {
  file(p.path("a"));
  setAcl(p.path("a"), full);
  equal(aclOf(p.path("a")), full);
  equal(modeOf(p.path("a")), 0o660);
  equal(sys.listxattr(p.path("a")), [accessAcl]);
});

cases.add("that says no more than a mode becomes the mode", (p) => {
  file(p.path("a"));
  setAcl(p.path("a"), { owner: 7, owningGroup: 5, other: 1 });
  equal(modeOf(p.path("a")), 0o751);
  fails("ENODATA", sys.getxattr, p.path("a"), accessAcl);
});

cases.add("moves ctime", (p) => {
  file(p.path("a"));
  equal(
    moved(p.path("a"), () => setAcl(p.path("a"), full)),
    "ctime",
  );
});

cases.add("keeps setuid, setgid and sticky of the mode", (p) => {
  sys.mkdir(p.path("d"));
  sys.chmod(p.path("d"), 0o3755);
  setAcl(p.path("d"), full);
  equal(modeOf(p.path("d")), 0o3660);
});

for (const [mode, mask] of [
  [0o600, 0],
  [0o640, 4],
  [0o664, 6],
  [0o777, 7],
] as const) {
  cases.add(`chmod ${mode.toString(8)} sets the mask to ${String(mask)} and leaves the group's entry`, (p) => {
    file(p.path("a"));
    setAcl(p.path("a"), full);
    sys.chmod(p.path("a"), mode);
    equal(aclOf(p.path("a")), { ...full, owner: mode >> 6, mask, other: mode & 7 });
    equal(modeOf(p.path("a")), mode);
  });
}

cases.add("removal leaves the mode as it shows", (p) => {
  file(p.path("a"));
  setAcl(p.path("a"), full);
  sys.removexattr(p.path("a"), accessAcl);
  fails("ENODATA", sys.getxattr, p.path("a"), accessAcl);
  equal(modeOf(p.path("a")), 0o660);
});

// Who gets what from which entry: owner 1001, group 50.
const permissions = [
  { who: "a named user", as: { uid: 1002 }, acl: full, bits: 4 },
  { who: "another named user", as: { uid: 1003 }, acl: full, bits: 6 },
  { who: "a named user, limited by the mask", as: { uid: 1003 }, acl: { ...full, mask: 4 }, bits: 4 },
  { who: "a named user, excluded by a mask of 0", as: { uid: 1003 }, acl: { ...full, mask: 0 }, bits: 0 },
  { who: "the owning group", as: { uid: 1009, gid: 50 }, acl: full, bits: 4 },
  { who: "the owning group as a supplementary one", as: { uid: 1009, gid: 9, groups: [50] }, acl: full, bits: 4 },
  { who: "a named group", as: { uid: 1009, gid: 77 }, acl: full, bits: 6 },
  { who: "a named group as a supplementary one", as: { uid: 1009, gid: 9, groups: [8, 77] }, acl: full, bits: 6 },
  { who: "a named group, limited by the mask", as: { uid: 1009, gid: 77 }, acl: { ...full, mask: 2 }, bits: 2 },
  { who: "somebody else", as: { uid: 1009, gid: 9 }, acl: full, bits: 0 },
  { who: "somebody else, with other", as: { uid: 1009, gid: 9 }, acl: { ...full, other: 4 }, bits: 4 },
  { who: "the owner, whom the mask does not limit", as: { uid: 1001 }, acl: { ...full, mask: 0 }, bits: 6 },
  {
    who: "a named user without rights, though other has them",
    as: { uid: 1002 },
    acl: { ...full, users: { 1002: 0 }, other: 6 },
    bits: 0,
  },
  {
    who: "a group without rights, though other has them",
    as: { uid: 1009, gid: 77 },
    acl: { ...full, groups: { 77: 0 }, other: 6 },
    bits: 0,
  },
] as const;
for (const { who, as, acl, bits } of permissions) {
  cases.add(`gives ${who} ${String(bits)}`, (p) => {
    ownedFile(p.path("a"), 1001, 0o644, 50);
    setAcl(p.path("a"), acl);
    sys.as(as, () => {
      for (const [flags, needs] of [
        [O.RDONLY, 4],
        [O.WRONLY, 2],
        [O.RDWR, 6],
      ] as const) {
        if ((bits & needs) === needs) touchOpen(p.path("a"), flags);
        else fails("EACCES", touchOpen, p.path("a"), flags);
      }
    });
  });
}

cases.add("lets a named user make and remove names in a directory", (p) => {
  ownedDirectory(p.path("d"), 1001, 0o700);
  setAcl(p.path("d"), { owner: 7, users: { 1002: 7 }, owningGroup: 0, mask: 7, other: 0 });
  sys.as(bob, () => {
    file(p.path("d/a"));
    sys.rename(p.path("d/a"), p.path("d/b"));
    equal(namesIn(p.path("d")), ["b"]);
    sys.unlink(p.path("d/b"));
  });
  sys.as({ uid: 1005 }, () => fails("EACCES", namesIn, p.path("d")));
});

cases.add("is the owner's to change", (p) => {
  ownedFile(p.path("a"), alice.uid, 0o666);
  sys.as(bob, () => {
    fails("EPERM", setAcl, p.path("a"), full);
    fails("EPERM", sys.removexattr, p.path("a"), accessAcl);
  });
  sys.as(alice, () => setAcl(p.path("a"), full));
  sys.as(bob, () => equal(aclOf(p.path("a")), full));
});

cases.add("set by an owner outside the group clears setgid", (p) => {
  ownedFile(p.path("a"), alice.uid, 0o2755, 50);
  sys.as(alice, () => setAcl(p.path("a"), full));
  equal(modeOf(p.path("a")) & 0o2000, 0);
});

const owner = 0x01;
const group = 0x04;
const other = 0x20;
const none = 0xffff_ffff;
for (const [what, bytes] of [
  [
    "without an owner",
    encodeEntries([
      [group, 4, none],
      [other, 4, none],
    ]),
  ],
  [
    "with two owners",
    encodeEntries([
      [owner, 6, none],
      [owner, 6, none],
      [group, 4, none],
      [other, 4, none],
    ]),
  ],
  [
    "with a user and without a mask",
    encodeEntries([
      [owner, 6, none],
      [2, 6, 5],
      [group, 4, none],
      [other, 4, none],
    ]),
  ],
  [
    "out of order",
    encodeEntries([
      [other, 4, none],
      [group, 4, none],
      [owner, 6, none],
    ]),
  ],
  [
    "with an unknown tag",
    encodeEntries([
      [owner, 6, none],
      [group, 4, none],
      [0x40, 4, none],
      [other, 4, none],
    ]),
  ],
  [
    "with permission bits that are none",
    encodeEntries([
      [owner, 8, none],
      [group, 4, none],
      [other, 4, none],
    ]),
  ],
  ["of an odd length", encodeAcl({ owner: 6, owningGroup: 4, other: 4 }).subarray(0, 20)],
] as const) {
  cases.add(`${what} is EINVAL`, (p) => {
    file(p.path("a"));
    fails("EINVAL", sys.setxattr, p.path("a"), accessAcl, bytes);
    equal(modeOf(p.path("a")), 0o644);
  });
}

cases.add("of an unknown version is EOPNOTSUPP", (p) => {
  file(p.path("a"));
  const bytes = encodeAcl(full);
  bytes.writeUInt32LE(3, 0);
  fails("EOPNOTSUPP", sys.setxattr, p.path("a"), accessAcl, bytes);
});

cases.add("a default ACL on a file is EACCES", (p) => {
  file(p.path("a"));
  fails("EACCES", setAcl, p.path("a"), full, defaultAcl);
});

cases.add("on a symlink is EOPNOTSUPP", (p) => {
  sys.symlink("x", p.path("l"));
  fails("EOPNOTSUPP", sys.lsetxattr, p.path("l"), accessAcl, encodeAcl(full));
});
