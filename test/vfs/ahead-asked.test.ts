/** What cannot be proved here is asked, and nothing has happened before it was. */
import test from "ava";
import { fileType, type Attributes } from "../../src/base/attributes.ts";
import type { Ino } from "../../src/base/ids.ts";
import { limits } from "../../src/base/limits.ts";
import { acquire, way, type AheadMount, type Change } from "./ahead-mount.ts";
import { allChanges, create, modes, rename, user, world, type World } from "./ahead-world.ts";
import { from, lookup, name, turns, writing } from "./mount.ts";

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
      "an owner, and setuid to be taken": [
        { uid: 5, killPrivileges: true },
        from(),
        { mode: fileType.regular | 0o4755 },
      ],
      "an owner, and a capability to be taken": [{ uid: 5, killPrivileges: true }, from(), { hasXattrs: true }],
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
  // As the kernel asks for every chown.
  const plain = await world();
  const chown = { uid: 5, gid: 6, killPrivileges: true };
  t.is(await way(plain, (o) => o.setattr(from(), plain.mine, undefined, chown)), "ahead: setattr");
  t.is("killPrivileges" in plain.log.last.request, false);
  const times = await world();
  times.server.changed(times.mine, { hasXattrs: true });
  await times.server.leases.recall(times.mine, "none");
  await acquire(times, times.mine, "exclusive");
  t.is(await way(times, (o) => o.setattr(user, times.mine, undefined, { mtime: 5n })), "ahead: setattr");
});

test("an mtime is set by asking while the server is asked to set the one of a write", async (t) => {
  const where = await world();
  const { operations, mine, contents } = where;
  const { handle } = await operations.open(from(), mine, 1, false);
  await operations.write(from(), mine, handle, 0, Buffer.from("x"), writing);
  const content = contents.files.get(mine);
  if (content !== undefined) content.isAskingTime = true;
  t.is(
    await way(where, (o) => o.setattr(from(), mine, undefined, { mode: fileType.regular | 0o600 })),
    "ahead: setattr",
  );
  t.is(await way(where, (o) => o.setattr(from(), mine, undefined, { mtime: 5n })), "asked: setattr");
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

test("devices are asked for, behind what ran ahead", async (t) => {
  const where = await world();
  const { operations, work, log } = where;
  await operations.create(from(), work, name("before"), modes, 1);
  t.is(log.size, 1);
  t.is(
    await way(where, (o) => o.mknod(from(), work, name("d"), { mode: fileType.fifo | 0o600, umask: 0 }, 0)),
    "asked: mknod",
  );
  t.is(log.size, 0);
});

test("a link is asked for without the inode's lease, over a name that is there, and without a number at hand", async (t) => {
  const link =
    ({ mine, work }: World, as = "l"): Change =>
    (o) =>
      o.link(from(), mine, work, name(as));
  const there = await world();
  const { attributes } = await lookup(there.operations, "mine", there.work);
  t.is(await way(there, link(there)), "ahead: link");
  const linked = await lookup(there.operations, "l", there.work);
  t.is(linked.attributes.ino, attributes.ino);
  t.is(linked.attributes.nlink, 2);
  t.true(linked.attributes.ctime > attributes.ctime);
  await there.log.flush();
  t.is(there.server.get(there.mine).nlink, 2);
  t.is(await way(there, link(there, "file")), "asked: link");

  const lent = await world();
  await lent.server.leases.recall(lent.mine, "shared");
  t.is(await way(lent, link(lent)), "asked: link");
  const numberless = await world();
  numberless.numbers.next = undefined;
  t.is(await way(numberless, link(numberless)), "asked: link");
});
