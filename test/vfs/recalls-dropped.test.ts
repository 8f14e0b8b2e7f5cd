/** Giving leases back: what is forgotten here in the frame's turn, and what the kernel is asked to forget. */
import test, { type ExecutionContext } from "ava";
import { fileType } from "../../src/base/attributes.ts";
import { toIno } from "../../src/base/ids.ts";
import type { LeaseScope } from "../../src/protocol/leases.ts";
import type { Inode, OpenFile } from "../../src/vfs/inode.ts";
import { name, turns } from "./mount.ts";
import { file, folder, other, World } from "./recall-world.ts";

test("in the frame's turn: the lease, names, attributes and extents are gone", (t) => {
  const world = new World();
  const directory = world.enter(folder, "shared", fileType.directory);
  const inode = world.enter(file, "exclusive");
  world.dentries.set(folder, name("a"), file);
  directory.changesAsked = 5;
  const asked = world.leases.moment;
  t.true(world.coherence.trusts(inode));
  t.true(world.coherence.trustsNames(directory, asked));
  world.recallAll([
    world.recallOf(folder, "none", [{ kind: "everything" }]),
    world.recallOf(file, "none", [{ kind: "everything" }]),
  ]);
  t.is(world.leases.size, 0);
  t.is(world.dentries.size, 0);
  t.false(world.coherence.trusts(inode));
  t.false(world.coherence.trusts(directory));
  t.false(world.coherence.trustsNames(directory, asked));
  t.is(directory.changesAsked, 0);
  t.true(inode.staleAt > asked, "nor does an answer that was asked for before replace a later one");
  t.true(world.take().includes("forget extents 8"));
});

test("a recall of one name takes that name, the directory's attributes and its completeness; other names stay", (t) => {
  const world = new World();
  const directory = world.enter(folder, "shared", fileType.directory);
  const listing = world.dentries.beginListing(folder);
  world.dentries.set(folder, name("a"), file);
  world.dentries.set(folder, name("b"), other);
  listing.complete();
  const asked = world.leases.moment;
  world.recall(folder, "shared", [{ kind: "entry", name: name("a") }]);
  t.is(world.dentries.get(folder, name("a")), undefined);
  t.is(world.dentries.get(folder, name("b")), other);
  t.false(world.dentries.isComplete(folder));
  t.false(world.coherence.trusts(directory));
  t.false(world.coherence.trustsNames(directory, asked));
  t.true(directory.namesChangedAt > asked);
  t.is(world.leases.level(folder), "shared");
  t.false(world.take().includes("forget extents 7"));
});

interface Kept {
  readonly extents: boolean;
  readonly names: boolean;
}
const scopes = test.macro({
  exec: async (t: ExecutionContext, drop: readonly LeaseScope[], kept: Kept, kernel: string) => {
    for (const type of [fileType.regular, fileType.directory]) {
      const world = new World();
      const inode = world.enter(file, "shared", type);
      world.dentries.set(file, name("x"), other);
      world.recall(file, "shared", drop);
      t.is(world.trace.includes("forget extents 8"), !kept.extents);
      t.is(world.dentries.size === 1, kept.names);
      t.false(world.coherence.trusts(inode));
      await turns();
      const asked = world.take().filter((line) => line.startsWith("kernel"));
      if (type === fileType.regular) t.deepEqual(asked, [`kernel: ${kernel}`]);
    }
  },
  title: (what) => `of a file that stays leased ${what ?? ""}`,
});

test("attributes go alone", scopes, [{ kind: "attributes" }], { extents: true, names: true }, "attributes 8");
test(
  "data goes with the extents and the attributes",
  scopes,
  [{ kind: "attributes" }, { kind: "data", offset: 4_096, length: 10 }],
  { extents: false, names: true },
  "data 8 4096 10",
);
test("everything goes", scopes, [{ kind: "everything" }], { extents: false, names: false }, "data 8 0 0");

test("the kernel may forget a name by an entry only if it is known to be absent or no directory's", async (t) => {
  const world = new World();
  const [below, unknown] = [toIno(20), toIno(21)];
  world.enter(folder, "shared", fileType.directory);
  world.enter(file, "shared");
  world.enter(below, "shared", fileType.directory);
  for (const [text, ino] of [
    ["file", file],
    ["folder", below],
    ["unseen", unknown],
    ["absent", null],
  ] as const) {
    world.dentries.set(folder, name(text), ino);
  }
  const names = ["file", "folder", "unseen", "absent", "unheard"];
  world.recall(
    folder,
    "shared",
    names.map((text) => ({ kind: "entry", name: name(text) })),
  );
  await turns();
  t.is(world.take()[0], "kernel: names 7 file folder? unseen? absent unheard?");
});

test("of a directory the kernel forgets all, or its names, or its attributes alone", async (t) => {
  const world = new World();
  world.enter(folder, "shared", fileType.directory);
  world.recall(folder, "shared", [{ kind: "attributes" }]);
  await turns();
  t.is(world.take()[0], "kernel: attributes 7");
  world.recall(folder);
  await turns();
  t.true(world.take().includes("kernel: directory 7"));
});

test("with an exclusive directory its children are lowered, but those that are being changed", async (t) => {
  const world = new World();
  const [dirty, written, shared] = [toIno(31), toIno(32), toIno(33)];
  world.enter(folder, "exclusive", fileType.directory);
  world.enter(file, "exclusive");
  world.enter(shared, "shared");
  world.enter(dirty, "exclusive").content = { isDirty: true } as Inode["content"];
  world.enter(written, "exclusive").files = new Set([{ flags: 1 } as OpenFile]);
  for (const ino of [file, shared, dirty, written]) world.dentries.set(folder, name(String(ino)), ino);
  world.recall(folder, "shared", []);
  t.is(world.leases.level(file), "shared");
  t.is(world.leases.level(dirty), "exclusive");
  t.is(world.leases.level(written), "exclusive");
  await turns();
  const lowered = world.take().filter((line) => line.startsWith("lowered"));
  t.deepEqual(
    lowered.map((line) => line.split(" ")[1]),
    ["8"],
  );
});

test("with a directory that is only shared its children keep their leases", async (t) => {
  const world = new World();
  world.enter(folder, "shared", fileType.directory);
  world.enter(file, "exclusive");
  world.dentries.set(folder, name("a"), file);
  world.recall(folder);
  await turns();
  t.is(world.leases.level(file), "exclusive");
  t.false(world.take().some((line) => line.startsWith("lowered")));
});
