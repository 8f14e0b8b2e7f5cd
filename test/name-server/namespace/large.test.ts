import test from "ava";
import { limits } from "../../../src/base/limits.ts";
import type { BlockId, Ino } from "../../../src/base/ids.ts";
import {
  blocksDeleted,
  dueBlocks,
  reclaimStep,
  type ReclaimPlace,
  releaseRanges,
  releaseSession,
} from "../../../src/name-server/namespace/index.ts";
import type { Extent } from "../../../src/protocol/types.ts";
import { violations } from "./invariants.ts";
import { errnoOf, n, Namespace, otherSession, root, rootIno, session } from "./support.ts";

const unit = 4_096;

/** A file of `count` extents of its own blocks each, with holes between them. */
function largeFile(count: number): { ns: Namespace; ino: Ino } {
  const ns = new Namespace();
  const ino = ns.create(rootIno, "large");
  for (let from = 0; from < count; from += 512) {
    const blocks = ns.allocate(512);
    const extents: Extent[] = blocks
      .slice(0, count - from)
      .map((block, i) => ({ kind: "block", offset: (from + i) * 2 * unit, length: unit, block, blockOffset: 0 }));
    ns.write(ino, extents);
  }
  return { ns, ino };
}

function reclaimAll(ns: Namespace): number {
  let steps = 0;
  let place: ReclaimPlace | undefined;
  do {
    const after = place;
    place = ns.run((context) => reclaimStep(context, 700, after));
    if (place !== undefined) steps++;
  } while (place !== undefined);
  return steps;
}

function freed(ns: Namespace): number {
  return dueBlocks(ns.store, ns.now, 1e9).reduce((sum, { blocks }) => sum + blocks.length, 0);
}

test("a large file is unlinked in one small transaction, and reclaimed in steps", (t) => {
  const { ns, ino } = largeFile(5_000);
  ns.keysMax = 0;
  ns.unlink(rootIno, "large");
  t.true(ns.keysMax < 10);
  t.is(
    errnoOf(() => ns.stat(ino)),
    "ESTALE",
  );
  t.deepEqual(violations(ns.store), []);
  t.true(reclaimAll(ns) >= 7);
  t.true(ns.keysMax <= limits.transactionKeysMax);
  t.is(freed(ns), 5_000);
  t.deepEqual(violations(ns.store), []);
});

test("a step of the reclaim begins behind the one before: what that removed is not looked at again", (t) => {
  const { ns } = largeFile(2_000);
  ns.unlink(rootIno, "large");
  const begun: string[] = [];
  let place: ReclaimPlace | undefined;
  do {
    const after = place;
    place = ns.run((context) => {
      const { transaction } = context;
      const range = transaction.range.bind(transaction);
      transaction.range = (bounds) => {
        if (bounds.gte.startsWith("e")) begun.push(bounds.gte);
        return range(bounds);
      };
      return reclaimStep(context, 500, after);
    });
  } while (place !== undefined);
  // Four full steps, and one that finds the end.
  t.is(begun.length, 5);
  t.deepEqual(begun, [...new Set(begun)].sort());
  t.is(freed(ns), 2_000);
});

test("a large file truncated to little goes on under a fresh content", (t) => {
  const { ns, ino } = largeFile(4_000);
  ns.keysMax = 0;
  const shorter = ns.setattr(ino, { size: 100 * 2 * unit + 10 });
  t.is(ns.checkpoints, 0);
  t.true(ns.keysMax < 500);
  t.like(shorter, { size: 100 * 2 * unit + 10, blocks: 101 * 8 });
  t.is(ns.extents(ino).length, 101);
  t.deepEqual(violations(ns.store), []);
  ns.writeBlock(ino, 300 * 2 * unit, unit);
  reclaimAll(ns);
  t.is(freed(ns), 3_899);
  t.is(ns.extents(ino).length, 102);
  t.deepEqual(violations(ns.store), []);
});

test("a large truncation of a file that stays large is done from the end, right at every step", (t) => {
  const { ns, ino } = largeFile(6_000);
  const sizes: number[] = [];
  ns.onCheckpoint = () => {
    t.deepEqual(violations(ns.store), []);
    sizes.push(ns.stat(ino).size);
  };
  const size = 2_000 * 2 * unit + 1;
  ns.setattr(ino, { size });
  t.true(sizes.length >= 2);
  t.deepEqual(
    sizes,
    [...sizes].sort((a, b) => b - a),
  );
  t.true(ns.keysMax <= limits.transactionKeysMax);
  t.is(ns.stat(ino).size, size);
  t.is(ns.extents(ino).length, 2_001);
  t.deepEqual(violations(ns.store), []);
});

test("large punches: few extents kept move, many are cut step by step", (t) => {
  const { ns, ino } = largeFile(3_000);
  const end = 2_999 * 2 * unit + unit;
  const punch = (offset: number, length: number): void => {
    ns.call("fallocate", { caller: root, ino, offset, length, mode: 3 });
  };
  punch(10 * 2 * unit + 5, 1_800 * 2 * unit);
  t.true(ns.checkpoints > 0);
  t.is(ns.extents(ino).length, 3_000 - 1_799);
  t.deepEqual(violations(ns.store), []);
  ns.checkpoints = 0;
  punch(20 * 2 * unit, 2_980 * 2 * unit - unit - 7);
  t.is(ns.checkpoints, 0);
  t.is(ns.stat(ino).size, end);
  t.true(ns.extents(ino).length < 20);
  t.true(ns.keysMax <= limits.transactionKeysMax);
  reclaimAll(ns);
  t.deepEqual(violations(ns.store), []);
});

test("one extent over very many is written in parts, and may be sent again", (t) => {
  const ns = new Namespace();
  const ino = ns.create(rootIno, "f");
  for (let from = 0; from < 6_000; from += 512) {
    const blocks = ns.allocate(512);
    ns.write(
      ino,
      blocks.map((block, i) => ({ kind: "block", offset: (from + i) * 100, length: 50, block, blockOffset: 0 })),
    );
  }
  const [block] = ns.allocate(1) as [BlockId];
  const extents: Extent[] = [{ kind: "block", offset: 0, length: 600_000, block, blockOffset: 0 }];
  // The server dies after the first part.
  ns.onCheckpoint = () => {
    throw new Error("died");
  };
  t.throws(() => ns.write(ino, extents), { message: "died" });
  t.deepEqual(violations(ns.store), []);
  ns.onCheckpoint = undefined;
  ns.restart();
  ns.write(ino, extents);
  t.true(ns.checkpoints > 0);
  t.true(ns.keysMax <= limits.transactionKeysMax);
  const found = ns.extents(ino, 0, 600_000);
  t.true(found.every((extent) => extent.kind === "block" && extent.block.number === block.number));
  t.is(
    found.reduce((sum, { length }) => sum + length, 0),
    600_000,
  );
  t.deepEqual(violations(ns.store), []);
});

test("copying a large file takes several calls and gives the same extents", (t) => {
  const { ns, ino } = largeFile(2_000);
  const to = ns.create(rootIno, "copy");
  const size = ns.stat(ino).size;
  let calls = 0;
  for (let at = 0; at < size; calls++) {
    const request = { caller: root, from: ino, fromOffset: at, to, toOffset: at, length: size - at };
    const { copied } = ns.call("copyFileRange", request);
    t.true(copied > 0);
    at += copied;
  }
  t.true(calls >= 4);
  t.deepEqual(ns.extents(to), ns.extents(ino));
  t.deepEqual(violations(ns.store), []);
});

test("freed blocks are due in their order once their time has come, and forgotten once deleted", (t) => {
  const { ns, ino } = largeFile(3);
  const early = ns.now;
  ns.setattr(ino, { size: 0 });
  t.deepEqual(dueBlocks(ns.store, early, 10), []);
  const due = dueBlocks(ns.store, ns.now, 10);
  t.is(due.flatMap(({ blocks }) => blocks).length, 3);
  ns.restart();
  ns.writeBlock(ino, 0, 1);
  ns.setattr(ino, { size: 0 });
  t.is(dueBlocks(ns.store, ns.now, 1).length, 1);
  t.is(dueBlocks(ns.store, ns.now, 10).length, 2);
  ns.run(({ transaction }) => {
    blocksDeleted(
      transaction,
      due.map(({ sequence }) => sequence),
    );
  });
  t.is(freed(ns), 1);
});

test("an ended session's orphans and unnamed blocks go, another session's stay", (t) => {
  const ns = new Namespace();
  ns.others = [otherSession];
  const shared = ns.create(rootIno, "shared");
  ns.unlink(rootIno, "shared", root, true);
  ns.others = [];
  const mine: Ino[] = [];
  for (let i = 0; i < 600; i++) {
    mine.push(ns.call("tmpfile", { caller: root, parent: rootIno, mode: 0o600, umask: 0 }).attributes.ino);
  }
  const [named] = ns.allocate(10) as [BlockId];
  ns.write(mine[0] as Ino, [{ kind: "block", offset: 0, length: 1, block: named, blockOffset: 0 }]);
  const [kept] = ns.allocate(1, otherSession) as [BlockId];
  let steps = 1;
  while (ns.run((context) => releaseSession(context, session))) steps++;
  t.true(steps > 1);
  while (ns.run((context) => releaseRanges(context, session)));
  t.is(freed(ns), 10);
  t.is(
    errnoOf(() => ns.stat(mine[599] as Ino)),
    "ESTALE",
  );
  t.is(ns.stat(shared).nlink, 0);
  const file = ns.create(rootIno, "f");
  const write = (block: BlockId, who: typeof session): string =>
    errnoOf(() =>
      ns.call(
        "writeExtents",
        {
          ino: file,
          extents: [{ kind: "block", offset: 0, length: 1, block, blockOffset: 0 }],
          epochs: [{ group: block.group, epoch: 7 }],
          size: 0,
          append: false,
          clearPrivileges: false,
        },
        who,
      ),
    );
  t.is(write({ ...named, number: named.number + 1 }, session), "EINVAL");
  t.is(write(kept, otherSession), "none");
  t.deepEqual(violations(ns.store), []);
});

test("releasing many orphans with many xattrs stays within the transaction's bounds", (t) => {
  const ns = new Namespace();
  const inos: Ino[] = [];
  for (let i = 0; i < 6; i++) {
    const { ino } = ns.call("tmpfile", { caller: root, parent: rootIno, mode: 0o600, umask: 0 }).attributes;
    for (let j = 0; j < 1_000; j++) {
      const name = n(`user.${String(j)}`);
      ns.call("setxattr", { caller: root, ino, name, value: Buffer.from("v"), flags: 0, clearSetgid: false });
    }
    inos.push(ino);
  }
  ns.call("releaseOrphans", { inos });
  t.true(ns.checkpoints > 0 && ns.keysMax <= limits.transactionKeysMax);
  t.deepEqual(violations(ns.store), []);
});
