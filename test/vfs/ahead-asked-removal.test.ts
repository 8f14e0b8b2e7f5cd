/** Removals and renames that cannot be proved here are asked, and nothing has happened before they were. */
import test from "ava";
import { fileType } from "../../src/base/attributes.ts";
import { acquire, way, type Change } from "./ahead-mount.ts";
import { modes, rename, user, world, type World } from "./ahead-world.ts";
import { createFile, from, lookup, name, turns, writing } from "./mount.ts";

test("out of a sticky directory somebody else's file is not taken here, nor replaced", async (t) => {
  const where = await world({ mode: 0o1777 });
  t.is(await way(where, (o) => o.unlink(user, where.work, name("file"))), "asked: unlink");
  const renamed = await world({ mode: 0o1777 });
  t.is(
    await way(renamed, (o) => o.rename(user, renamed.work, name("file"), renamed.work, name("x"), 0)),
    "asked: rename",
  );
  const replaced = await world({ mode: 0o1777 });
  t.is(
    await way(replaced, (o) => o.rename(user, replaced.work, name("mine"), replaced.work, name("file"), 0)),
    "asked: rename",
  );
  const mine = await world({ mode: 0o1777 });
  t.is(await way(mine, (o) => o.unlink(user, mine.work, name("mine"))), "ahead: unlink");
});

test("a rename is asked for unless it is plainly of a file, or of a directory in its directory", async (t) => {
  const cases: Record<string, (where: World) => Change> = {
    "a directory to another parent":
      ({ work, full }) =>
      (o) =>
        o.rename(from(), work, name("empty"), full, name("x"), 0),
    "over a directory": (where) => rename(where, "full", "empty"),
    "a file over a directory": (where) => rename(where, "file", "empty"),
    "a directory over a file": (where) => rename(where, "empty", "file"),
    "NOREPLACE over something": (where) => rename(where, "file", "mine", 1),
    exchange: (where) => rename(where, "file", "mine", 2),
    whiteout: (where) => rename(where, "file", "x", 4),
    "of a name onto itself": (where) => rename(where, "file", "file"),
  };
  for (const [what, make] of Object.entries(cases)) {
    const where = await world();
    t.regex(await way(where, make(where)), /^asked: rename/, what);
  }
});

test("unsent content comes before the name under which something else was", async (t) => {
  const where = await world();
  const { operations, work, log, contents } = where;
  const { entry, opened } = await createFile(operations, "temporary", { parent: work });
  const { ino } = entry.attributes;
  await operations.write(from(), ino, opened.handle, 0, Buffer.from("x"), writing);
  t.is(await way(where, rename(where, "temporary", "other")), "ahead: rename");
  t.true(contents.files.get(ino)?.isDirty);
  await log.flush();
  t.is(await way(where, rename(where, "other", "file")), "asked: rename");
  t.false(contents.files.get(ino)?.isDirty);
});

test("two names of one inode are not renamed over each other here", async (t) => {
  const where = await world();
  const { operations, work, mine } = where;
  await operations.link(from(), mine, work, name("twin"));
  await acquire(where, work, "exclusive");
  await acquire(where, mine, "exclusive");
  await lookup(operations, "twin", work);
  await lookup(operations, "mine", work);
  t.is(await way(where, rename(where, "mine", "twin")), "asked: rename");
});

test("a directory is removed by asking when it has names or may have some; its attributes say that it has none", async (t) => {
  const where = await world();
  t.is(await way(where, (o) => o.rmdir(from(), where.work, name("full"))), "asked: rmdir");
  const told = await world();
  await told.server.leases.recall(told.empty, "none");
  await acquire(told, told.empty, "exclusive");
  t.is(await way(told, (o) => o.rmdir(from(), told.work, name("empty"))), "ahead: rmdir");
  const unsure = await world();
  await unsure.operations.create(from(), unsure.empty, name("in"), modes, 1);
  t.is(await way(unsure, (o) => o.rmdir(from(), unsure.work, name("empty"))), "asked: rmdir");
});

test("what is of the other kind is not removed here", async (t) => {
  const where = await world();
  t.is(await way(where, (o) => o.rmdir(from(), where.work, name("file"))), "asked: rmdir");
  const other = await world();
  t.is(await way(other, (o) => o.unlink(from(), other.work, name("empty"))), "asked: unlink");
});

test("what is being removed by a request is not changed here meanwhile", async (t) => {
  const where = await world();
  const { operations, work, server, mine } = where;
  await server.leases.recall(work, "shared");
  const answer = server.hold("unlink");
  const removing = operations.unlink(from(), work, name("mine"));
  await turns();
  const change = await way(where, (o) => o.setattr(from(), mine, undefined, { mode: fileType.regular | 0o600 }));
  t.regex(change, /^asked: setattr/);
  answer();
  await removing;
});
