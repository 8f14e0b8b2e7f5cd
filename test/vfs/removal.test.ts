/** Names taken away: what the server must keep, what is let go, and what stays readable here. */
import test from "ava";
import { rootIno, type Ino } from "../../src/base/ids.ts";
import { createFile, fakeMount, from, lookup, name, turns, writing, type FakeMount } from "./mount.ts";

function keepOf({ server }: FakeMount, method: string): boolean | undefined {
  const last = server.calls.filter((call) => call.method === method).at(-1);
  return (last?.request as { keep: boolean } | undefined)?.keep;
}
function released({ server }: FakeMount): Ino[] {
  const calls = server.calls.filter((call) => call.method === "releaseOrphans");
  return calls.flatMap((call) => (call.request as { inos: Ino[] }).inos);
}

test("a file that nobody has open is removed at once, and nothing is sent after it", async (t) => {
  const mount = await fakeMount();
  const { entry, opened } = await createFile(mount.operations, "file");
  await mount.operations.release(from(), entry.attributes.ino, opened.handle, undefined);
  await mount.operations.unlink(from(), rootIno, name("file"));
  await turns();
  t.false(keepOf(mount, "unlink"));
  t.deepEqual(released(mount), []);
});

test("an open file is kept, readable and writable, and released after its last close", async (t) => {
  const mount = await fakeMount();
  const { operations, server, contents } = mount;
  const { entry, opened } = await createFile(operations, "file");
  const ino = entry.attributes.ino;
  await operations.unlink(from(), rootIno, name("file"));
  t.true(keepOf(mount, "unlink"));
  await operations.write(from(), ino, opened.handle, 0, Buffer.from("still"), writing);
  await operations.fsync(from(), ino, opened.handle, false);
  t.is(server.get(ino).size, 5);
  t.is((await operations.getattr(from(), ino, undefined)).attributes.nlink, 0);
  const again = await operations.open(from(), ino, 0, false);
  await operations.release(from(), ino, opened.handle, undefined);
  await turns();
  t.deepEqual(released(mount), []);
  await operations.release(from(), ino, again.handle, undefined);
  await turns();
  t.deepEqual(released(mount), [ino]);
  t.true(contents.log.includes(`close ${String(ino)}`));
});

test("what a removed file had unsent is dropped, not sent", async (t) => {
  const { operations, contents } = await fakeMount();
  const { entry, opened } = await createFile(operations, "file");
  const ino = entry.attributes.ino;
  await operations.write(from(), ino, opened.handle, 0, Buffer.from("x"), writing);
  await operations.release(from(), ino, opened.handle, undefined);
  const content = contents.files.get(ino);
  await operations.unlink(from(), rootIno, name("file"));
  t.true(content?.discarded);
  t.false(content?.log.includes("flush"));
});

test("a removal that fails leaves unsent data alone", async (t) => {
  const { operations, contents, server } = await fakeMount();
  const { entry, opened } = await createFile(operations, "file");
  const ino = entry.attributes.ino;
  await operations.write(from(), ino, opened.handle, 0, Buffer.from("x"), writing);
  await operations.release(from(), ino, opened.handle, undefined);
  server.fail("unlink", "EPERM");
  await t.throwsAsync(async () => operations.unlink(from(), rootIno, name("file")), { message: /EPERM/ });
  t.true(contents.files.get(ino)?.isDirty);
});

test("a victim that is not known here is kept by the server and released right after", async (t) => {
  const mount = await fakeMount({ dentriesMax: 1 });
  const { operations } = mount;
  const { entry, opened } = await createFile(operations, "file");
  await operations.release(from(), entry.attributes.ino, opened.handle, undefined);
  await createFile(operations, "pushes the first name out");
  await operations.unlink(from(), rootIno, name("file"));
  await turns();
  t.true(keepOf(mount, "unlink"));
  t.deepEqual(released(mount), [entry.attributes.ino]);
});

test("many releases travel together", async (t) => {
  const mount = await fakeMount({ dentriesMax: 1 });
  const { operations } = mount;
  for (let i = 0; i < 20; i++) {
    const { entry, opened } = await createFile(operations, `f${String(i)}`);
    await operations.release(from(), entry.attributes.ino, opened.handle, undefined);
  }
  const open = mount.server.hold("releaseOrphans");
  for (let i = 0; i < 19; i++) await operations.unlink(from(), rootIno, name(`f${String(i)}`));
  open();
  await turns(50);
  t.is(released(mount).length, 19);
  t.true(mount.server.count("releaseOrphans") <= 2);
});

test("when the server refused changes that ran ahead, removed files that are open fail, and are not kept for the session's life", async (t) => {
  const mount = await fakeMount();
  const { operations, vfs } = mount;
  const { entry, opened } = await createFile(operations, "file");
  const ino = entry.attributes.ino;
  await operations.unlink(from(), rootIno, name("file"));
  vfs.events.ahead.onLost(new Error("somebody else has it"));
  await turns();
  t.throws(() => operations.read(from(), ino, opened.handle, 0, 1, false), { message: /^EIO/ });
  t.deepEqual(released(mount), [ino]);
  await operations.release(from(), ino, opened.handle, undefined);
  await turns();
  t.deepEqual(released(mount), [ino], "once");
});

test("a lost session takes what it kept with it: there is nothing to release", async (t) => {
  const mount = await fakeMount();
  const { operations, vfs } = mount;
  const { entry, opened } = await createFile(operations, "file");
  const ino = entry.attributes.ino;
  await operations.unlink(from(), rootIno, name("file"));
  await vfs.events.onSession({ resumed: false });
  await operations.release(from(), ino, opened.handle, undefined);
  await turns();
  t.deepEqual(released(mount), []);
});

test("opening a file that is being removed waits, and finds it gone or there", async (t) => {
  const { operations, server } = await fakeMount();
  const { entry, opened } = await createFile(operations, "file");
  const ino = entry.attributes.ino;
  await operations.release(from(), ino, opened.handle, undefined);
  let release = server.hold("unlink");
  const removing = operations.unlink(from(), rootIno, name("file"));
  const opening = Promise.resolve(operations.open(from(), ino, 0, false));
  await turns();
  release();
  await removing;
  await t.throwsAsync(opening, { message: /^ESTALE/ });

  const other = await createFile(operations, "other");
  const otherIno = other.entry.attributes.ino;
  await operations.release(from(), otherIno, other.opened.handle, undefined);
  server.fail("unlink", "EACCES");
  release = server.hold("unlink");
  const failing = Promise.resolve(operations.unlink(from(), rootIno, name("other")));
  const fine = operations.open(from(), otherIno, 0, false);
  await turns();
  release();
  await t.throwsAsync(failing, { message: /EACCES/ });
  t.truthy((await fine).handle);
});

test("a removed file that only an O_PATH descriptor holds cannot be opened, but shows its attributes", async (t) => {
  const { operations, server } = await fakeMount();
  const { entry, opened } = await createFile(operations, "file");
  const ino = entry.attributes.ino;
  await operations.release(from(), ino, opened.handle, undefined);
  await operations.unlink(from(), rootIno, name("file"));
  await t.throwsAsync(async () => operations.open(from(), ino, 0, false), { message: /^ESTALE/ });
  server.takeMethods();
  t.is((await operations.getattr(from(), ino, undefined)).attributes.nlink, 0);
  t.deepEqual(server.takeMethods(), []);
});

test("a hard link that stays keeps everything", async (t) => {
  const mount = await fakeMount();
  const { operations } = mount;
  const { entry } = await createFile(operations, "one");
  const linked = await operations.link(from(), entry.attributes.ino, rootIno, name("two"));
  t.is(linked.attributes.nlink, 2);
  await operations.unlink(from(), rootIno, name("one"));
  t.is((await operations.getattr(from(), entry.attributes.ino, undefined)).attributes.nlink, 1);
  t.is((await lookup(operations, "two")).attributes.ino, entry.attributes.ino);
  t.true("absent" in (await operations.lookup(from(), rootIno, name("one"))));
});

test("rename moves the name, replaces the target and remembers both", async (t) => {
  const mount = await fakeMount();
  const { operations, server } = mount;
  const source = await createFile(operations, "source");
  const target = await createFile(operations, "target");
  await operations.rename(from(), rootIno, name("source"), rootIno, name("target"), 0);
  t.true(keepOf(mount, "rename"));
  server.takeMethods();
  t.is((await lookup(operations, "target")).attributes.ino, source.entry.attributes.ino);
  t.true("absent" in (await operations.lookup(from(), rootIno, name("source"))));
  t.deepEqual(server.takeMethods(), []);
  t.is((await operations.getattr(from(), target.entry.attributes.ino, undefined)).attributes.nlink, 0);
});

test("rename over a file flushes what is renamed first; to a new name it does not", async (t) => {
  const { operations, contents } = await fakeMount();
  const { entry, opened } = await createFile(operations, "temporary");
  const ino = entry.attributes.ino;
  await createFile(operations, "target");
  await operations.lookup(from(), rootIno, name("fresh"));
  await operations.write(from(), ino, opened.handle, 0, Buffer.from("x"), writing);
  await operations.rename(from(), rootIno, name("temporary"), rootIno, name("fresh"), 0);
  t.true(contents.files.get(ino)?.isDirty);
  await operations.rename(from(), rootIno, name("fresh"), rootIno, name("target"), 0);
  t.false(contents.files.get(ino)?.isDirty);
});

test("exchange swaps both names, and asks for the attributes that it was not told", async (t) => {
  const { operations, server } = await fakeMount();
  await createFile(operations, "one");
  await createFile(operations, "two");
  server.script("rename", () => ({ attributes: server.changed(2 as Ino, {}), replaced: null }));
  await operations.rename(from(), rootIno, name("one"), rootIno, name("two"), 2);
  server.takeMethods();
  await lookup(operations, "one");
  t.is((await lookup(operations, "two")).attributes.ino, 2 as Ino);
  t.deepEqual(server.takeMethods(), ["lookup"]);
});

test("inodes removed elsewhere: those in use here are named, and released after the last close", async (t) => {
  const mount = await fakeMount({ grants: false });
  const { operations, vfs } = mount;
  const used = await createFile(operations, "used");
  const unused = await createFile(operations, "unused");
  await operations.release(from(), unused.entry.attributes.ino, unused.opened.handle, undefined);
  const inos = [used.entry.attributes.ino, unused.entry.attributes.ino, 99 as Ino];
  const reply = await vfs.events.handlers.inodesRemoved({ inos }, {} as never);
  t.deepEqual(reply, { inUse: [used.entry.attributes.ino] });
  await operations.release(from(), used.entry.attributes.ino, used.opened.handle, undefined);
  await turns();
  t.deepEqual(released(mount), [used.entry.attributes.ino]);
});

test("a file without a name is released after its close, unless it was linked", async (t) => {
  const mount = await fakeMount();
  const { operations } = mount;
  const nameless = await operations.tmpfile(from(), rootIno, { mode: 0o600, umask: 0 }, 2);
  t.is(nameless.entry.attributes.nlink, 0);
  await operations.release(from(), nameless.entry.attributes.ino, nameless.opened.handle, undefined);
  await turns();
  t.deepEqual(released(mount), [nameless.entry.attributes.ino]);
  const linked = await operations.tmpfile(from(), rootIno, { mode: 0o600, umask: 0 }, 2);
  await operations.link(from(), linked.entry.attributes.ino, rootIno, name("named"));
  await operations.release(from(), linked.entry.attributes.ino, linked.opened.handle, undefined);
  await turns();
  t.is(released(mount).length, 1);
});

test("a directory's attributes are asked again after a name in it changed", async (t) => {
  const { operations, server } = await fakeMount();
  await operations.getattr(from(), rootIno, undefined);
  await createFile(operations, "file");
  server.takeMethods();
  const { attributes } = await operations.getattr(from(), rootIno, undefined);
  t.deepEqual(server.takeMethods(), ["getattr"]);
  t.is(attributes.mtime, server.get(rootIno).mtime);
});
