import test from "ava";
import { FsError } from "../../src/base/errno.ts";
import { inHeader } from "../../src/fuse/abi-layouts.ts";
import { bodyEnd, decodeParentGroup, type RequestName } from "../../src/fuse/decode.ts";
import { KernelRequest } from "../../src/fuse/kernel-request.ts";
import { request, type Row, table } from "./bytes.ts";
import { decode, lockRows, readRows } from "./decode-cases.ts";

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
  const errnoOf = (name: RequestName, rows: readonly Row[]): string | undefined =>
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
