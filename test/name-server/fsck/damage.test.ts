/** Every kind of damage, made on purpose: found with its path, repaired, and clean afterwards. */
import test, { type ExecutionContext } from "ava";
import { keys, offsetOfKey } from "../../../src/metadata-store/keys.ts";
import {
  decodeBlock,
  decodeExtent,
  decodeGroup,
  decodeInode,
  detachedFirst,
  encodeBlock,
  encodeExtent,
  encodePack,
} from "../../../src/metadata-store/records.ts";
import type { Change } from "../../../src/metadata-store/types.ts";
import { damages, gone, inode } from "./damages.ts";
import { CheckedStore, n, rootIno } from "./support.ts";

for (const [title, { make, text, path }] of Object.entries(damages)) {
  test(`${title} is found and repaired`, async (t) => {
    const made = await CheckedStore.open(t);
    made.damage(...make(made));
    await made.findAndRepair(t, text, path);
  });
}

test("of overlapping extents what can be read stays, on both sides of the one within", async (t) => {
  const made = await CheckedStore.open(t);
  const { large, blocks } = made.tree;
  const [first, second] = blocks as [never, never];
  made.damage([
    keys.extent(large, 2_000),
    encodeExtent({ kind: "block", length: 100, block: second, blockOffset: 10 }),
  ]);
  await made.check({ repair: true });
  const extents = [...made.store.range({ gte: keys.extent(large, 0), lt: keys.extentsEnd(large) })];
  t.deepEqual(
    extents.map(([key, value]) => [offsetOfKey(key), decodeExtent(value)] as const),
    [
      [0, { kind: "block", length: 2_000, block: first, blockOffset: 0 }],
      [2_000, { kind: "block", length: 100, block: second, blockOffset: 10 }],
      [2_100, { kind: "block", length: 2_900, block: first, blockOffset: 2_100 }],
      [10_000, { kind: "block", length: 7_000, block: second, blockOffset: 0 }],
    ],
  );
  t.like(decodeBlock(made.store.get(keys.block(first)) as Buffer), { references: 2, liveBytes: 4_900 });
  t.like(decodeBlock(made.store.get(keys.block(second)) as Buffer), { references: 2, liveBytes: 7_100 });
});

test("lost inline bytes leave a hole, and what is left of them stays", async (t) => {
  for (const [left, bytes] of [
    [null, undefined],
    [Buffer.from("inli"), "inli"],
  ] as const) {
    const made = await CheckedStore.open(t);
    const { small } = made.tree;
    made.damage([keys.inline(small, 0), left]);
    await made.check({ repair: true });
    t.is(made.store.get(keys.inline(small, 0))?.toString(), bytes);
    t.is(made.store.get(keys.extent(small, 0)) === undefined, left === null);
    t.like(decodeInode(made.store.get(keys.inode(small)) as Buffer), { size: 14, bytesUsed: left?.length ?? 0 });
  }
});

test("extents of no file go to the reclaim queue, and their blocks with them", async (t) => {
  const made = await CheckedStore.open(t);
  made.damage([keys.inode(made.tree.large), null], [keys.config("inodes"), null]);
  await made.check({ repair: true });
  t.truthy(made.store.get(keys.reclaim(detachedFirst + made.tree.large)));
  t.deepEqual((await made.check()).found, []);
});

test("what cannot be put right for certain is told, and left", async (t) => {
  const left = async (t: ExecutionContext, text: RegExp, make: (made: CheckedStore) => Change[]): Promise<void> => {
    const made = await CheckedStore.open(t);
    const changes = make(made);
    made.damage(...changes);
    const { found, summary } = await made.check({ repair: true });
    t.true(
      found.some((one) => one.state === "error" && text.test(one.text)),
      JSON.stringify(found),
    );
    t.true(summary.errors > 0);
    for (const [key, value] of changes) t.deepEqual(made.store.get(key), value ?? undefined);
  };
  await left(t, /has the content of inode/, (made) => [inode(made, made.tree.linked, { content: made.tree.large })]);
  await left(t, /reaches beyond the largest block/, (made) => {
    const [block] = made.tree.blocks;
    const extent = encodeExtent({ kind: "block", length: 100, block: block as never, blockOffset: 2 ** 22 });
    return [[keys.extent(made.tree.large, 16_900), extent]];
  });
});

test("what is found in /lost+found can be reached again", async (t) => {
  const made = await CheckedStore.open(t);
  made.damage([keys.entry(rootIno, n("folder")), null]);
  await made.check({ repair: true });
  const found = made.store.get(keys.entry(rootIno, n("lost+found")));
  t.truthy(found);
  const under = [...made.store.range({ gte: "d", lt: "e" })].map(([key]) => key.slice(16));
  t.true(under.includes(`#${String(made.tree.folder)}`));
  t.true(made.taken.flat().includes(rootIno));
});

test("only what is at or below the path is told and repaired", async (t) => {
  const made = await CheckedStore.open(t);
  made.damage(inode(made, made.tree.large, { bytesUsed: 1 }), inode(made, made.tree.small, { bytesUsed: 1 }));
  const { found, summary } = await made.check({ repair: true, path: [n("folder"), n("deep")] });
  t.deepEqual(
    found.map(({ paths }) => paths),
    [["/folder/deep/large"]],
  );
  t.is(summary.repaired, 1);
  t.is((await made.check()).summary.errors, 1);
  await t.throwsAsync(made.check({ path: [n("nowhere")] }), { message: /ENOENT.*nowhere/ });
});

test("a pack record of a block of several files is no damage", async (t) => {
  const made = await CheckedStore.open(t);
  const [block] = made.tree.blocks as [never];
  const record = decodeBlock(made.store.get(keys.block(block)) as Buffer);
  made.damage(
    [keys.block(block), encodeBlock({ ...record, owner: 0 })],
    // What it names may be gone.
    [keys.pack(block), encodePack({ contents: [made.tree.large, gone] })],
  );
  t.deepEqual((await made.check({ repair: true })).found, []);
});

test("group numbers in use beyond the next one are told", async (t) => {
  const made = await CheckedStore.open(t);
  const { group } = made.tree.blocks[0] as NonNullable<(typeof made.tree.blocks)[0]>;
  t.true(decodeGroup(made.store.get(keys.group(group)) as Buffer).nextNumber > 1);
  made.damage([
    keys.block({ group, number: 5_000 }),
    encodeBlock({ length: 1, references: 1, liveBytes: 1, owner: 0 }),
  ]);
  t.true((await made.check()).found.some(({ text }) => /hands out numbers from .*, and 5000 is in use/.test(text)));
});
