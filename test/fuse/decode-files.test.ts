import { lockRows, readRows, testDecoding } from "./decode-cases.ts";
import type { Row } from "./bytes.ts";

testDecoding([
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
    means: { handle: 1, offset: 2 ** 20, length: 4096, intoPageCache: true },
  },
  {
    name: "read",
    rows: readRows("00 00 10 00 00 00 00 00", "02 00 00 00"),
    means: { handle: 1, offset: 2 ** 20, length: 4096, intoPageCache: false },
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
]);

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

function releaseRows(releaseFlags: string): Row[] {
  return [
    ["fh", "02 00 00 00 00 00 00 00"],
    ["flags", "00 00 00 00"],
    ["release_flags", releaseFlags],
    ["lock_owner", "09 00 00 00 00 00 00 00"],
  ];
}

function lock(type: string, kind: string): object {
  return { kind, type, start: 1n, end: 2n ** 63n - 1n, owner: 2n ** 64n - 1n, pid: 42 };
}
