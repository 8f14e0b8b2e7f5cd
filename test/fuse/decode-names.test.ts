import { testDecoding } from "./decode-cases.ts";

testDecoding([
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
]);
