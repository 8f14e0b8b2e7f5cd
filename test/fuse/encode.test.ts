import test from "ava";
import type { Attributes } from "../../src/base/attributes.ts";
import { toHandle, toIno } from "../../src/base/ids.ts";
import { nameFromText } from "../../src/base/name.ts";
import * as encode from "../../src/fuse/encode.ts";
import * as notification from "../../src/fuse/encode-notification.ts";
import { DirectoryBuffer } from "../../src/fuse/directory-buffer.ts";
import { type Frame, frameOf } from "../../src/fuse/wire.ts";
import { type Row, table } from "./bytes.ts";

/** Runs an encoder on a frame full of ones: every byte of the structure must be written, and none around it. */
function encoded(run: (frame: Frame, at: number) => number): Buffer {
  const frame = frameOf(Buffer.alloc(512, 0xff));
  const length = run(frame, 16);
  const around = Buffer.concat([frame.bytes.subarray(0, 16), frame.bytes.subarray(16 + length)]);
  if (!around.every((byte) => byte === 0xff)) throw new Error("wrote around its structure");
  return frame.bytes.subarray(16, 16 + length);
}

const attributes: Attributes = {
  ino: toIno(2 ** 32 + 5),
  mode: 0o100644,
  nlink: 2,
  uid: 1000,
  gid: 100,
  rdev: 0x12305,
  size: 2 ** 33 + 1,
  blocks: 9,
  atime: 1_000_000_001n,
  mtime: -1n,
  ctime: 3_000_000_003n,
  btime: 4_000_000_004n,
  hasXattrs: false,
};
const attributesRows: Row[] = [
  ["ino", "05 00 00 00 01 00 00 00"],
  ["size", "01 00 00 00 02 00 00 00"],
  ["blocks", "09 00 00 00 00 00 00 00"],
  ["atime", "01 00 00 00 00 00 00 00"],
  ["mtime", "ff ff ff ff ff ff ff ff"],
  ["ctime", "03 00 00 00 00 00 00 00"],
  ["atimensec", "01 00 00 00"],
  ["mtimensec", "ff c9 9a 3b"],
  ["ctimensec", "03 00 00 00"],
  ["mode", "a4 81 00 00"],
  ["nlink", "02 00 00 00"],
  ["uid", "e8 03 00 00"],
  ["gid", "64 00 00 00"],
  ["rdev", "05 23 01 00"],
  ["blksize", "00 00 01 00"],
  ["flags", "00 00 00 00"],
];
const entryRows: Row[] = [
  ["nodeid", "05 00 00 00 01 00 00 00"],
  ["generation", "00 00 00 00 00 00 00 00"],
  ["entry_valid", "02 00 00 00 00 00 00 00"],
  ["attr_valid", "01 00 00 00 00 00 00 00"],
  ["entry_valid_nsec", "00 65 cd 1d"],
  ["attr_valid_nsec", "00 00 00 00"],
  ...attributesRows,
];
const entry = { attributes, attributesValidMillis: 1000, entryValidMillis: 2500 };

test("an entry is a fuse_entry_out with exact times", (t) => {
  t.deepEqual(
    encoded((f, at) => encode.encodeEntry(f, at, entry)),
    table(...entryRows),
  );
});

test("attributes are a fuse_attr_out", (t) => {
  t.deepEqual(
    encoded((f, at) => encode.encodeAttributesReply(f, at, entry)),
    table(
      ["attr_valid", "01 00 00 00 00 00 00 00"],
      ["attr_valid_nsec, dummy", "00 00 00 00 00 00 00 00"],
      ...attributesRows,
    ),
  );
});

test("an absent name is an entry of inode 0 that stays valid", (t) => {
  t.deepEqual(
    encoded((f, at) => encode.encodeAbsentEntry(f, at, 1500)),
    table(
      ["nodeid, generation", "00".repeat(16)],
      ["entry_valid", "01 00 00 00 00 00 00 00"],
      ["attr_valid", "00".repeat(8)],
      ["entry_valid_nsec", "00 65 cd 1d"],
      ["attr_valid_nsec", "00".repeat(4)],
      ["attr", "00".repeat(88)],
    ),
  );
});

test("statx has the birth time and the device number in two halves", (t) => {
  t.deepEqual(
    encoded((f, at) => encode.encodeStatx(f, at, entry)),
    table(
      ["attr_valid", "01 00 00 00 00 00 00 00"],
      ["attr_valid_nsec, flags", "00".repeat(8)],
      ["spare", "00".repeat(16)],
      ["mask", "ff 0f 00 00"],
      ["blksize", "00 00 01 00"],
      ["attributes", "00".repeat(8)],
      ["nlink", "02 00 00 00"],
      ["uid", "e8 03 00 00"],
      ["gid", "64 00 00 00"],
      ["mode, spare", "a4 81 00 00"],
      ["ino", "05 00 00 00 01 00 00 00"],
      ["size", "01 00 00 00 02 00 00 00"],
      ["blocks", "09 00 00 00 00 00 00 00"],
      ["attributes_mask", "00".repeat(8)],
      ["atime", "01 00 00 00 00 00 00 00 01 00 00 00 00 00 00 00"],
      ["btime", "04 00 00 00 00 00 00 00 04 00 00 00 00 00 00 00"],
      ["ctime", "03 00 00 00 00 00 00 00 03 00 00 00 00 00 00 00"],
      ["mtime", "ff ff ff ff ff ff ff ff ff c9 9a 3b 00 00 00 00"],
      ["rdev 0x123, 5", "23 01 00 00 05 00 00 00"],
      ["dev", "00".repeat(8)],
      ["spare", "00".repeat(112)],
    ),
  );
});

test("an opened file carries its handle and each of its flags", (t) => {
  const handle = toHandle(7);
  const fh: Row = ["fh", "07 00 00 00 00 00 00 00"];
  const cases: [object, string][] = [
    [{}, "00"],
    [{ directIo: true }, "01"],
    [{ keepCache: true }, "02"],
    [{ nonSeekable: true }, "04"],
    [{ cacheDirectory: true }, "08"],
    [{ noFlush: true }, "20"],
  ];
  for (const [flags, byte] of cases) {
    t.deepEqual(
      encoded((f, at) => encode.encodeOpened(f, at, { handle, ...flags })),
      table(fh, ["open_flags", `${byte} 00 00 00`], ["backing_id", "00 00 00 00"]),
    );
  }
  t.deepEqual(
    encoded((f, at) => encode.encodeCreated(f, at, { entry, opened: { handle } })),
    table(...entryRows, fh, ["open_flags, backing_id", "00".repeat(8)]),
  );
});

test("statistics of the filesystem are a fuse_kstatfs", (t) => {
  const s = {
    blocks: 1,
    blocksFree: 2,
    blocksAvailable: 3,
    files: 4,
    filesFree: 5,
    blockBytes: 4096,
    nameBytesMax: 255,
  };
  t.deepEqual(
    encoded((f, at) => encode.encodeStatistics(f, at, s)),
    table(
      ["blocks", "01 00 00 00 00 00 00 00"],
      ["bfree", "02 00 00 00 00 00 00 00"],
      ["bavail", "03 00 00 00 00 00 00 00"],
      ["files", "04 00 00 00 00 00 00 00"],
      ["ffree", "05 00 00 00 00 00 00 00"],
      ["bsize", "00 10 00 00"],
      ["namelen", "ff 00 00 00"],
      ["frsize", "00 10 00 00"],
      ["padding, spare", "00".repeat(28)],
    ),
  );
});

test("a lock in the way is shown, and none is an unlock", (t) => {
  const lock = { kind: "posix", type: "write", start: 1n, end: 2n ** 63n - 1n, owner: 0n, pid: 42 } as const;
  t.deepEqual(
    encoded((f, at) => encode.encodeLock(f, at, lock)),
    table(
      ["start", "01 00 00 00 00 00 00 00"],
      ["end", "ff ff ff ff ff ff ff 7f"],
      ["type", "01 00 00 00"],
      ["pid", "2a 00 00 00"],
    ),
  );
  t.deepEqual(
    encoded((f, at) => encode.encodeLock(f, at, undefined)),
    table(["start, end", "00".repeat(16)], ["type", "02 00 00 00"], ["pid", "00 00 00 00"]),
  );
});

test("a reply's header has the negative errno and the request's number", (t) => {
  const frame = frameOf(Buffer.alloc(16));
  encode.encodeHeader(frame.view, 16, -2, { uniqueLow: 0x1122, uniqueHigh: 0x8000_0000 });
  t.deepEqual(
    frame.bytes,
    table(["len", "10 00 00 00"], ["error", "fe ff ff ff"], ["unique", "22 11 00 00 00 00 00 80"]),
  );
});

test("the reply to INIT has every limit in its place", (t) => {
  const reply = { minor: 45, maxReadahead: 1, flags: 0x73fffffb, flags2: 0x94, maxBackground: 65535 };
  const rest = { congestionThreshold: 49151, maxWriteBytes: 2 ** 20, maxPages: 256 };
  t.deepEqual(
    encoded((f, at) => encode.encodeInit(f, at, { ...reply, ...rest }, 7)),
    table(
      ["major", "07 00 00 00"],
      ["minor", "2d 00 00 00"],
      ["max_readahead", "01 00 00 00"],
      ["flags", "fb ff ff 73"],
      ["max_background", "ff ff"],
      ["congestion_threshold", "ff bf"],
      ["max_write", "00 00 10 00"],
      ["time_gran", "01 00 00 00"],
      ["max_pages", "00 01"],
      ["map_alignment", "00 00"],
      ["flags2", "94 00 00 00"],
      ["max_stack_depth, request_timeout, unused", "00".repeat(28)],
    ),
  );
});

test("notifications are messages without a number, their code in the error's place", (t) => {
  const header = (length: string, code: string): Row[] => [
    ["len", `${length} 00 00 00`],
    ["code", `${code} 00 00 00`],
    ["unique", "00".repeat(8)],
  ];
  t.deepEqual(
    notification.encodeInvalidateInode(toIno(5), -1, 0),
    table(...header("28", "02"), ["ino", "05 00 00 00 00 00 00 00"], ["off", "ff".repeat(8)], ["len", "00".repeat(8)]),
  );
  t.deepEqual(
    notification.encodeInvalidateEntry(toIno(1), nameFromText("ab")),
    table(
      ...header("23", "03"),
      ["parent", "01 00 00 00 00 00 00 00"],
      ["namelen", "02 00 00 00"],
      ["flags", "00 00 00 00"],
      ["name", "'ab\\0'"],
    ),
  );
  t.deepEqual(notification.encodeIncrementEpoch(), table(...header("10", "08")));
  t.deepEqual(notification.encodeResend(), table(...header("10", "07")));
});

const one: Row[] = [
  ["ino", "05 00 00 00 01 00 00 00"],
  ["off", "03 00 00 00 00 00 00 00"],
  ["namelen", "02 00 00 00"],
  ["type DT_REG", "08 00 00 00"],
  ["name, padded", "'ab\\0\\0\\0\\0\\0\\0'"],
];
const item = { name: nameFromText("ab"), ino: attributes.ino, type: 0o100000, cookie: 3 };

test("a directory entry is a fuse_dirent, and with attributes a fuse_direntplus", (t) => {
  const plain = new DirectoryBuffer(4096, false);
  t.true(plain.add(item));
  t.deepEqual(plain.bytes, table(...one));
  plain.release();
  const plus = new DirectoryBuffer(4096, true);
  t.true(plus.add({ ...item, entry }));
  t.true(plus.add(item), "without attributes: inode 0, nothing counted");
  t.deepEqual(plus.bytes, table(...entryRows, ...one, ["no entry", "00".repeat(128)], ...one));
  plus.release();
});

test("a directory buffer takes entries up to exactly its size, and one that does not fit leaves no trace", (t) => {
  for (let room = 0; room < 100; room++) {
    const buffer = new DirectoryBuffer(room, false);
    let taken = 0;
    while (buffer.add(item)) taken++;
    t.is(taken, Math.floor(room / 32));
    t.is(buffer.bytes.length, taken * 32);
    t.is(buffer.isEmpty, taken === 0);
    buffer.release();
  }
  const plus = new DirectoryBuffer(160, true);
  t.true(plus.add({ ...item, entry }));
  t.false(plus.add({ ...item, entry }));
  t.is(plus.bytes.length, 160);
});
