import test from "ava";
import { rootIno, type Ino } from "../../../src/base/ids.ts";
import { keys } from "../../../src/metadata-store/keys.ts";
import { convertEntries } from "../../../src/name-server/namespace/index.ts";
import { alice, errnoOf as outcome, Namespace, root } from "./support.ts";

function set(names: Namespace, ino: Ino, replicas: number, caller = root): number | undefined {
  return names.call("setReplicas", { caller, ino, replicas }).attributes.replicas;
}

function isQueued(names: Namespace, kind: "file" | "tree", ino: Ino): boolean {
  return names.store.get(keys.conversion(kind, ino)) !== undefined;
}

test("what is made in a directory has its number of copies, at any depth; elsewhere it is the default", (t) => {
  const names = new Namespace();
  const directory = names.mkdir(rootIno, "d");
  t.is(set(names, directory, 3), 3);
  const below = names.mkdir(directory, "below");
  const tmp = names.call("tmpfile", { caller: root, parent: below, mode: 0o600, umask: 0 }).attributes;
  t.deepEqual(
    [below, names.create(below, "f")].map((ino) => names.stat(ino).replicas),
    [3, 3],
  );
  t.is(tmp.replicas, 3);
  t.is(names.stat(names.create(rootIno, "f")).replicas, undefined);
  t.is(names.stat(names.symlink(directory, "s", "t")).replicas, undefined);
  set(names, directory, 1);
  t.is(names.stat(names.create(directory, "g")).replicas, 1);
  t.is(names.stat(below).replicas, 3, "what was there changes in the background");
});

test("a file keeps its number of copies through renames and other changes of its attributes", (t) => {
  const names = new Namespace();
  const file = names.create(rootIno, "f");
  names.setattr(file, { uid: alice.uid });
  set(names, file, 5, alice);
  names.setattr(file, { mode: 0o4755 }, alice);
  names.setxattr(file, "user.a", Buffer.from("b"), { caller: alice });
  names.writeInline(file, 0, Buffer.from("hello"));
  names.rename([rootIno, "f"], [names.mkdir(rootIno, "d"), "g"]);
  t.is(names.stat(file).replicas, 5);
  names.restart();
  t.is(names.stat(file).replicas, 5);
});

test("only the owner and root set it, and only of files and directories", (t) => {
  const names = new Namespace();
  const file = names.create(rootIno, "f");
  t.is(
    outcome(() => set(names, file, 2, alice)),
    "EPERM",
  );
  t.is(
    outcome(() => set(names, names.symlink(rootIno, "s", "t"), 2)),
    "EINVAL",
  );
  t.is(
    outcome(() => set(names, 999 as Ino, 2)),
    "ESTALE",
  );
  t.throws(() => set(names, file, 6), { message: /replicas/ });
  t.throws(() => set(names, file, 0), { message: /replicas/ });
});

test("a file that names blocks with another number of copies is queued, however they came there", (t) => {
  const names = new Namespace();
  const plain = names.create(rootIno, "plain");
  names.writeBlock(plain, 0, 100);
  t.false(isQueued(names, "file", plain), "a file without a number of its own never is");

  const single = names.create(rootIno, "single");
  set(names, single, 1);
  names.writeBlock(single, 0, 100);
  t.false(isQueued(names, "file", single), "the group has as many");

  const late = names.create(rootIno, "late");
  set(names, late, 3);
  t.false(isQueued(names, "file", late), "it has no content");
  names.writeInline(late, 0, Buffer.from("x"));
  t.false(isQueued(names, "file", late), "inline content is with the metadata");
  names.writeBlock(late, 0, 100);
  t.true(isQueued(names, "file", late), "its writer did not know");

  const clone = names.create(rootIno, "clone");
  set(names, clone, 2);
  names.call("copyFileRange", { caller: root, from: plain, fromOffset: 0, to: clone, toOffset: 0, length: 100 });
  t.true(isQueued(names, "file", clone), "cloned");

  set(names, plain, 2);
  t.true(isQueued(names, "file", plain), "written before");
});

test("a directory's entries get its number step by step, files with content and directories are queued", (t) => {
  const names = new Namespace();
  const directory = names.mkdir(rootIno, "d");
  const files = Array.from({ length: 150 }, (_, i) => names.create(directory, `file${String(i)}`));
  const written = files[7] as Ino;
  names.writeBlock(written, 0, 100);
  const below = names.mkdir(directory, "below");
  const deep = names.create(below, "deep");
  names.symlink(directory, "s", "t");
  set(names, directory, 3);
  t.true(isQueued(names, "tree", directory));
  let steps = 0;
  for (let cookie: number | undefined = 0; cookie !== undefined; steps++) {
    const from: { cookie: number; replicas: number } = { cookie, replicas: 3 };
    cookie = names.run((context): number | undefined => convertEntries(context, directory, from));
  }
  t.true(steps >= 3 && steps <= 4);
  t.true(files.every((ino) => names.stat(ino).replicas === 3));
  t.deepEqual(
    files.filter((ino) => isQueued(names, "file", ino)),
    [written],
  );
  t.is(names.stat(below).replicas, 3);
  t.true(isQueued(names, "tree", below));
  t.is(names.stat(deep).replicas, undefined);
  t.is(
    names.run((context) => convertEntries(context, below, { cookie: 0, replicas: 3 })),
    undefined,
  );
  t.is(names.stat(deep).replicas, 3);
});

test("a directory that has the number already is looked into all the same", (t) => {
  const names = new Namespace();
  const top = names.mkdir(rootIno, "top");
  const middle = names.mkdir(top, "middle");
  const low = names.create(middle, "low");
  set(names, middle, 3);
  names.run((context) => {
    context.transaction.remove(keys.conversion("tree", middle));
  });
  t.is(names.stat(low).replicas, undefined);
  names.run((context) => convertEntries(context, top, { cookie: 0, replicas: 3 }));
  t.true(isQueued(names, "tree", middle));
});
