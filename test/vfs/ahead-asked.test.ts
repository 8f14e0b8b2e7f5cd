/** What cannot be proved here is asked, and nothing has happened before it was. */
import test from "ava";
import { fileType, type Attributes } from "../../src/base/attributes.ts";
import type { Ino } from "../../src/base/ids.ts";
import { limits } from "../../src/base/limits.ts";
import { acquire, aheadMount, file, folder, way, type AheadMount, type Change } from "./ahead-mount.ts";
import { createFile, from, lookup, name, turns, writing } from "./mount.ts";

const user = from({ uid: 1000, gid: 1000 });
const modes = { mode: 0o644, umask: 0 };

interface World extends AheadMount {
  /** A file of user 1000, an empty folder, and a folder with a file `in`. */
  readonly mine: Ino;
  readonly empty: Ino;
  readonly full: Ino;
}

async function world(options: Parameters<typeof aheadMount>[0] = { mode: 0o777 }): Promise<World> {
  const mount = await aheadMount(options);
  const mine = await file(mount, "mine", { request: user });
  await file(mount, "file");
  const empty = await folder(mount, "empty");
  const full = await folder(mount, "full");
  await mount.operations.create(from(), full, name("in"), modes, 1);
  await mount.log.flush();
  mount.server.takeMethods();
  return { ...mount, mine, empty, full };
}

const create: (where: World, request?: typeof user) => Change =
  ({ work }, request = from()) =>
  (o) =>
    o.create(request, work, name("new"), modes, 1);
const rename =
  ({ work }: World, one: string, other: string, flags = 0): Change =>
  (o) =>
    o.rename(from(), work, name(one), work, name(other), flags);

/** Every change that runs ahead in a fresh world. */
function allChanges(where: World): Record<string, Change> {
  const { work, mine } = where;
  return {
    create: create(where),
    mkdir: (o) => o.mkdir(from(), work, name("newer"), modes),
    symlink: (o) => o.symlink(from(), work, name("newest"), Buffer.from("x")),
    rename: rename(where, "file", "elif"),
    unlink: (o) => o.unlink(from(), work, name("mine")),
    rmdir: (o) => o.rmdir(from(), work, name("empty")),
    setattr: (o) => o.setattr(from(), mine, undefined, { mode: fileType.regular | 0o600 }),
  };
}

test("in a fresh world each of the changes runs ahead", async (t) => {
  for (const kind of Object.keys(allChanges(await world()))) {
    const where = await world();
    t.is(await way(where, allChanges(where)[kind] as Change), `ahead: ${kind}`);
  }
});

const everywhere: Record<string, (where: World) => unknown> = {
  "the log is closed": ({ log }) => {
    log.isOpen = false;
  },
  "the session may be over": ({ vfs }) => {
    vfs.events.onTrusted(limits.trustMarginMillis);
  },
  "leases are shared": async ({ server, work, mine, empty }) => {
    for (const ino of [work, mine, empty]) await server.leases.recall(ino, "shared");
  },
  "attributes are not known": async (where) => {
    const { server, work, mine } = where;
    for (const ino of [work, mine]) {
      await server.leases.recall(ino, "none");
      await where.nameServer.ask("acquire", { ino, level: "exclusive" });
    }
  },
};

for (const [when, make] of Object.entries(everywhere)) {
  test(`everything is asked when ${when}`, async (t) => {
    for (const kind of Object.keys(allChanges(await world()))) {
      const where = await world();
      await make(where);
      t.is((await way(where, allChanges(where)[kind] as Change)).split(",")[0], `asked: ${kind}`, kind);
    }
  });
}

test("names are changed by asking when it is not known what they have now", async (t) => {
  for (const kind of ["create", "mkdir", "symlink", "rename", "unlink", "rmdir"]) {
    const where = await world();
    await where.server.leases.recall(where.work, "none");
    await acquire(where, where.work, "exclusive");
    t.is(await way(where, allChanges(where)[kind] as Change), `asked: ${kind}`, kind);
  }
});

test("a name that is there is not made again here, one that is absent not removed", async (t) => {
  const where = await world();
  const { work } = where;
  t.is(await way(where, (o) => o.mkdir(from(), work, name("file"), modes)), "asked: mkdir, EEXIST");
  t.is(await way(where, (o) => o.create(from(), work, name("file"), modes, 0o200)), "asked: create, EEXIST");
  t.is(await way(where, (o) => o.create(from(), work, name("file"), modes, 0)), "asked: create, ESTALE");
  const other = await world();
  t.is(await way(other, (o) => o.unlink(from(), other.work, name("absent"))), "asked: unlink, ENOENT");
  const third = await world();
  t.is(await way(third, rename(third, "absent", "x")), "asked: rename, ENOENT");
});

test("nothing is made without an inode number at hand; names are still moved", async (t) => {
  const where = await world();
  where.numbers.next = undefined;
  t.is(await way(where, rename(where, "file", "elif")), "ahead: rename");
  for (const kind of ["create", "mkdir", "symlink"]) {
    const fresh = await world();
    fresh.numbers.next = undefined;
    t.is(await way(fresh, allChanges(fresh)[kind] as Change), `asked: ${kind}`);
  }
});

test("in a directory that may have ACLs nothing is made here, and only root removes", async (t) => {
  for (const kind of ["create", "mkdir", "symlink"]) {
    const where = await world();
    await withXattr(where, where.work);
    t.is(await way(where, allChanges(where)[kind] as Change), `asked: ${kind}`, kind);
  }
  const where = await world();
  await withXattr(where, where.work);
  t.is(await way(where, (o) => o.unlink(from(), where.work, name("file"))), "ahead: unlink");
  t.is(await way(where, (o) => o.unlink(user, where.work, name("mine"))), "asked: unlink");
});

async function withXattr(where: World, ino: Ino): Promise<void> {
  await where.operations.setxattr(from(), ino, name("user.x"), Buffer.from("x"), 0, false);
  await where.operations.getattr(from(), ino, undefined);
}

test("who may not write the directory by its mode is refused by the server, not here", async (t) => {
  for (const [how, request] of [
    [{ mode: 0o755 }, user],
    [{ mode: 0o577, uid: 1000 }, user],
    [{ mode: 0o707, gid: 1000 }, user],
    [{ mode: 0o772 }, user],
    [{ mode: 0o770, gid: 50 }, user],
  ] as const) {
    const where = await world(how);
    t.is(await way(where, create(where, request)), "asked: create", JSON.stringify(how));
    const again = await world(how);
    t.is(await way(again, (o) => o.unlink(request, again.work, name("file"))), "asked: unlink", JSON.stringify(how));
  }
});

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

test("where it takes the caller's groups to know about setgid, the server is asked", async (t) => {
  const executable = { mode: 0o755, umask: 0 };
  const where = await world({ mode: 0o2777, gid: 50 });
  t.is(await way(where, (o) => o.create(user, where.work, name("x"), executable, 1)), "asked: create");
  const member = await world({ mode: 0o2777, gid: 50 });
  const inGroup = from({ uid: 1000, gid: 1000, parentGroup: 50 });
  t.is(await way(member, (o) => o.create(inGroup, member.work, name("x"), executable, 1)), "ahead: create");
  // `mine` has the directory's group.
  const setgid = { mode: fileType.regular | 0o2644 };
  t.is(await way(member, (o) => o.setattr(user, member.mine, undefined, setgid)), "asked: setattr");
  const own = await world();
  t.is(await way(own, (o) => o.setattr(user, own.mine, undefined, setgid)), "ahead: setattr");
});

test("attributes are changed by asking where privileges, ACLs, sizes or rights have a say", async (t) => {
  const asked: Record<string, [Parameters<AheadMount["operations"]["setattr"]>[3], typeof user, Partial<Attributes>]> =
    {
      "a size": [{ size: 5 }, from(), {}],
      "privileges to be taken": [{ killPrivileges: true }, from(), {}],
      "an owner of a setuid file": [{ uid: 5 }, from(), { mode: fileType.regular | 0o4755 }],
      "a group of a setgid file": [{ gid: 5 }, from(), { mode: fileType.regular | 0o2755 }],
      "a mode beside xattrs": [{ mode: fileType.regular | 0o600 }, from(), { hasXattrs: true }],
      "an owner beside xattrs": [{ uid: 5 }, from(), { hasXattrs: true }],
      "nothing at all": [{}, from(), {}],
      "somebody else's mode": [{ mode: fileType.regular | 0o600 }, from({ uid: 7, gid: 7 }), {}],
      "somebody else's times": [{ mtime: 5n }, from({ uid: 7, gid: 7 }), {}],
      "somebody else's times to now": [{ mtime: "now", atime: "now" }, from({ uid: 7, gid: 7 }), {}],
      "an owner, by a user": [{ uid: 5 }, user, {}],
      "a group that the caller may not be in": [{ gid: 5 }, user, {}],
    };
  for (const [what, [changes, request, attributes]] of Object.entries(asked)) {
    const where = await world();
    where.server.changed(where.mine, attributes);
    await where.server.leases.recall(where.mine, "none");
    await acquire(where, where.mine, "exclusive");
    const took = await way(where, (o) => o.setattr(request, where.mine, undefined, changes));
    t.is(took, "asked: setattr", what);
  }
  const times = await world();
  times.server.changed(times.mine, { hasXattrs: true });
  await times.server.leases.recall(times.mine, "none");
  await acquire(times, times.mine, "exclusive");
  t.is(await way(times, (o) => o.setattr(user, times.mine, undefined, { mtime: 5n })), "ahead: setattr");
});

test("a mode that follows a write which took privileges is asked, behind the write", async (t) => {
  const where = await world();
  const { operations, work, log, server, contents } = where;
  const made = await operations.create(user, work, name("tool"), { mode: 0o4755, umask: 0 }, 1);
  const { ino } = made.entry.attributes;
  const how = { ...writing, killPrivileges: true };
  await operations.write(user, ino, made.opened.handle, 0, Buffer.from("x"), how);
  await log.flush();
  server.takeMethods();
  t.is(await way(where, (o) => o.setattr(user, ino, undefined, { mode: fileType.regular | 0o4711 })), "asked: setattr");
  t.true(contents.files.get(ino)?.log.includes("flush"));
  t.is((await operations.getattr(from(), ino, undefined)).attributes.mode, fileType.regular | 0o4711);
});

test("a symlink's attributes are asked for", async (t) => {
  const where = await world();
  const made = await where.operations.symlink(from(), where.work, name("s"), Buffer.from("x"));
  t.is(await way(where, (o) => o.setattr(from(), made.attributes.ino, undefined, { mtime: 5n })), "asked: setattr");
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

test("a directory is removed by asking when it has names, or it is not known that it has none", async (t) => {
  const where = await world();
  t.is(await way(where, (o) => o.rmdir(from(), where.work, name("full"))), "asked: rmdir");
  const unknown = await world();
  await unknown.server.leases.recall(unknown.empty, "none");
  await acquire(unknown, unknown.empty, "exclusive");
  t.is(await way(unknown, (o) => o.rmdir(from(), unknown.work, name("empty"))), "asked: rmdir");
});

test("what is of the other kind is not removed here", async (t) => {
  const where = await world();
  t.is(await way(where, (o) => o.rmdir(from(), where.work, name("file"))), "asked: rmdir");
  const other = await world();
  t.is(await way(other, (o) => o.unlink(from(), other.work, name("empty"))), "asked: unlink");
});

test("while a change of the same directory is unanswered, the next one is asked behind it", async (t) => {
  const where = await world();
  const { operations, work, server, empty } = where;
  const answer = server.hold("mknod");
  const making = operations.mknod(from(), work, name("pipe"), { mode: fileType.fifo | 0o644, umask: 0 }, 0);
  await turns();
  t.is(await way(where, create(where)), "asked: create");
  // Another directory is not concerned.
  t.is(await way(where, (o) => o.create(from(), empty, name("x"), modes, 1)), "ahead: create");
  answer();
  await making;
  await acquire(where, work, "exclusive");
  t.is(await way(where, (o) => o.create(from(), work, name("y"), modes, 1)), "ahead: create");
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

test("content, links and devices are asked for, behind what ran ahead", async (t) => {
  const where = await world();
  const { operations, work, mine, log } = where;
  await operations.create(from(), work, name("before"), modes, 1);
  t.is(log.size, 1);
  t.is(await way(where, (o) => o.link(from(), mine, work, name("l"))), "asked: link");
  t.is(log.size, 0);
});
