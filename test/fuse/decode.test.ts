import test from "ava";
import { FsError } from "../../src/base/errno.ts";
import { inHeader } from "../../src/fuse/abi-layouts.ts";
import type { OpcodeName } from "../../src/fuse/abi-opcodes.ts";
import { bodyEnd, decodeParentGroup, decoders, type RequestName } from "../../src/fuse/decode.ts";
import { KernelRequest } from "../../src/fuse/kernel-request.ts";
import type { Frame } from "../../src/fuse/wire.ts";
import { request, type Row, table } from "./bytes.ts";

type AnyDecoder = (frame: Frame, at: number, end: number, extended: boolean) => unknown;

function decode(name: RequestName, body: Buffer, extended = true): unknown {
  const { frame, length } = request(name, body);
  return (decoders[name] as AnyDecoder)(frame, inHeader.bytes, bodyEnd(frame, length), extended);
}

/** Each request as bytes, and what it means. `extended: false`: without SETXATTR_EXT. */
const cases: readonly { name: RequestName; rows: readonly Row[]; means: unknown; extended?: boolean }[] = [
  { name: "lookup", rows: [["name", "'abc\\0'"]], means: { name: "abc" } },
  { name: "lookup", rows: [["name", "ff fe 80 00"]], means: { name: "\u00ff\u00fe\u0080" } },
  { name: "unlink", rows: [["name", "'x\\0'"]], means: { name: "x" } },
  { name: "rmdir", rows: [["name", "'dir\\0'"]], means: { name: "dir" } },
  {
    name: "symlink",
    rows: [
      ["name", "'link\\0'"],
      ["target", "'../to\\0'"],
    ],
    means: { name: "link", target: Buffer.from("../to") },
  },
  {
    name: "mknod",
    rows: [
      ["mode S_IFCHR|0640", "a0 21 00 00"],
      ["rdev 1:3", "03 01 00 00"],
      ["umask 022", "12 00 00 00"],
      ["padding", "00 00 00 00"],
      ["name", "'null\\0'"],
    ],
    means: { name: "null", creation: { mode: 0o020640, umask: 0o22 }, rdev: 0x103 },
  },
  {
    name: "mkdir",
    rows: [
      ["mode 0755", "ed 01 00 00"],
      ["umask 077", "3f 00 00 00"],
      ["name", "'d\\0'"],
    ],
    means: { name: "d", creation: { mode: 0o040755, umask: 0o77 } },
  },
  {
    name: "rename",
    rows: [
      ["newdir", "07 00 00 00 00 00 00 00"],
      ["name", "'old\\0'"],
      ["new name", "'new\\0'"],
    ],
    means: { name: "old", newParent: 7, newName: "new", flags: 0 },
  },
  {
    name: "rename2",
    rows: [
      ["newdir 2^32 + 7", "07 00 00 00 01 00 00 00"],
      ["flags EXCHANGE", "02 00 00 00"],
      ["padding", "00 00 00 00"],
      ["name", "'a\\0'"],
      ["new name", "'b\\0'"],
    ],
    means: { name: "a", newParent: 2 ** 32 + 7, newName: "b", flags: 2 },
  },
  {
    name: "link",
    rows: [
      ["oldnodeid", "09 00 00 00 00 00 00 00"],
      ["name", "'hard\\0'"],
    ],
    means: { ino: 9, newName: "hard" },
  },
  {
    name: "getattr",
    rows: [
      ["flags FH", "01 00 00 00"],
      ["dummy", "00 00 00 00"],
      ["fh", "2a 00 00 00 00 00 00 00"],
    ],
    means: { handle: 42 },
  },
  {
    name: "getattr",
    rows: [
      ["flags", "00 00 00 00"],
      ["dummy", "00 00 00 00"],
      ["fh, not valid", "2a 00 00 00 00 00 00 00"],
    ],
    means: { handle: undefined },
  },
  {
    name: "statx",
    rows: [
      ["flags FH", "01 00 00 00"],
      ["reserved", "00 00 00 00"],
      ["fh", "03 00 00 00 00 00 00 00"],
      ["sx_flags", "00 00 00 00"],
      ["sx_mask", "ff 0f 00 00"],
    ],
    means: { handle: 3 },
  },
  {
    name: "setattr",
    rows: setattrRows("69 00 00 00"), // MODE SIZE MTIME FH
    means: { handle: 8, changes: { mode: 0o100600, size: 0x1000, mtime: 5_000_000_007n } },
  },
  {
    name: "setattr",
    rows: setattrRows("b6 0d 00 00"), // UID GID ATIME ATIME_NOW MTIME MTIME_NOW CTIME KILL_SUIDGID
    means: {
      handle: undefined,
      changes: { uid: 1, gid: 2, atime: "now", mtime: "now", ctime: -999_999_991n, killPrivileges: true },
    },
  },
  {
    name: "open",
    rows: [
      ["flags O_RDWR|O_TRUNC", "02 02 00 00"],
      ["open_flags KILL_SUIDGID", "01 00 00 00"],
    ],
    means: { flags: 0o1002, killPrivileges: true },
  },
  {
    name: "create",
    rows: [
      ["flags O_WRONLY|O_CREAT|O_EXCL", "c1 00 00 00"],
      ["mode S_IFREG|0666", "b6 81 00 00"],
      ["umask 022", "12 00 00 00"],
      ["open_flags", "00 00 00 00"],
      ["name", "'new\\0'"],
    ],
    means: { name: "new", creation: { mode: 0o100666, umask: 0o22 }, flags: 0o301 },
  },
  {
    name: "tmpfile",
    rows: [
      ["flags", "02 00 41 00"],
      ["mode", "80 81 00 00"],
      ["umask", "00 00 00 00"],
      ["open_flags", "00 00 00 00"],
    ],
    means: { creation: { mode: 0o100600, umask: 0 }, flags: 0x410002 },
  },
  {
    name: "read",
    rows: readRows("00 00 10 00 00 00 00 00"),
    means: { handle: 1, offset: 2 ** 20, length: 4096, flags: 0o40000 },
  },
  { name: "readdir", rows: readRows("ff 00 00 00 00 00 00 00"), means: { handle: 1, cookie: 255, length: 4096 } },
  {
    name: "readdirplus",
    rows: readRows("00 00 00 00 00 00 80 00"),
    means: { handle: 1, cookie: 2 ** 55, length: 4096 },
  },
  {
    name: "write",
    rows: [
      ["fh", "02 00 00 00 00 00 00 00"],
      ["offset", "05 00 00 00 00 00 00 00"],
      ["size", "03 00 00 00"],
      ["write_flags CACHE|KILL_SUIDGID", "05 00 00 00"],
      ["lock_owner", "00 00 00 00 00 00 00 00"],
      ["flags", "01 00 00 00"],
      ["padding", "00 00 00 00"],
      ["content", "'abc'"],
    ],
    means: {
      handle: 2,
      offset: 5,
      content: Buffer.from("abc"),
      options: { flags: 1, fromPageCache: true, killPrivileges: true },
    },
  },
  {
    name: "flush",
    rows: [
      ["fh", "02 00 00 00 00 00 00 00"],
      ["unused, padding", "00 00 00 00 00 00 00 00"],
      ["lock_owner", "ff ff ff ff ff ff ff ff"],
    ],
    means: { handle: 2, lockOwner: 2n ** 64n - 1n },
  },
  { name: "release", rows: releaseRows("03 00 00 00"), means: { handle: 2, flockOwner: 9n } },
  { name: "releasedir", rows: releaseRows("00 00 00 00"), means: { handle: 2, flockOwner: undefined } },
  {
    name: "fsync",
    rows: [
      ["fh", "02 00 00 00 00 00 00 00"],
      ["flags FDATASYNC", "01 00 00 00"],
      ["padding", "00 00 00 00"],
    ],
    means: { handle: 2, dataOnly: true },
  },
  { name: "setlkw", rows: lockRows("01 00 00 00", "00 00 00 00"), means: { handle: 2, lock: lock("write", "posix") } },
  { name: "setlk", rows: lockRows("02 00 00 00", "01 00 00 00"), means: { handle: 2, lock: lock("unlock", "flock") } },
  { name: "getlk", rows: lockRows("00 00 00 00", "00 00 00 00"), means: { handle: 2, lock: lock("read", "posix") } },
  {
    name: "access",
    rows: [
      ["mask R_OK", "04 00 00 00"],
      ["padding", "00 00 00 00"],
    ],
    means: { mask: 4 },
  },
  {
    name: "setxattr",
    rows: [
      ["size", "02 00 00 00"],
      ["flags CREATE", "01 00 00 00"],
      ["setxattr_flags ACL_KILL_SGID", "01 00 00 00"],
      ["padding", "00 00 00 00"],
      ["name", "'user.a\\0'"],
      ["value", "00 ff"],
    ],
    means: { name: "user.a", value: Buffer.from([0, 255]), flags: 1, clearSetgid: true },
  },
  {
    name: "setxattr",
    extended: false,
    rows: [
      ["size", "01 00 00 00"],
      ["flags REPLACE", "02 00 00 00"],
      ["name", "'user.a\\0'"],
      ["value", "'v'"],
    ],
    means: { name: "user.a", value: Buffer.from("v"), flags: 2, clearSetgid: false },
  },
  {
    name: "getxattr",
    rows: [
      ["size", "00 01 00 00"],
      ["padding", "00 00 00 00"],
      ["name", "'user.a/b\\0'"],
    ],
    means: { name: "user.a/b", size: 256 },
  },
  { name: "listxattr", rows: [["size, padding", "00 01 00 00 00 00 00 00"]], means: { size: 256 } },
  { name: "removexattr", rows: [["name", "'user.a\\0'"]], means: { name: "user.a" } },
  {
    name: "fallocate",
    rows: [
      ["fh", "02 00 00 00 00 00 00 00"],
      ["offset", "00 10 00 00 00 00 00 00"],
      ["length", "00 20 00 00 00 00 00 00"],
      ["mode PUNCH_HOLE|KEEP_SIZE", "03 00 00 00"],
      ["padding", "00 00 00 00"],
    ],
    means: { handle: 2, offset: 4096, length: 8192, mode: 3 },
  },
  {
    name: "lseek",
    rows: [
      ["fh", "02 00 00 00 00 00 00 00"],
      ["offset", "00 10 00 00 00 00 00 00"],
      ["whence SEEK_DATA", "03 00 00 00"],
      ["padding", "00 00 00 00"],
    ],
    means: { handle: 2, offset: 4096, whence: 3 },
  },
  ...(["copyFileRange", "copyFileRange64"] as const).map((name) => ({
    name,
    rows: [
      ["fh_in", "02 00 00 00 00 00 00 00"],
      ["off_in", "01 00 00 00 00 00 00 00"],
      ["nodeid_out", "0b 00 00 00 00 00 00 00"],
      ["fh_out", "03 00 00 00 00 00 00 00"],
      ["off_out", "04 00 00 00 00 00 00 00"],
      ["len 2^32", "00 00 00 00 01 00 00 00"],
      ["flags", "00 00 00 00 00 00 00 00"],
    ] as const,
    means: { handle: 2, offset: 1, to: { ino: 11, handle: 3, offset: 4 }, length: 2 ** 32 },
  })),
  { name: "interrupt", rows: [["unique", "22 11 00 00 01 00 00 00"]], means: { uniqueLow: 0x1122, uniqueHigh: 1 } },
  { name: "forget", rows: [["nlookup", "03 00 00 00 00 00 00 00"]], means: { count: 3 } },
  {
    name: "batchForget",
    rows: [
      ["count", "02 00 00 00"],
      ["dummy", "00 00 00 00"],
      ["nodeid", "05 00 00 00 00 00 00 00"],
      ["nlookup", "01 00 00 00 00 00 00 00"],
      ["nodeid", "06 00 00 00 00 00 00 00"],
      ["nlookup", "02 00 00 00 00 00 00 00"],
    ],
    means: [
      { ino: 5, count: 1 },
      { ino: 6, count: 2 },
    ],
  },
  {
    name: "init",
    rows: [
      ["major", "07 00 00 00"],
      ["minor", "2d 00 00 00"],
      ["max_readahead", "00 00 02 00"],
      ["flags", "fb ff ff 73"],
      ["flags2", "fd 05 00 00"],
      ["unused", "00".repeat(44)],
    ],
    means: { major: 7, minor: 45, maxReadahead: 131072, flags: 0x73fffffb, flags2: 0x5fd },
  },
];

for (const [index, { name, rows, means, extended }] of cases.entries()) {
  test(`request ${String(index)}, ${name}, is decoded from its bytes`, (t) => {
    t.deepEqual(decode(name, table(...rows), extended), means);
  });

  test(`request ${String(index)}, ${name}, cut at any length, is refused and nothing behind its end is read`, (t) => {
    const whole = table(...rows);
    // INIT of an older kernel is shorter; flags2 is then 0
    const shortest = name === "init" ? 16 : whole.length;
    for (let length = 0; length < shortest; length++) {
      const error = t.throws(() => decode(name, whole.subarray(0, length), extended), { instanceOf: FsError });
      t.is(error.errno, "EIO", `${String(length)} bytes`);
    }
  });
}

test("the header is decoded, and its resend bit is not part of the request's number", (t) => {
  const { frame } = request("getattr", Buffer.alloc(16));
  const plain = new KernelRequest(frame.view);
  t.like(plain, { opcode: 3, unique: 0x1122n, ino: 5, uid: 1000, gid: 100, pid: 4242, key: 0x1122 });
  frame.view.setBigUint64(inHeader.unique, 2n ** 63n + 0x1122n, true);
  const again = new KernelRequest(frame.view);
  t.is(again.unique, 0x1122n);
  t.is(again.key, 0x1122);
  t.is(again.uniqueHigh, 0x8000_0000, "the reply carries it");
});

test("a header that claims another length than was read is refused", (t) => {
  const { frame, length } = request("lookup", Buffer.from("a\0"));
  t.throws(() => bodyEnd(frame, length - 1), { instanceOf: FsError });
  t.throws(() => bodyEnd(frame, 39), { instanceOf: FsError });
});

test("the caller's group that owns the directory is found in the extensions, which are not part of the name", (t) => {
  const extensions = table(
    ["size", "10 00 00 00"],
    ["type, unknown", "63 00 00 00"],
    ["payload", "01 02 03 04 05 06 07 08"],
    ["size", "10 00 00 00"],
    ["type GROUPS", "20 00 00 00"],
    ["count", "01 00 00 00"],
    ["gid 50", "32 00 00 00"],
  );
  const { frame, length } = request(
    "mkdir",
    table(["mode, umask", "ed 01 00 00 00 00 00 00"], ["name", "'d\\0'"], ["padding", "00".repeat(6)]),
    extensions,
  );
  const end = bodyEnd(frame, length);
  t.is(end, length - extensions.length);
  t.is(decodeParentGroup(frame, end, length), 50);
  t.is(decodeParentGroup(frame, end, end + 16), undefined);
  for (let cut = 1; cut < 8; cut++) t.notThrows(() => decodeParentGroup(frame, end, end + cut));
  for (let cut = 9; cut < 16; cut++) t.throws(() => decodeParentGroup(frame, end, end + cut), { instanceOf: FsError });
});

test("what no file can hold is refused with the errno that a program expects", (t) => {
  const above = "00 00 00 00 00 00 40 00"; // 2^54
  const errnoOf = (name: OpcodeName & RequestName, rows: readonly Row[]): string | undefined =>
    t.throws(() => decode(name, table(...rows)), { instanceOf: FsError }).errno;
  t.is(errnoOf("read", readRows(above)), "EFBIG");
  t.is(
    errnoOf("lseek", [
      ["fh", "01 00 00 00 00 00 00 00"],
      ["offset", above],
      ["whence", "03 00 00 00 00 00 00 00"],
    ]),
    "ENXIO",
  );
  t.is(
    errnoOf("lseek", [
      ["fh", "01 00 00 00 00 00 00 00"],
      ["offset", "00".repeat(8)],
      ["whence", "07 00 00 00 00 00 00 00"],
    ]),
    "EINVAL",
  );
  t.is(errnoOf("lookup", [["name of 256 bytes", `'${"n".repeat(256)}\\0'`]]), "ENAMETOOLONG");
  t.is(
    errnoOf("getxattr", [
      ["size", "00".repeat(8)],
      ["name", `'${"n".repeat(256)}\\0'`],
    ]),
    "ERANGE",
  );
  t.is(errnoOf("setlk", lockRows("07 00 00 00", "00 00 00 00")), "EINVAL");
  t.is(errnoOf("lookup", [["no name", "00"]]), "EIO");
});

function setattrRows(valid: string): Row[] {
  return [
    ["valid", valid],
    ["padding", "00 00 00 00"],
    ["fh", "08 00 00 00 00 00 00 00"],
    ["size", "00 10 00 00 00 00 00 00"],
    ["lock_owner", "00 00 00 00 00 00 00 00"],
    ["atime", "03 00 00 00 00 00 00 00"],
    ["mtime", "05 00 00 00 00 00 00 00"],
    ["ctime -1", "ff ff ff ff ff ff ff ff"],
    ["atimensec", "01 00 00 00"],
    ["mtimensec", "07 00 00 00"],
    ["ctimensec", "09 00 00 00"],
    ["mode", "80 81 00 00"],
    ["unused4", "00 00 00 00"],
    ["uid", "01 00 00 00"],
    ["gid", "02 00 00 00"],
    ["unused5", "00 00 00 00"],
  ];
}

function readRows(offset: string): Row[] {
  return [
    ["fh", "01 00 00 00 00 00 00 00"],
    ["offset", offset],
    ["size", "00 10 00 00"],
    ["read_flags", "00 00 00 00"],
    ["lock_owner", "00 00 00 00 00 00 00 00"],
    ["flags O_DIRECT", "00 40 00 00"],
    ["padding", "00 00 00 00"],
  ];
}

function releaseRows(releaseFlags: string): Row[] {
  return [
    ["fh", "02 00 00 00 00 00 00 00"],
    ["flags", "00 00 00 00"],
    ["release_flags", releaseFlags],
    ["lock_owner", "09 00 00 00 00 00 00 00"],
  ];
}

function lockRows(type: string, lockFlags: string): Row[] {
  return [
    ["fh", "02 00 00 00 00 00 00 00"],
    ["owner", "ff ff ff ff ff ff ff ff"],
    ["start", "01 00 00 00 00 00 00 00"],
    ["end", "ff ff ff ff ff ff ff 7f"],
    ["type", type],
    ["pid", "2a 00 00 00"],
    ["lk_flags", lockFlags],
    ["padding", "00 00 00 00"],
  ];
}

function lock(type: string, kind: string): object {
  return { kind, type, start: 1n, end: 2n ** 63n - 1n, owner: 2n ** 64n - 1n, pid: 42 };
}
