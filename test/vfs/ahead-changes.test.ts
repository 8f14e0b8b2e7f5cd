/** What runs ahead when everything is leased exclusively and known: answered at once, without a message, as the server will have it. */
import test from "ava";
import { fileType } from "../../src/base/attributes.ts";
import { rootIno } from "../../src/base/ids.ts";
import { aheadMount, file, folder, way } from "./ahead-mount.ts";
import { createFile, from, lookup, name, turns, writing } from "./mount.ts";

test("created is at once, with all attributes, and the names and times of the directory follow", async (t) => {
  const mount = await aheadMount();
  const { work, log } = mount;
  const before = (await mount.operations.getattr(from(), work, undefined)).attributes;
  const request = from({ uid: 0, gid: 7 });
  t.is(
    await way(mount, (o) => o.create(request, work, name("new"), { mode: 0o666, umask: 0o027 }, 1)),
    "ahead: create",
  );
  const { attributes } = await lookup(mount.operations, "new", work);
  const { last } = log;
  const { time } = last;
  t.deepEqual(last, {
    ...{ method: "create", time, ino: attributes.ino },
    request: { caller: { uid: 0, gid: 7 }, parent: work, name: name("new"), mode: 0o666, umask: 0o027 },
  });
  t.deepEqual(attributes, {
    ...{ ino: attributes.ino, mode: fileType.regular | 0o640, nlink: 1, uid: 0, gid: 7, rdev: 0 },
    ...{ size: 0, blocks: 0, atime: time, mtime: time, ctime: time, btime: time, hasXattrs: false },
  });
  const after = (await mount.operations.getattr(from(), work, undefined)).attributes;
  t.deepEqual(after, { ...before, blocks: 8, mtime: time, ctime: time });
  t.deepEqual(mount.server.takeMethods(), []);
});

test("a directory that was made is known to be empty, counts in its parent, and is made in at once", async (t) => {
  const mount = await aheadMount();
  const { work, operations } = mount;
  const made = await way(mount, (o) => o.mkdir(from(), work, name("sub"), { mode: 0o777, umask: 0o022 }));
  t.is(made, "ahead: mkdir");
  const { attributes } = await lookup(operations, "sub", work);
  t.is(attributes.mode, fileType.directory | 0o755);
  t.is(attributes.nlink, 2);
  t.is((await operations.getattr(from(), work, undefined)).attributes.nlink, 3);
  t.true("absent" in (await operations.lookup(from(), attributes.ino, name("nothing"))));
  t.is(
    await way(mount, (o) => o.create(from(), attributes.ino, name("in"), { mode: 0o644, umask: 0 }, 1)),
    "ahead: create",
  );
  t.deepEqual(mount.server.takeMethods(), []);
});

test("a symlink is made at once, and its target is read from the server, which has it by then", async (t) => {
  const mount = await aheadMount();
  const { work, operations, log, server } = mount;
  t.is(await way(mount, (o) => o.symlink(from(), work, name("s"), Buffer.from("a/b/c"))), "ahead: symlink");
  const { attributes } = await lookup(operations, "s", work);
  t.is(attributes.mode, fileType.symlink | 0o777);
  t.is(attributes.size, 5);
  server.script("readlink", () => {
    t.is(log.size, 0);
    return { target: Buffer.from("a/b/c") };
  });
  t.is((await operations.readlink(from(), attributes.ino)).toString(), "a/b/c");
});

test("unlink takes the name away at once; the inode is kept where it is open", async (t) => {
  const mount = await aheadMount();
  const { work, operations, log } = mount;
  const ino = await file(mount, "closed");
  t.is(await way(mount, (o) => o.unlink(from(), work, name("closed"))), "ahead: unlink");
  t.like(log.last, { request: { parent: work, name: "closed", keep: false, victim: ino } });
  t.true("absent" in (await operations.lookup(from(), work, name("closed"))));
  const { entry, opened } = await createFile(operations, "open", { parent: work });
  t.is(await way(mount, (o) => o.unlink(from(), work, name("open"))), "ahead: unlink");
  t.like(log.last, { request: { name: "open", keep: true, victim: entry.attributes.ino } });
  t.is((await operations.getattr(from(), entry.attributes.ino, opened.handle)).attributes.nlink, 0);
  await operations.release(from(), entry.attributes.ino, opened.handle, undefined);
  await turns();
  // The kept one is released, behind the removal.
  t.is(mount.server.calls.at(-1)?.method, "releaseOrphans");
  t.is(log.size, 0);
});

test("rmdir of an empty directory is at once, and its parent has one less", async (t) => {
  const mount = await aheadMount();
  const { work, operations } = mount;
  const sub = await folder(mount, "sub");
  await file(mount, "stays");
  t.is(await way(mount, (o) => o.create(from(), sub, name("x"), { mode: 0o644, umask: 0 }, 1)), "ahead: create");
  t.is(await way(mount, (o) => o.unlink(from(), sub, name("x"))), "ahead: unlink");
  t.is(await way(mount, (o) => o.rmdir(from(), work, name("sub"))), "ahead: rmdir");
  t.is((await operations.getattr(from(), work, undefined)).attributes.nlink, 2);
  // What is gone is not changed here: the server says what is wrong.
  const late = await way(mount, (o) => o.create(from(), sub, name("late"), { mode: 0o644, umask: 0 }, 1));
  t.is(late, "asked: create");
});

test("rename moves files between directories and over files, directories within their own", async (t) => {
  const mount = await aheadMount();
  const { work, operations, log } = mount;
  const sub = await folder(mount, "sub");
  const one = await file(mount, "one");
  const two = await file(mount, "two");
  t.is(await way(mount, (o) => o.rename(from(), work, name("one"), sub, name("in"), 0)), "ahead: rename");
  t.is((await lookup(operations, "in", sub)).attributes.ino, one);
  t.true("absent" in (await operations.lookup(from(), work, name("one"))));
  t.is(await way(mount, (o) => o.rename(from(), sub, name("in"), work, name("two"), 0)), "ahead: rename");
  t.like(log.last, { request: { keep: false, victim: two } });
  t.is((await lookup(operations, "two", work)).attributes.ino, one);
  t.is(await way(mount, (o) => o.rename(from(), work, name("sub"), work, name("bus"), 1)), "ahead: rename");
  t.is((await lookup(operations, "bus", work)).attributes.ino, sub);
  t.deepEqual(mount.server.takeMethods(), []);
});

test("what is renamed over is kept where it is open", async (t) => {
  const mount = await aheadMount();
  const { work, operations, log } = mount;
  await file(mount, "new");
  const { entry } = await createFile(operations, "old", { parent: work });
  t.is(await way(mount, (o) => o.rename(from(), work, name("new"), work, name("old"), 0)), "ahead: rename");
  t.like(log.last, { request: { keep: true, victim: entry.attributes.ino } });
});

test("mode, owner and times are set at once, and the ctime always rises", async (t) => {
  const mount = await aheadMount();
  const { operations, log, server } = mount;
  const ino = await file(mount, "file");
  const { ctime } = (await operations.getattr(from(), ino, undefined)).attributes;
  // The clock goes back.
  server.now = 5n;
  t.is(
    await way(mount, (o) => o.setattr(from(), ino, undefined, { mode: fileType.regular | 0o600 })),
    "ahead: setattr",
  );
  t.is((await operations.getattr(from(), ino, undefined)).attributes.ctime, ctime + 1n);
  t.is(await way(mount, (o) => o.setattr(from(), ino, undefined, { uid: 5, gid: 6 })), "ahead: setattr");
  const times = { atime: 77n, mtime: "now" } as const;
  t.is(await way(mount, (o) => o.setattr(from(), ino, undefined, times)), "ahead: setattr");
  const { attributes } = await operations.getattr(from(), ino, undefined);
  t.like(attributes, { mode: fileType.regular | 0o600, uid: 5, gid: 6, atime: 77n, ctime: ctime + 3n });
  t.is(attributes.mtime, ctime + 3n);
  t.like(log.last, { method: "setattr", request: { ino, atime: 77n, mtime: "now" } });
  t.deepEqual(server.takeMethods(), []);
});

test("a user runs ahead where owner, group or other bits let them, also out of a sticky directory what is theirs", async (t) => {
  const user = from({ uid: 1000, gid: 50 });
  for (const how of [{ mode: 0o700, uid: 1000 }, { mode: 0o770, gid: 50 }, { mode: 0o707 }, { mode: 0o1777 }]) {
    const mount = await aheadMount(how);
    const { work } = mount;
    const about = JSON.stringify(how);
    const create = await way(mount, (o) => o.create(user, work, name("x"), { mode: 0o644, umask: 0 }, 1));
    t.is(create, "ahead: create", about);
    t.is(await way(mount, (o) => o.rename(user, work, name("x"), work, name("y"), 0)), "ahead: rename", about);
    t.is(await way(mount, (o) => o.unlink(user, work, name("y"))), "ahead: unlink", about);
  }
});

test("in a setgid directory the group is handed down, and the bit to directories", async (t) => {
  const mount = await aheadMount({ mode: 0o2777, gid: 50 });
  const { work, operations } = mount;
  const user = from({ uid: 1000, gid: 1000 });
  t.is(await way(mount, (o) => o.create(user, work, name("f"), { mode: 0o2644, umask: 0 }, 1)), "ahead: create");
  t.like((await lookup(operations, "f", work)).attributes, { gid: 50, mode: fileType.regular | 0o2644 });
  t.is(await way(mount, (o) => o.mkdir(user, work, name("d"), { mode: 0o755, umask: 0 })), "ahead: mkdir");
  t.like((await lookup(operations, "d", work)).attributes, { gid: 50, mode: fileType.directory | 0o2755 });
  const member = from({ uid: 1000, gid: 1000, parentGroup: 50 });
  t.is(await way(mount, (o) => o.create(member, work, name("x"), { mode: 0o2755, umask: 0 }, 1)), "ahead: create");
  t.like((await lookup(operations, "x", work)).attributes, { gid: 50, mode: fileType.regular | 0o2755 });
});

test("an mtime that is set while data is unsent stays", async (t) => {
  const mount = await aheadMount();
  const { operations, work, contents } = mount;
  const { entry, opened } = await createFile(operations, "file", { parent: work });
  const { ino } = entry.attributes;
  await operations.write(from(), ino, opened.handle, 0, Buffer.from("x"), writing);
  t.is(await way(mount, (o) => o.setattr(from(), ino, opened.handle, { mtime: 99n })), "ahead: setattr");
  t.is(contents.files.get(ino)?.dirtyTime, undefined);
  t.is((await operations.getattr(from(), ino, undefined)).attributes.mtime, 99n);
});

test("fsync, of a directory too, waits for all that ran ahead, and says what was lost", async (t) => {
  const mount = await aheadMount();
  const { operations, work, log } = mount;
  const { entry, opened } = await createFile(operations, "file", { parent: work });
  t.is(log.size, 1);
  await operations.fsync(from(), entry.attributes.ino, opened.handle, false);
  t.is(log.size, 0);
  t.is(operations.fsync(from(), entry.attributes.ino, opened.handle, false), undefined);
  const { handle } = await operations.opendir(from(), work, 0);
  await file(mount, "other");
  t.is(log.size, 1);
  await operations.fsyncdir(from(), work, handle, false);
  t.is(log.size, 0);
  await file(mount, "third");
  log.error = new Error("lost");
  await t.throwsAsync(async () => operations.fsyncdir(from(), work, handle, false), { message: "lost" });
  t.is(operations.fsyncdir(from(), work, handle, false), undefined);
});

test("after the log is lost, nothing that ran ahead is believed, and what is asked shows what is there", async (t) => {
  const mount = await aheadMount();
  const { operations, work, log, vfs } = mount;
  const { entry, opened } = await createFile(operations, "file", { parent: work });
  const { ino } = entry.attributes;
  await operations.write(from(), ino, opened.handle, 0, Buffer.from("x"), writing);
  log.entries.length = 0;
  log.isOpen = false;
  vfs.events.ahead.onLost(new Error("somebody else has it"));
  await turns();
  t.throws(() => operations.read(from(), ino, opened.handle, 0, 1, false), { message: /^EIO/ });
  t.true("absent" in (await operations.lookup(from(), work, name("file"))));
  t.deepEqual(mount.server.takeMethods().slice(0, 1), ["lookup"]);
});

test("a file whose removal ran ahead and is lost is there again, and can be opened", async (t) => {
  const mount = await aheadMount();
  const { operations, work, log, vfs } = mount;
  const ino = await file(mount, "file");
  await log.flush();
  t.is(await way(mount, (o) => o.unlink(from(), work, name("file"))), "ahead: unlink");
  log.entries.length = log.executed;
  log.isOpen = false;
  vfs.events.ahead.onLost(new Error("the session is over"));
  await turns();
  const { attributes } = await lookup(operations, "file", work);
  t.deepEqual([attributes.ino, attributes.nlink], [ino, 1]);
  await t.notThrowsAsync(async () => operations.open(from(), ino, 0, false));
});

test("what is learned from the server's answer are sizes, not what has changed since", async (t) => {
  const mount = await aheadMount();
  const { operations, work, vfs } = mount;
  const old = (await operations.getattr(from(), work, undefined)).attributes;
  await file(mount, "file");
  const { attributes } = await operations.getattr(from(), work, undefined);
  vfs.events.ahead.onApplied([{ ...old, size: 12_288, blocks: 24 }], [], vfs.events.ahead.moment());
  const after = (await operations.getattr(from(), work, undefined)).attributes;
  t.deepEqual(after, { ...attributes, size: 12_288, blocks: 24 });
});

test("the root is a directory as any other", async (t) => {
  const mount = await aheadMount();
  await mount.nameServer.ask("acquire", { ino: rootIno, level: "exclusive" });
  await mount.operations.getattr(from(), rootIno, undefined);
  await mount.operations.lookup(from(), rootIno, name("top"));
  t.is(await way(mount, (o) => o.create(from(), rootIno, name("top"), { mode: 0o644, umask: 0 }, 1)), "ahead: create");
});
