/** Lookups that cost no message because the whole directory is known. */
import test from "ava";
import { rootIno, toIno } from "../../src/base/ids.ts";
import { createFile, fakeMount, fill, from, lookup, name, turns } from "./mount.ts";

const mode = { mode: 0o755, umask: 0 };

test("a directory made here is known to be empty, and its names cost one message each", async (t) => {
  const { operations, server } = await fakeMount();
  const { ino } = (await operations.mkdir(from(), rootIno, name("folder"), mode)).attributes;
  server.takeMethods();
  t.true("absent" in (await operations.lookup(from(), ino, name("file"))));
  await createFile(operations, "file", { parent: ino });
  await operations.lookup(from(), ino, name("sub"));
  await operations.mkdir(from(), ino, name("sub"), mode);
  await operations.lookup(from(), ino, name("to"));
  await operations.rename(from(), ino, name("file"), ino, name("to"), 0);
  t.true("absent" in (await operations.lookup(from(), ino, name("file"))));
  await operations.unlink(from(), ino, name("to"));
  t.true("absent" in (await operations.lookup(from(), ino, name("to"))));
  t.deepEqual(server.takeMethods(), ["create", "mkdir", "rename", "unlink"]);
});

test("a refused change leaves the directory complete, an uncertain one does not", async (t) => {
  const { operations, server } = await fakeMount();
  const { ino } = (await operations.mkdir(from(), rootIno, name("folder"), mode)).attributes;
  server.fail("mkdir", "EACCES");
  await t.throwsAsync(async () => operations.mkdir(from(), ino, name("a"), mode), { message: /EACCES/ });
  server.takeMethods();
  await operations.lookup(from(), ino, name("a"));
  t.deepEqual(server.takeMethods(), []);
  server.fail("mkdir", "EIO");
  await t.throwsAsync(async () => operations.mkdir(from(), ino, name("a"), mode), { message: /EIO/ });
  server.takeMethods();
  await operations.lookup(from(), ino, name("b"));
  t.deepEqual(server.takeMethods(), ["lookup"]);
});

test("after a whole listing absent names cost nothing, and after half of one they do", async (t) => {
  for (const whole of [true, false]) {
    const { operations, server } = await fakeMount();
    fill(server, 9);
    const { handle } = await operations.opendir(from(), rootIno, 0);
    let cookie = 0;
    for (let given = -1; given !== 0 && (whole || cookie < 4);) {
      given = 0;
      await operations.readdir(from(), rootIno, handle, cookie, false, (entry) => {
        if (given === 4) return false;
        given++;
        cookie = entry.cookie;
        return true;
      });
    }
    server.takeMethods();
    t.true("absent" in (await operations.lookup(from(), rootIno, name("new"))));
    t.deepEqual(server.takeMethods(), whole ? [] : ["lookup"]);
  }
});

test("after a recall nothing is answered from a complete directory, and without a lease none becomes complete", async (t) => {
  const { operations, server } = await fakeMount();
  const { ino } = (await operations.mkdir(from(), rootIno, name("folder"), mode)).attributes;
  server.leases.grants = false;
  await server.leases.recallAll();
  const theirs = server.put({ ino: toIno(500) });
  server.entries.get(ino)?.set(name("theirs"), theirs.ino);
  t.is((await lookup(operations, "theirs", ino)).attributes.ino, theirs.ino);
  // Made now, it is not known to stay empty, nor when there are leases again.
  const other = (await operations.mkdir(from(), rootIno, name("other"), mode)).attributes.ino;
  server.leases.grants = true;
  server.takeMethods();
  await operations.lookup(from(), other, name("x"));
  await operations.lookup(from(), ino, name("x"));
  t.deepEqual(server.takeMethods(), ["lookup", "lookup"]);
});

test("a directory whose lease was recalled while it was made is not taken for complete", async (t) => {
  const { operations, server } = await fakeMount();
  const release = server.hold("mkdir");
  const making = operations.mkdir(from(), rootIno, name("folder"), mode);
  await turns();
  const made = server.entries.get(rootIno)?.get(name("folder"));
  if (made === undefined) throw new Error("not made");
  await server.leases.recall(made);
  release();
  const { ino } = (await making).attributes;
  server.takeMethods();
  await operations.lookup(from(), ino, name("x"));
  t.deepEqual(server.takeMethods(), ["lookup"]);
});

test("a recall of one name leaves the other names known, and the directory not complete", async (t) => {
  const { operations, server, notifier } = await fakeMount();
  const { ino } = (await operations.mkdir(from(), rootIno, name("folder"), mode)).attributes;
  await createFile(operations, "one", { parent: ino });
  await createFile(operations, "two", { parent: ino });
  server.takeMethods();
  t.true("absent" in (await operations.lookup(from(), ino, name("absent"))));
  const scopes = [{ kind: "entry", name: name("one") }] as const;
  await server.leases.recall(ino, "shared", scopes);
  await lookup(operations, "two", ino);
  t.deepEqual(server.takeMethods(), []);
  await lookup(operations, "one", ino);
  t.deepEqual(server.takeMethods(), ["lookup"]);
  await operations.lookup(from(), ino, name("absent"));
  t.deepEqual(server.takeMethods()[0], "lookup");
  t.true(notifier.sent.includes(`entry ${String(ino)} one`));
  t.false(notifier.sent.includes("all entries"), "a file's name is dropped alone");
});

test("a lookup that a recall of its name overtook is used once and not remembered", async (t) => {
  const { operations, server } = await fakeMount();
  fill(server, 1);
  await operations.getattr(from(), rootIno, undefined);
  const release = server.hold("lookup");
  const waiting = operations.lookup(from(), rootIno, name("old0"));
  await turns();
  await server.leases.recall(rootIno, "shared", [{ kind: "entry", name: name("old0") }]);
  release();
  t.is((await waiting).entryValidMillis, 0);
  server.takeMethods();
  await lookup(operations, "old0");
  t.is(server.takeMethods()[0], "lookup");
});

test("what an unlink or a rename tells, overtaken by a recall, is not remembered", async (t) => {
  const cases = [
    { method: "unlink", changed: ["a"] },
    { method: "rename", changed: ["a", "b"] },
  ] as const;
  for (const { method, changed } of cases) {
    const { operations, server } = await fakeMount();
    for (const text of changed) await createFile(operations, text);
    const release = server.hold(method);
    const running =
      method === "unlink"
        ? operations.unlink(from(), rootIno, name("a"))
        : operations.rename(from(), rootIno, name("a"), rootIno, name("b"), 0);
    await turns();
    await server.leases.recall(rootIno, "shared", [{ kind: "entry", name: name("else") }]);
    release();
    await running;
    server.takeMethods();
    await Promise.all(changed.map(async (text) => operations.lookup(from(), rootIno, name(text))));
    t.is(server.count("lookup"), changed.length, method);
  }
});

test("what a create tells, overtaken by a recall, is valid for no time and not remembered", async (t) => {
  const { operations, server } = await fakeMount();
  const release = server.hold("create");
  const creating = createFile(operations, "new");
  await turns();
  await server.leases.recall(rootIno, "shared", [{ kind: "entry", name: name("new") }]);
  release();
  t.is((await creating).entry.entryValidMillis, 0);
  server.takeMethods();
  await lookup(operations, "new");
  t.is(server.takeMethods()[0], "lookup");
});

test("a directory whose attributes came with the answer to a change is not asked for", async (t) => {
  const { operations, server } = await fakeMount();
  await operations.getattr(from(), rootIno, undefined);
  server.script("unlink", () => ({ attributes: null, directories: [server.changed(rootIno, { nlink: 9 })] }));
  await createFile(operations, "file");
  await operations.unlink(from(), rootIno, name("file"));
  server.takeMethods();
  t.is((await operations.getattr(from(), rootIno, undefined)).attributes.nlink, 9);
  t.deepEqual(server.takeMethods(), []);
  server.script("unlink", () => ({ attributes: null }));
  await operations.unlink(from(), rootIno, name("file"));
  server.takeMethods();
  await operations.getattr(from(), rootIno, undefined);
  t.deepEqual(server.takeMethods(), ["getattr"]);
});

test("a lookup that a change overtook tells what the inode is since, also when it was forgotten meanwhile", async (t) => {
  for (const forget of [false, true]) {
    const { operations, server } = await fakeMount();
    fill(server, 1);
    const { ino } = (await lookup(operations, "old0")).attributes;
    server.entries.get(rootIno)?.set(name("link"), ino);
    const release = server.hold("lookup");
    const found = lookup(operations, "link");
    await turns();
    await operations.setattr(from(), ino, undefined, { mode: 0o600 });
    if (forget) operations.forget(ino, 1);
    release();
    t.is((await found).attributes.mode & 0o777, 0o600, String(forget));
  }
});
