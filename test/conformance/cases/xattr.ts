/** Extended attributes: namespaces, flags, sizes, lists. */
import { equal, fails, holds, suite } from "../case.ts";
import { O } from "../libc/constants.ts";
import { sys } from "../libc/sys.ts";
import { alice, bob, file, moved, namesIn, opened, ownedDirectory, ownedFile } from "../steps.ts";

const cases = suite("xattr");
export const xattrCases = cases.all;

const CREATE = 1;
const REPLACE = 2;

for (const size of [0, 1, 100, 1000, 3000]) {
  for (const namespace of ["user", "trusted", "security"]) {
    cases.add(`${namespace}.* keeps a value of ${String(size)} bytes`, (p) => {
      file(p.path("a"));
      const value = Buffer.alloc(size, "\0\x01\xff/v", "latin1");
      sys.setxattr(p.path("a"), `${namespace}.test`, value);
      equal(sys.getxattr(p.path("a"), `${namespace}.test`).toString("hex"), value.toString("hex"));
      equal(sys.getxattrSize(p.path("a"), `${namespace}.test`), size);
    });
  }
}

for (const kind of ["file", "directory"]) {
  cases.add(`of a ${kind} can be set, replaced, listed and removed`, (p) => {
    const path = p.path("a");
    if (kind === "file") file(path);
    else sys.mkdir(path);
    sys.setxattr(path, "user.one", "1");
    sys.setxattr(path, "user.two", "2");
    sys.setxattr(path, "user.one", "other");
    equal(sys.listxattr(path).sort(), ["user.one", "user.two"]);
    equal(sys.getxattr(path, "user.one").toString(), "other");
    sys.removexattr(path, "user.one");
    equal(sys.listxattr(path), ["user.two"]);
    fails("ENODATA", sys.getxattr, path, "user.one");
  });
}

cases.add("by descriptor are the same as by name", (p) => {
  file(p.path("a"));
  opened(p.path("a"), O.RDWR, (fd) => {
    sys.fsetxattr(fd, "user.a", "x");
    equal(sys.getxattr(p.path("a"), "user.a").toString(), "x");
    sys.setxattr(p.path("a"), "user.b", "y");
    equal(sys.fgetxattr(fd, "user.b").toString(), "y");
    equal(sys.flistxattr(fd).sort(), ["user.a", "user.b"]);
    sys.fremovexattr(fd, "user.a");
    equal(sys.listxattr(p.path("a")), ["user.b"]);
  });
});

cases.add("CREATE of one that is there is EEXIST and leaves it", (p) => {
  file(p.path("a"));
  sys.setxattr(p.path("a"), "user.a", "x", CREATE);
  fails("EEXIST", sys.setxattr, p.path("a"), "user.a", "y", CREATE);
  equal(sys.getxattr(p.path("a"), "user.a").toString(), "x");
});

cases.add("REPLACE of one that is not there is ENODATA", (p) => {
  file(p.path("a"));
  fails("ENODATA", sys.setxattr, p.path("a"), "user.a", "y", REPLACE);
  sys.setxattr(p.path("a"), "user.a", "x");
  sys.setxattr(p.path("a"), "user.a", "y", REPLACE);
  equal(sys.getxattr(p.path("a"), "user.a").toString(), "y");
});

cases.add("an unknown flag is EINVAL", (p) => {
  file(p.path("a"));
  fails("EINVAL", sys.setxattr, p.path("a"), "user.a", "y", 4);
});

cases.add("CREATE and REPLACE together never succeed", (p) => {
  file(p.path("a"));
  fails(["ENODATA", "EINVAL", "EEXIST"], sys.setxattr, p.path("a"), "user.a", "y", CREATE | REPLACE);
});

cases.add("removal of one that is not there is ENODATA", (p) => {
  file(p.path("a"));
  fails("ENODATA", sys.removexattr, p.path("a"), "user.a");
});

cases.add("a buffer that is too small is ERANGE, for value and list", (p) => {
  file(p.path("a"));
  sys.setxattr(p.path("a"), "user.a", "0123456789");
  fails("ERANGE", sys.getxattr, p.path("a"), "user.a", 9);
  equal(sys.getxattr(p.path("a"), "user.a", 10).length, 10);
  fails("ERANGE", sys.listxattr, p.path("a"), 6);
  equal(sys.listxattr(p.path("a"), 7), ["user.a"]);
});

cases.add("a value of more than 64 KiB is E2BIG", (p) => {
  file(p.path("a"));
  fails("E2BIG", sys.setxattr, p.path("a"), "user.a", Buffer.alloc(65_537));
});

cases.add("a name of 255 bytes works, of 256 is ERANGE", (p) => {
  file(p.path("a"));
  sys.setxattr(p.path("a"), "user." + "n".repeat(250), "x");
  equal(sys.listxattr(p.path("a")), ["user." + "n".repeat(250)]);
  fails("ERANGE", sys.setxattr, p.path("a"), "user." + "n".repeat(251), "x");
  fails("ERANGE", sys.getxattr, p.path("a"), "user." + "n".repeat(251));
});

cases.add("an empty name is ERANGE", (p) => {
  file(p.path("a"));
  fails("ERANGE", sys.setxattr, p.path("a"), "", "x");
});

for (const name of ["nonamespace", "unknown.a", "system.unknown"]) {
  cases.add(`${name} is EOPNOTSUPP`, (p) => {
    file(p.path("a"));
    fails("EOPNOTSUPP", sys.setxattr, p.path("a"), name, "x");
  });
}

for (const name of ["user.", "trusted."]) {
  cases.add(`${name} without more is EINVAL`, (p) => {
    file(p.path("a"));
    fails("EINVAL", sys.setxattr, p.path("a"), name, "x");
  });
}

cases.add("names are bytes, and differ by case", (p) => {
  file(p.path("a"));
  const odd = Buffer.from("user.\xff\x80 \n=", "latin1");
  sys.setxattr(p.path("a"), odd, "odd");
  sys.setxattr(p.path("a"), "user.A", "big");
  sys.setxattr(p.path("a"), "user.a", "small");
  equal(sys.getxattr(p.path("a"), odd).toString(), "odd");
  equal(sys.listxattr(p.path("a")).sort(), ["user.A", "user.a", odd.toString("latin1")]);
  equal(sys.getxattr(p.path("a"), "user.A").toString(), "big");
});

cases.add("fifty of them are all listed and kept", (p) => {
  file(p.path("a"));
  for (let i = 0; i < 50; i++) sys.setxattr(p.path("a"), `user.${String(i)}`, `value ${String(i)}`);
  equal(sys.listxattr(p.path("a")).length, 50);
  for (let i = 0; i < 50; i++) equal(sys.getxattr(p.path("a"), `user.${String(i)}`).toString(), `value ${String(i)}`);
});

cases.add("a file without any lists none", (p) => {
  file(p.path("a"));
  equal(sys.listxattr(p.path("a")), []);
  fails("ENODATA", sys.getxattr, p.path("a"), "user.a");
});

cases.add("set and removal move ctime only", (p) => {
  file(p.path("a"));
  const acts: readonly (() => void)[] = [
    () => sys.setxattr(p.path("a"), "user.a", "x"),
    () => sys.setxattr(p.path("a"), "user.a", "other"),
    () => sys.removexattr(p.path("a"), "user.a"),
  ];
  for (const act of acts) equal(moved(p.path("a"), act), "ctime");
});

cases.add("belong to the inode: kept by rename and link, gone with a new file", (p) => {
  file(p.path("a"));
  sys.setxattr(p.path("a"), "user.a", "x");
  sys.rename(p.path("a"), p.path("b"));
  sys.link(p.path("b"), p.path("c"));
  equal(sys.getxattr(p.path("c"), "user.a").toString(), "x");
  file(p.path("a"));
  equal(sys.listxattr(p.path("a")), []);
  equal(namesIn(p.dir), ["a", "b", "c"]);
});

cases.add("user.* needs write permission to set and read permission to get", (p) => {
  ownedFile(p.path("a"), alice.uid, 0o640);
  sys.as(alice, () => sys.setxattr(p.path("a"), "user.a", "x"));
  sys.as({ uid: bob.uid, gid: alice.uid }, () => {
    equal(sys.getxattr(p.path("a"), "user.a").toString(), "x");
    fails("EACCES", sys.setxattr, p.path("a"), "user.a", "y");
    fails("EACCES", sys.removexattr, p.path("a"), "user.a");
  });
  sys.as(bob, () => fails("EACCES", sys.getxattr, p.path("a"), "user.a"));
});

cases.add("user.* of a writable file may be set by somebody who is not its owner", (p) => {
  ownedFile(p.path("a"), alice.uid, 0o666);
  sys.as(bob, () => sys.setxattr(p.path("a"), "user.a", "x"));
  equal(sys.getxattr(p.path("a"), "user.a").toString(), "x");
});

cases.add("user.* of a sticky directory is its owner's", (p) => {
  ownedDirectory(p.path("d"), alice.uid, 0o1777);
  sys.as(bob, () => fails("EPERM", sys.setxattr, p.path("d"), "user.a", "x"));
  sys.as(alice, () => sys.setxattr(p.path("d"), "user.a", "x"));
});

cases.add("names are listed without permission to read", (p) => {
  ownedFile(p.path("a"), alice.uid, 0o600);
  sys.setxattr(p.path("a"), "user.a", "x");
  sys.as(bob, () => equal(sys.listxattr(p.path("a")), ["user.a"]));
});

cases.add("trusted.* is root's alone, and hidden from others", (p) => {
  ownedFile(p.path("a"), alice.uid, 0o666);
  sys.setxattr(p.path("a"), "trusted.a", "x");
  equal(sys.listxattr(p.path("a")), ["trusted.a"]);
  sys.as(alice, () => {
    fails("EPERM", sys.setxattr, p.path("a"), "trusted.b", "x");
    fails("ENODATA", sys.getxattr, p.path("a"), "trusted.a");
    fails("EPERM", sys.removexattr, p.path("a"), "trusted.a");
  });
});

cases.add("security.* is set by root and read by everybody", (p) => {
  ownedFile(p.path("a"), alice.uid, 0o644);
  sys.setxattr(p.path("a"), "security.test", "x");
  sys.as(alice, () => {
    equal(sys.getxattr(p.path("a"), "security.test").toString(), "x");
    fails("EPERM", sys.setxattr, p.path("a"), "security.test", "y");
  });
});

/** struct vfs_cap_data, version 2: cap_net_bind_service, effective. */
function capability(): Buffer {
  const bytes = Buffer.alloc(20);
  bytes.writeUInt32LE(0x02000001, 0);
  bytes.writeUInt32LE(1 << 10, 4);
  return bytes;
}

const contentChanges: readonly (readonly [string, (path: string) => void])[] = [
  ["a write", (path: string) => void opened(path, O.WRONLY, (fd) => sys.write(fd, "x"))],
  ["a truncation", (path: string) => sys.truncate(path, 1)],
  ["a chown", (path: string) => sys.chown(path, 5, 5)],
];
for (const [what, act] of contentChanges) {
  cases.add(`security.capability goes with ${what}, even by root`, (p) => {
    file(p.path("a"), "content", 0o755);
    sys.setxattr(p.path("a"), "security.capability", capability());
    equal(sys.getxattr(p.path("a"), "security.capability").length, 20);
    act(p.path("a"));
    fails("ENODATA", sys.getxattr, p.path("a"), "security.capability");
  });
}

cases.add("security.capability stays over chmod, rename and reading", (p) => {
  file(p.path("a"), "content", 0o755);
  sys.setxattr(p.path("a"), "security.capability", capability());
  sys.chmod(p.path("a"), 0o711);
  sys.rename(p.path("a"), p.path("b"));
  equal(sys.getxattr(p.path("b"), "security.capability").length, 20);
});

cases.add("a value can grow and shrink", (p) => {
  file(p.path("a"));
  for (const size of [10, 3000, 1, 2000, 0, 500]) {
    sys.setxattr(p.path("a"), "user.a", "v".repeat(size));
    equal(sys.getxattr(p.path("a"), "user.a").toString(), "v".repeat(size));
  }
});

cases.add("another process sees what was set, and its removal", (p) => {
  file(p.path("a"));
  fails("ENODATA", p.peer.call.bind(p.peer), "getxattr", p.path("a"), "user.a");
  sys.setxattr(p.path("a"), "user.a", "x");
  equal(p.peer.call("getxattr", p.path("a"), "user.a").toString(), "x");
  sys.removexattr(p.path("a"), "user.a");
  holds(p.peer.call("listxattr", p.path("a")).length === 0, "no names");
});
