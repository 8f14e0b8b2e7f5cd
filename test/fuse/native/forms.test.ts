/** What the second driver makes of things that the package has no room for, and the bound of what it holds. */
import test from "ava";
import type { Attributes } from "../../../src/base/attributes.ts";
import { toHandle, toIno } from "../../../src/base/ids.ts";
import { createHeldInodes } from "../../../src/fuse/native/held-inodes.ts";
import { mountOptions } from "../../../src/fuse/native/mount-options.ts";
import { createOpenFiles } from "../../../src/fuse/native/open-files.ts";
import { textBytes } from "../../../src/fuse/native/paths.ts";
import { checkOffset, fromMillis, toStat, toStatvfs } from "../../../src/fuse/native/translate.ts";

const attributes: Attributes = {
  ino: toIno(2 ** 40 + 7),
  mode: 0o100644,
  nlink: 1,
  uid: 1,
  gid: 2,
  rdev: 0,
  size: 2 ** 52,
  blocks: 8,
  atime: -1_000_000n,
  mtime: 1_600_000_000_123_456_789n,
  ctime: 0n,
  btime: 0n,
  hasXattrs: false,
};

test("times lose what is below a millisecond, and those before 1970 become 1970", (t) => {
  const { atime, mtime, ctime } = toStat(attributes);
  t.deepEqual([atime, mtime, ctime], [0, 1_600_000_000_123, 0]);
  t.is(fromMillis(-1_500), -1_500_000_000n);
  t.throws(() => fromMillis(NaN), { message: /^EOVERFLOW/ });
});

test("inode numbers lose all but 32 bits, sizes stay exact to 2^53", (t) => {
  t.is(toStat(attributes).ino, 7);
  t.is(toStat(attributes).size, 2 ** 52);
  t.is(checkOffset(2 ** 53 - 1), 2 ** 53 - 1);
  t.throws(() => checkOffset(2 ** 53), { message: /^EFBIG/ });
});

test("a large filesystem is told in larger units, so that its counts have 32 bits", (t) => {
  const blocks = 2 ** 40;
  const statistics = { blocks, blocksFree: blocks / 2, blocksAvailable: blocks / 4, files: 2 ** 50, filesFree: 5 };
  const told = toStatvfs({ ...statistics, blockBytes: 4096, nameBytesMax: 255 });
  t.true(told.blocks < 2 ** 32);
  t.is(told.blocks * told.frsize, blocks * 4096);
  t.is(told.bavail * told.frsize, blocks * 1024);
  t.deepEqual([told.files, told.ffree, told.namemax], [2 ** 32 - 1, 5, 255]);
});

test("text that does not say which bytes are meant is refused", (t) => {
  t.deepEqual(textBytes("ü"), Buffer.from([0xc3, 0xbc]));
  t.throws(() => textBytes("a\uFFFD"), { message: /^EILSEQ/ });
});

test("a comma in the source stays in the source, and unknown options are left out", (t) => {
  const options = mountOptions("a:1,b:2", ["ro", "nodiratime"]);
  t.is(options[0], "fsname=a:1\\,b:2");
  t.true(options.includes("ro"));
  t.false(options.includes("nodiratime"));
});

test("an open file's number is never 0, and unknown after its release", (t) => {
  const files = createOpenFiles();
  const fd = files.add({ ino: toIno(5), handle: toHandle(0), flags: 2 });
  t.true(fd > 0);
  t.is(files.get(fd).ino, toIno(5));
  t.is(files.take(fd).flags, 2);
  t.throws(() => files.get(fd), { message: /^EBADF/ });
});

test("each held inode keeps one count, the one used least recently goes first, and the bound is kept", (t) => {
  const counts = new Map<number, number>();
  const held = createHeldInodes((ino, count) => counts.set(ino, (counts.get(ino) ?? 0) - count), 3);
  const use = (ino: number): void => {
    counts.set(ino, (counts.get(ino) ?? 0) + 1);
    held.used(toIno(ino));
  };
  for (const ino of [10, 11, 12, 10, 10, 13]) use(ino);
  t.deepEqual(
    [...counts],
    [
      [10, 1],
      [11, 0],
      [12, 1],
      [13, 1],
    ],
  );
  held.drop(toIno(12));
  held.drop(toIno(12));
  t.is(counts.get(12), 0);
  held.dropAll();
  t.deepEqual([...counts.values()], [0, 0, 0, 0]);
});
