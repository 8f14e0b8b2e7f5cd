import test from "ava";
import { limits } from "../../../src/base/limits.ts";
import type { BlockId, GroupId, Ino } from "../../../src/base/ids.ts";
import { keys } from "../../../src/metadata-store/keys.ts";
import { decodeBlock, decodeRange, isNamed } from "../../../src/metadata-store/records.ts";
import type { Extent } from "../../../src/protocol/types.ts";
import { violations } from "./invariants.ts";
import { alice, bob, errnoOf, group, groupEpoch, Namespace, otherSession, root, rootIno } from "./support.ts";

const KiB = 1024;

function blockExtent(block: BlockId, offset: number, length: number, blockOffset = 0): Extent {
  return { kind: "block", offset, length, block, blockOffset };
}
function inline(offset: number, text: string): Extent {
  return { kind: "inline", offset, length: text.length, content: Buffer.from(text) };
}
function withFile(): { ns: Namespace; ino: Ino } {
  const ns = new Namespace();
  return { ns, ino: ns.create(rootIno, "f") };
}
function references(ns: Namespace, block: BlockId): unknown {
  const value = ns.store.get(keys.block(block));
  if (value === undefined) return undefined;
  const { length, references: count, liveBytes } = decodeBlock(value);
  return { length, references: count, liveBytes };
}

test("a small file is one inline extent, read back whole", (t) => {
  const { ns, ino } = withFile();
  const { attributes } = ns.writeInline(ino, 0, Buffer.from("hello"));
  t.like(attributes, { size: 5, blocks: 8 });
  t.true(attributes.mtime === attributes.ctime);
  t.deepEqual(ns.extents(ino), [inline(0, "hello")]);
});

test("a block extent counts references and live bytes; what replaces it splits it", (t) => {
  const { ns, ino } = withFile();
  const block = ns.writeBlock(ino, 0, 100 * KiB);
  t.like(ns.stat(ino), { size: 100 * KiB, blocks: 200 });
  t.deepEqual(references(ns, block), { length: 100 * KiB, references: 1, liveBytes: 100 * KiB });
  const middle = ns.writeBlock(ino, 40 * KiB, 10 * KiB);
  t.deepEqual(ns.extents(ino), [
    blockExtent(block, 0, 40 * KiB),
    blockExtent(middle, 40 * KiB, 10 * KiB),
    blockExtent(block, 50 * KiB, 50 * KiB, 50 * KiB),
  ]);
  t.deepEqual(references(ns, block), { length: 100 * KiB, references: 2, liveBytes: 90 * KiB });
  ns.writeBlock(ino, 0, 100 * KiB);
  t.is(references(ns, block), undefined);
  t.is(ns.extents(ino).length, 1);
  t.deepEqual(violations(ns.store), []);
});

test("inline content is split by what overwrites its middle", (t) => {
  const { ns, ino } = withFile();
  ns.writeInline(ino, 0, Buffer.from("0123456789"));
  ns.writeBlock(ino, 3, 2);
  const found = ns.extents(ino);
  t.deepEqual(found[0], inline(0, "012"));
  t.deepEqual(found[2], inline(5, "56789"));
  t.deepEqual(violations(ns.store), []);
});

test("small neighbours are joined, long ones are not", (t) => {
  const { ns, ino } = withFile();
  for (let i = 0; i < 10; i++) ns.writeInline(ino, 0, Buffer.from("line\n"), true);
  t.deepEqual(ns.extents(ino), [inline(0, "line\n".repeat(10))]);
  ns.writeInline(ino, 0, Buffer.alloc(4_090), true);
  t.is(ns.extents(ino).length, 2);
  t.deepEqual(violations(ns.store), []);
});

test("append counts offsets from the end as it is and says where that was", (t) => {
  const { ns, ino } = withFile();
  t.is(ns.writeInline(ino, 0, Buffer.from("abc"), true).appendedAt, 0);
  const reply = ns.write(ino, [inline(2, "x")], { append: true, size: 10 });
  t.is(reply.appendedAt, 3);
  t.is(reply.attributes.size, 13);
  t.deepEqual(
    ns.extents(ino).map(({ offset }) => offset),
    [0, 5],
  );
});

test("size makes a file at least so long; mtime is the one given", (t) => {
  const { ns, ino } = withFile();
  t.is(ns.write(ino, [], { size: 1_000 }).attributes.size, 1_000);
  t.is(ns.write(ino, [], { size: 10 }).attributes.size, 1_000);
  t.is(ns.stat(ino).blocks, 0);
  const request = { ino, extents: [], epochs: [], size: 0, append: false, clearPrivileges: false };
  t.is(ns.call("writeExtents", { ...request, mtime: 5n }).attributes.mtime, 5n);
  const ahead = ns.now + 10n ** 9n;
  t.like(ns.call("writeExtents", { ...request, mtime: ahead }).attributes, { mtime: ahead, ctime: ahead });
});

test("content written before a time was set leaves the times alone, its arrival is no change of its own", (t) => {
  const { ns, ino } = withFile();
  const request = { ino, extents: [], epochs: [], size: 0, append: false, clearPrivileges: false };
  const { ctime } = ns.setattr(ino, { mtime: 7n });
  ns.now += 1_000n;
  t.like(ns.call("writeExtents", request).attributes, { mtime: 7n, ctime });
  t.like(ns.call("writeExtents", { ...request, mtime: ctime + 1n }).attributes, {
    mtime: ctime + 1n,
    ctime: ctime + 1n,
  });
});

test("only blocks of the session's own ranges may be named, each once for ever", (t) => {
  const { ns, ino } = withFile();
  const [block, second] = ns.allocate(2) as [BlockId, BlockId];
  const [foreign] = ns.allocate(1, otherSession) as [BlockId];
  const write = (...extents: Extent[]): string => errnoOf(() => ns.write(ino, extents));
  t.is(write(blockExtent(foreign, 0, 10)), "EINVAL");
  t.is(write(blockExtent({ group, number: 999 }, 0, 10)), "EINVAL");
  t.is(write(blockExtent({ group: 9 as GroupId, number: 1 }, 0, 10)), "EINVAL");
  t.is(write(blockExtent(block, 0, 10), blockExtent(block, 20, 10, 10)), "none");
  const range = decodeRange(ns.store.get(keys.range(group, block.number)) as Buffer);
  t.true(isNamed(range, 0) && !isNamed(range, 1));
  // The very same place again is what a request that is sent again says; elsewhere it is refused.
  t.is(write(blockExtent(block, 0, 10)), "none");
  t.is(write(blockExtent(block, 100, 10)), "EINVAL");
  t.is(
    errnoOf(() => ns.write(ns.create(rootIno, "g"), [blockExtent(block, 0, 10)])),
    "EINVAL",
  );
  // Also when nothing names it any more.
  ns.setattr(ino, { size: 0 });
  t.is(write(blockExtent(block, 0, 10)), "EINVAL");
  t.is(write(blockExtent(second, 0, 10)), "none");
  t.is(ns.store.get(keys.range(group, block.number)), undefined);
  t.deepEqual(violations(ns.store), []);
});

test("a block written under an epoch that has passed is refused", (t) => {
  const { ns, ino } = withFile();
  const [block] = ns.allocate(1) as [BlockId];
  const write = (epochs: { group: GroupId; epoch: number }[]): string =>
    errnoOf(() =>
      ns.call("writeExtents", {
        ino,
        extents: [blockExtent(block, 0, 1)],
        epochs,
        size: 0,
        append: false,
        clearPrivileges: false,
      }),
    );
  t.is(write([{ group, epoch: groupEpoch - 1 }]), "ESTALE");
  t.is(write([]), "EINVAL");
  t.is(write([{ group, epoch: groupEpoch }]), "none");
});

test("writeExtents refuses overlaps, disorder, too large files and what is no file", (t) => {
  const { ns, ino } = withFile();
  t.is(
    errnoOf(() => ns.write(ino, [inline(0, "abc"), inline(2, "d")])),
    "EINVAL",
  );
  t.is(
    errnoOf(() => ns.write(ino, [inline(5, "abc"), inline(0, "d")])),
    "EINVAL",
  );
  t.is(
    errnoOf(() => ns.write(ino, [inline(limits.fileBytesMax - 1, "ab")])),
    "EFBIG",
  );
  t.is(
    errnoOf(() => ns.write(rootIno, [inline(0, "ab")])),
    "EISDIR",
  );
  t.is(
    errnoOf(() => ns.write(ns.symlink(rootIno, "s", "x"), [inline(0, "ab")])),
    "EINVAL",
  );
  const [block] = ns.allocate(1) as [BlockId];
  t.is(
    errnoOf(() => ns.write(ino, [blockExtent(block, 0, 2, limits.blockBytesMax - 1)])),
    "EINVAL",
  );
  ns.space = { ...ns.space, metadataFull: true };
  t.is(
    errnoOf(() => ns.write(ino, [inline(0, "ab")])),
    "ENOSPC",
  );
  ns.space = { ...ns.space, metadataFull: false };
  ns.unlink(rootIno, "f");
  t.is(
    errnoOf(() => ns.write(ino, [inline(0, "ab")])),
    "ESTALE",
  );
});

test("truncation cuts the last extent, extension leaves a hole", (t) => {
  const { ns, ino } = withFile();
  const block = ns.writeBlock(ino, 0, 8 * KiB);
  ns.setattr(ino, { size: 5 * KiB });
  t.deepEqual(ns.extents(ino), [blockExtent(block, 0, 5 * KiB)]);
  ns.setattr(ino, { size: 20 * KiB });
  t.deepEqual(ns.extents(ino), [blockExtent(block, 0, 5 * KiB)]);
  t.like(ns.stat(ino), { size: 20 * KiB, blocks: 16 });
  ns.setattr(ino, { size: 0 });
  t.deepEqual(ns.extents(ino), []);
  t.deepEqual(violations(ns.store), []);
});

test("readExtents gives whole extents and goes on where the reply was cut", (t) => {
  const { ns, ino } = withFile();
  for (let i = 0; i < 100; i++) ns.writeInline(ino, i * 20_000, Buffer.alloc(16_000, i));
  const first = ns.call("readExtents", { ino, offset: 5, length: 2 ** 40 });
  t.true(first.extents.length < 100 && first.next === first.extents.length * 20_000);
  t.is(first.extents[0]?.offset, 0);
  t.is(ns.extents(ino).length, 100);
  t.deepEqual(ns.call("readExtents", { ino, offset: 16_000, length: 4_000 }).extents, []);
  t.like(ns.call("readExtents", { ino, offset: 2 ** 40, length: 1 }), { extents: [], next: null });
  t.is(
    errnoOf(() => ns.call("readExtents", { ino: rootIno, offset: 0, length: 1 })),
    "EISDIR",
  );
});

test("compaction replaces exactly what was read, and changes no time", (t) => {
  const { ns, ino } = withFile();
  ns.writeInline(ino, 0, Buffer.from("abc"));
  ns.writeInline(ino, 10, Buffer.from("def"));
  const before = ns.extents(ino);
  const times = ns.stat(ino);
  const [block, other] = ns.allocate(2) as [BlockId, BlockId];
  const epochs = [{ group, epoch: groupEpoch }];
  const compact = (from: Extent[], after: Extent[]): string =>
    errnoOf(() => ns.call("compactExtents", { ino, before: from, after, epochs }));
  t.is(compact(before, [blockExtent(block, 0, 14)]), "EINVAL");
  t.is(compact(before.slice(1), [blockExtent(block, 0, 3)]), "EINVAL");
  t.is(compact([], []), "EINVAL");
  t.is(compact([inline(0, "abc"), inline(10, "xyz")], [blockExtent(block, 0, 13)]), "EAGAIN");
  t.is(compact([inline(0, "abc")], [blockExtent(block, 0, 3)]), "none");
  t.is(compact(before, [blockExtent(other, 0, 13)]), "EAGAIN");
  t.is(compact(ns.extents(ino), [blockExtent(other, 0, 13)]), "none");
  t.deepEqual(ns.extents(ino), [blockExtent(other, 0, 13)]);
  t.like(ns.stat(ino), { mtime: times.mtime, ctime: times.ctime, size: 13 });
  t.deepEqual(violations(ns.store), []);
});

test("fallocate extends, punches and zeroes; other modes are not supported", (t) => {
  const { ns, ino } = withFile();
  const run = (mode: number, offset: number, length: number): string =>
    errnoOf(() => ns.call("fallocate", { caller: root, ino, offset, length, mode }));
  ns.writeInline(ino, 0, Buffer.from("0123456789"));
  t.is(run(0, 5, 10), "none");
  t.is(ns.stat(ino).size, 15);
  t.is(run(1, 5, 100), "none");
  t.is(ns.stat(ino).size, 15);
  t.is(run(3, 2, 3), "none");
  t.deepEqual(ns.extents(ino), [inline(0, "01"), inline(5, "56789")]);
  t.is(run(16, 8, 20), "none");
  t.like(ns.stat(ino), { size: 28 });
  t.is(run(17, 0, 100), "none");
  t.like(ns.stat(ino), { size: 28, blocks: 0 });
  for (const mode of [2, 8, 32, 64, 18]) t.is(run(mode, 0, 1), "EOPNOTSUPP");
  t.is(run(0, limits.fileBytesMax, 1), "EFBIG");
  ns.space = { ...ns.space, bytesFree: 1_000 };
  t.is(run(0, 0, 1_001), "ENOSPC");
  t.is(run(3, 0, 1_001), "none");
  ns.setattr(ino, { mode: 0o6777 });
  ns.call("fallocate", { caller: alice, ino, offset: 0, length: 1, mode: 0 });
  t.is(ns.stat(ino).mode, 0o100777);
  t.is(
    errnoOf(() => ns.call("fallocate", { caller: root, ino: rootIno, offset: 0, length: 1, mode: 0 })),
    "EISDIR",
  );
});

test("copyFileRange shares blocks, copies inline content, and stops at the source's end", (t) => {
  const { ns, ino } = withFile();
  const block = ns.writeBlock(ino, 0, 8 * KiB);
  ns.writeInline(ino, 10 * KiB, Buffer.from("tail"));
  const to = ns.create(rootIno, "copy");
  const copy = (options: { from?: Ino; fromOffset: number; toOffset: number; length: number }, caller = root): number =>
    ns.call("copyFileRange", { caller, from: ino, to, ...options }).copied;
  t.is(copy({ fromOffset: 4 * KiB, toOffset: 1, length: 2 ** 40 }), 6 * KiB + 4);
  t.deepEqual(ns.extents(to), [blockExtent(block, 1, 4 * KiB, 4 * KiB), { ...inline(6 * KiB + 1, "tail") }]);
  t.deepEqual(references(ns, block), { length: 8 * KiB, references: 2, liveBytes: 12 * KiB });
  t.is(copy({ fromOffset: 2 ** 30, toOffset: 0, length: 5 }), 0);
  t.is(
    errnoOf(() => copy({ from: to, fromOffset: 0, toOffset: 5, length: 10 })),
    "EINVAL",
  );
  t.is(copy({ from: to, fromOffset: 0, toOffset: 10, length: 10 }), 10);
  t.is(
    errnoOf(() => copy({ fromOffset: 0, toOffset: limits.fileBytesMax, length: 1 })),
    "EFBIG",
  );
  ns.setattr(ino, { mode: 0o600 });
  t.is(
    errnoOf(() => copy({ fromOffset: 0, toOffset: 0, length: 1 }, { uid: 1001, gid: 1001 })),
    "EACCES",
  );
  t.is(
    errnoOf(() => copy({ fromOffset: 0, toOffset: 0, length: 1 }, bob)),
    "EXDEV",
  );
  ns.unlink(rootIno, "f");
  t.is((references(ns, block) as { references: number }).references > 0, true);
  ns.unlink(rootIno, "copy");
  t.is(references(ns, block), undefined);
  t.deepEqual(violations(ns.store), []);
});

test("a block remembers whose extents named it first, also when they move to a fresh content", (t) => {
  const { ns, ino } = withFile();
  const block = ns.writeBlock(ino, 0, 8 * KiB);
  const ownerOf = (): Ino | 0 => decodeBlock(ns.store.get(keys.block(block)) as Buffer).owner;
  t.is(ownerOf(), ino);
  const to = ns.create(rootIno, "t");
  ns.call("copyFileRange", { caller: root, from: ino, fromOffset: 0, to, toOffset: 0, length: 8 * KiB });
  t.is(ownerOf(), ino);
  // Many extents behind the block's, which a truncation takes off by moving what is before them.
  const others = ns.allocate(1_500);
  for (let i = 0; i < others.length; i += 500) {
    const extents = others.slice(i, i + 500).map((other, k) => blockExtent(other, (i + k + 10) * 4 * KiB, 4 * KiB));
    ns.write(ino, extents);
  }
  ns.setattr(ino, { size: 8 * KiB });
  t.not(ownerOf(), ino);
  t.deepEqual(violations(ns.store), []);
});

test("a block is noted when it becomes less than half alive, and not before", (t) => {
  const { ns, ino } = withFile();
  const block = ns.writeBlock(ino, 0, 8 * KiB);
  ns.writeBlock(ino, 0, 4 * KiB);
  t.deepEqual(ns.halfDead, []);
  ns.writeInline(ino, 4 * KiB, Buffer.from("x"));
  t.deepEqual(ns.halfDead, [block]);
});
