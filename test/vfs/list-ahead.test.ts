/** Listings ahead of lookups: what they foresee, and when that is not believed. */
import test from "ava";
import { rootIno, toIno, type Ino } from "../../src/base/ids.ts";
import { createFile, fakeMount, fill, from, lookup, name, turns } from "./mount.ts";

test("the second name that has to be asked for has the directory listed, and the rest costs nothing", async (t) => {
  const { operations, server, vfs } = await fakeMount();
  fill(server, 40);
  await lookup(operations, "old0");
  t.is(server.count("readdir"), 0);
  await Promise.all([lookup(operations, "old1"), lookup(operations, "old2"), lookup(operations, "old39")]);
  const pages = server.count("readdir");
  t.true(pages > 0);
  t.is(server.count("lookup"), 2);
  await turns(200);
  server.takeMethods();
  for (let i = 0; i < 40; i++) await lookup(operations, `old${String(i)}`);
  t.true("absent" in (await operations.lookup(from(), rootIno, name("nothing"))));
  t.deepEqual(server.takeMethods(), []);
  t.true(vfs.statistics.inodes > 40);
});

test("inodes that the kernel has forgotten come back with a listing, also where their names are known", async (t) => {
  const { operations, server } = await fakeMount();
  fill(server, 40);
  const names = Array.from({ length: 40 }, (_, i) => `old${String(i)}`);
  for (const text of names) await lookup(operations, text);
  await turns(200);
  for (const text of names) operations.forget(server.entries.get(rootIno)?.get(name(text)) as Ino, 1);
  server.takeMethods();
  for (const text of names) await lookup(operations, text);
  t.is(server.count("lookup"), 2);
  t.true(server.count("readdir") > 0);
});

test("what a listing foresees counts no lookup, and is bounded", async (t) => {
  const { operations, server, vfs } = await fakeMount({ foreseenMax: 5 });
  fill(server, 40);
  for (const text of ["old0", "old1"]) await lookup(operations, text);
  await turns(200);
  t.is(vfs.statistics.inodes, 1 + 2 + 5);
  const last = await lookup(operations, "old39");
  operations.forget(last.attributes.ino, 1);
  t.is(vfs.statistics.inodes, 1 + 2 + 4);
});

test("a large directory is asked name by name", async (t) => {
  const { operations, server } = await fakeMount({ listAheadMax: 8 });
  fill(server, 40);
  for (let i = 0; i < 10; i++) await lookup(operations, `old${String(i + 10)}`);
  await turns(200);
  const pages = server.count("readdir");
  t.true(pages >= 1 && pages <= 4);
  for (let i = 0; i < 10; i++) await lookup(operations, `old${String(i + 20)}`);
  t.is(server.count("readdir"), pages);
  // And it is not taken for complete.
  server.takeMethods();
  await operations.lookup(from(), rootIno, name("nothing"));
  t.deepEqual(server.takeMethods(), ["lookup"]);
});

test("names that change here while a listing is on its way are newer than it; the others it tells", async (t) => {
  const { operations, server } = await fakeMount();
  fill(server, 6);
  await lookup(operations, "old0");
  const release = server.hold("readdir");
  await lookup(operations, "old1");
  await turns();
  await operations.unlink(from(), rootIno, name("old0"));
  await operations.unlink(from(), rootIno, name("old3"));
  await operations.rename(from(), rootIno, name("old1"), rootIno, name("old2"), 0);
  await createFile(operations, "new");
  release();
  await turns(200);
  server.takeMethods();
  for (const gone of ["old0", "old1", "old3"]) {
    t.true("absent" in (await operations.lookup(from(), rootIno, name(gone))), gone);
  }
  for (const present of ["old2", "old4", "old5", "new"]) await lookup(operations, present);
  t.true("absent" in (await operations.lookup(from(), rootIno, name("nothing"))));
  t.deepEqual(server.takeMethods(), []);
});

test("a listing is not believed when the end of a change during it is not known", async (t) => {
  const { operations, server } = await fakeMount();
  fill(server, 3);
  await lookup(operations, "old0");
  const release = server.hold("readdir");
  await lookup(operations, "old1");
  await turns();
  server.fail("unlink", "EIO");
  await t.throwsAsync(async () => operations.unlink(from(), rootIno, name("old2")), { message: /EIO/ });
  release();
  await turns(200);
  server.takeMethods();
  await lookup(operations, "old2");
  t.deepEqual(server.takeMethods(), ["lookup"]);
});

test("attributes of a listing that are older than a change here are not believed", async (t) => {
  const { operations, server } = await fakeMount();
  fill(server, 3);
  await lookup(operations, "old0");
  const release = server.hold("readdir");
  await lookup(operations, "old1");
  await turns();
  const { ino } = (await lookup(operations, "old0")).attributes;
  await operations.setattr(from(), ino, undefined, { mode: 0o600 });
  operations.forget(ino, 2);
  release();
  await turns(200);
  t.is((await lookup(operations, "old0")).attributes.mode & 0o777, 0o600);
});

test("what was foreseen is not believed after a recall of its inode, and goes with a lost session", async (t) => {
  const { operations, server, vfs } = await fakeMount();
  fill(server, 10);
  for (const text of ["old0", "old1"]) await lookup(operations, text);
  await turns(200);
  t.is(vfs.statistics.inodes, 1 + 10);
  await server.leases.recall(toIno(1_002));
  server.takeMethods();
  await lookup(operations, "old3");
  t.deepEqual(server.takeMethods(), []);
  await lookup(operations, "old2");
  t.deepEqual(server.takeMethods(), ["lookup"]);
  await vfs.events.onSession({ resumed: false });
  t.is(vfs.statistics.inodes, 1 + 4);
  server.takeMethods();
  await lookup(operations, "old5");
  t.deepEqual(server.takeMethods(), ["lookup"]);
});

test("waiting for a listing ends with the process that waits", async (t) => {
  const { operations, server } = await fakeMount();
  fill(server, 3);
  await lookup(operations, "old0");
  const release = server.hold("readdir");
  await lookup(operations, "old1");
  const killed = new AbortController();
  const waiting = operations.lookup(from({ signal: killed.signal }), rootIno, name("old2"));
  killed.abort(new Error("killed"));
  await t.throwsAsync(async () => waiting, { message: "killed" });
  release();
});
