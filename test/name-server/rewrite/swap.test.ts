import test from "ava";
import type { BlockId, Ino } from "../../../src/base/ids.ts";
import { keys } from "../../../src/metadata-store/keys.ts";
import { decodeBlock, decodePack, decodeReclaim } from "../../../src/metadata-store/records.ts";
import { extentsFrom } from "../../../src/name-server/namespace/content.ts";
import { byBlock, byContent, planBlocks } from "../../../src/name-server/rewrite/plan-blocks.ts";
import { discardComposed, rewriteOwner, swapExtents, type Composed } from "../../../src/name-server/rewrite/swap.ts";
import type { Place, Placed } from "../../../src/name-server/rewrite/types.ts";
import { violations } from "../namespace/invariants.ts";
import { errnoOf, groupEpoch, Namespace, root, rootIno } from "../namespace/support.ts";

const KiB = 1024;

function placesOf(ns: Namespace, ...contents: Ino[]): Place[] {
  return contents.flatMap((content) =>
    extentsFrom(ns.store, content, 0, 2 ** 50).map((stored) => ({ content, ...stored })),
  );
}

function placed(ns: Namespace, places: readonly Place[]): readonly Placed[] {
  const [plan] = planBlocks(places, ({ content, offset }) =>
    Buffer.from(ns.store.get(keys.inline(content, offset)) as Buffer),
  );
  return plan?.placed ?? [];
}

function composed(ns: Namespace, pieces: readonly Placed[]): Composed {
  const [block] = ns.allocate(1, rewriteOwner) as [BlockId];
  return { block, epoch: groupEpoch, pieces };
}

function queued(ns: Namespace): BlockId[] {
  const found: BlockId[] = [];
  for (const [, value] of ns.store.range({ gte: "q", lt: "r" })) {
    const record = decodeReclaim(value);
    if (record.kind === "blocks") found.push(...record.blocks);
  }
  return found;
}

test("extents that are as they were get the new block, and neighbours become one", (t) => {
  const ns = new Namespace();
  const ino = ns.create(rootIno, "f");
  const old = ns.writeBlock(ino, 0, 8 * KiB);
  ns.writeInline(ino, 8 * KiB, Buffer.alloc(5_000, 1));
  const before = ns.stat(ino);
  const swap = composed(ns, placed(ns, placesOf(ns, ino)));
  t.is(
    ns.run((context) => swapExtents(context, swap)),
    8 * KiB + 5_000,
  );
  const { block } = swap;
  t.deepEqual(ns.extents(ino), [{ kind: "block", offset: 0, length: 8 * KiB + 5_000, block, blockOffset: 0 }]);
  t.deepEqual(ns.stat(ino), before);
  t.is(decodeBlock(ns.store.get(keys.block(block)) as Buffer).owner, ino);
  t.deepEqual(queued(ns), [old]);
  t.deepEqual(violations(ns.store), []);
});

test("what was overwritten, cut or written again meanwhile is left alone, the rest around it is not", (t) => {
  const ns = new Namespace();
  const ino = ns.create(rootIno, "f");
  const old = ns.writeBlock(ino, 0, 12 * KiB);
  ns.writeInline(ino, 16 * KiB, Buffer.alloc(6_000, 1));
  ns.writeInline(ino, 24 * KiB, Buffer.alloc(6_000, 1));
  const swap = composed(ns, placed(ns, placesOf(ns, ino)));
  const newer = ns.writeBlock(ino, 4 * KiB, 4 * KiB);
  ns.writeInline(ino, 16 * KiB, Buffer.alloc(6_000, 2));
  ns.setattr(ino, { size: 24 * KiB + 3_000 });
  ns.run((context) => swapExtents(context, swap));
  const { block } = swap;
  t.deepEqual(ns.extents(ino), [
    { kind: "block", offset: 0, length: 4 * KiB, block, blockOffset: 0 },
    { kind: "block", offset: 4 * KiB, length: 4 * KiB, block: newer, blockOffset: 0 },
    { kind: "block", offset: 8 * KiB, length: 4 * KiB, block, blockOffset: 8 * KiB },
    { kind: "inline", offset: 16 * KiB, length: 6_000, content: Buffer.alloc(6_000, 2) },
    { kind: "inline", offset: 24 * KiB, length: 3_000, content: Buffer.alloc(3_000, 1) },
  ]);
  t.deepEqual(queued(ns), [old]);
  t.deepEqual(violations(ns.store), []);
});

test("a block that gets no place is deleted, and its number is spent", (t) => {
  const ns = new Namespace();
  const ino = ns.create(rootIno, "f");
  ns.writeBlock(ino, 0, 8 * KiB);
  const swap = composed(ns, placed(ns, placesOf(ns, ino)));
  ns.unlink(rootIno, "f");
  t.is(
    ns.run((context) => swapExtents(context, swap)),
    0,
  );
  t.deepEqual(queued(ns).at(-1), swap.block);
  const before = queued(ns).length;
  ns.run((context) => {
    discardComposed(context, composed(ns, []).block);
  });
  t.is(queued(ns).length, before + 1);
  t.deepEqual(violations(ns.store), []);
});

test("a group that has other members by then gets nothing", (t) => {
  const ns = new Namespace();
  const ino = ns.create(rootIno, "f");
  ns.writeBlock(ino, 0, 8 * KiB);
  const swap = { ...composed(ns, placed(ns, placesOf(ns, ino))), epoch: groupEpoch - 1 };
  t.is(
    errnoOf(() => ns.run((context) => swapExtents(context, swap))),
    "ESTALE",
  );
  t.deepEqual(violations(ns.store), []);
});

test("a block of several files knows its contents, as long as it lives", (t) => {
  const ns = new Namespace();
  const inos = ["a", "b", "c"].map((name) => ns.create(rootIno, name));
  for (const ino of inos) ns.writeInline(ino, 0, Buffer.alloc(3_000, ino));
  const swap = composed(ns, placed(ns, placesOf(ns, ...inos)));
  ns.run((context) => swapExtents(context, swap));
  t.deepEqual(decodePack(ns.store.get(keys.pack(swap.block)) as Buffer).contents, inos);
  t.is(decodeBlock(ns.store.get(keys.block(swap.block)) as Buffer).owner, 0);
  for (const name of ["a", "b", "c"]) ns.unlink(rootIno, name);
  t.is(ns.store.get(keys.pack(swap.block)), undefined);
  t.deepEqual(violations(ns.store), []);
});

test("bytes that a clone shares are copied once when places come in the order of their blocks", (t) => {
  const ns = new Namespace();
  const [ino, clone] = [ns.create(rootIno, "f"), ns.create(rootIno, "clone")];
  ns.writeBlock(ino, 0, 12 * KiB);
  ns.call("copyFileRange", { caller: root, from: ino, fromOffset: 4 * KiB, to: clone, toOffset: 0, length: 8 * KiB });
  const none = (): undefined => undefined;
  const places = placesOf(ns, ino, clone);
  const [shared] = planBlocks([...places].sort(byBlock), none);
  t.is(shared?.length, 12 * KiB);
  const [apart] = planBlocks([...places].sort(byContent), none);
  t.is(apart?.length, 12 * KiB, "one behind the other they overlap, too");
  const swap = composed(ns, shared?.placed ?? []);
  ns.run((context) => swapExtents(context, swap));
  const extent = { kind: "block" as const, block: swap.block };
  t.deepEqual(ns.extents(ino), [{ ...extent, offset: 0, length: 12 * KiB, blockOffset: 0 }]);
  t.deepEqual(ns.extents(clone), [{ ...extent, offset: 0, length: 8 * KiB, blockOffset: 4 * KiB }]);
  t.deepEqual(violations(ns.store), []);
});

test("a plan keeps to the largest block and the most pieces", (t) => {
  const content = 5 as Ino;
  const place = (i: number, length: number): Place => ({
    content,
    offset: i * length,
    record: { kind: "block", length, block: { group: 3 as never, number: i }, blockOffset: 0 },
  });
  const none = (): undefined => undefined;
  const large = [
    ...planBlocks(
      Array.from({ length: 9 }, (_, i) => place(i, 1024 * KiB)),
      none,
    ),
  ];
  t.deepEqual(
    large.map((plan) => plan.length / KiB / 1024),
    [4, 4, 1],
  );
  const many = [
    ...planBlocks(
      Array.from({ length: 2_500 }, (_, i) => place(i, 10)),
      none,
    ),
  ];
  t.deepEqual(
    many.map((plan) => plan.placed.length),
    [1_024, 1_024, 452],
  );
});
