/** The single-client hazards of DESIGN.md section 5, as far as they can be tested below the kernel. */
import test from "ava";
import { FsError } from "../../src/base/errno.ts";
import { rootIno } from "../../src/base/ids.ts";
import { createFile, fakeMount, from, lookup, name, turns, writing } from "./mount.ts";

const readWrite = 0o2;
const append = 0o2000;
const bytes = (text: string): Buffer => Buffer.from(text);

test("a handle opened with O_APPEND bypasses the page cache, others keep it", async (t) => {
  const { operations } = await fakeMount();
  const { entry } = await createFile(operations, "log");
  const appending = await operations.open(from(), entry.attributes.ino, readWrite | append, false);
  const plain = await operations.open(from(), entry.attributes.ino, readWrite, false);
  t.true(appending.directIo);
  t.false(plain.directIo);
  t.true(plain.keepCache);
});

test("a WRITE with O_APPEND goes to the end, whatever its offset", async (t) => {
  const { operations, contents } = await fakeMount();
  const { entry, opened } = await createFile(operations, "log", { flags: readWrite | append });
  const ino = entry.attributes.ino;
  await operations.write(from(), ino, opened.handle, 0, bytes("one"), { ...writing, flags: readWrite | append });
  await operations.write(from(), ino, opened.handle, 0, bytes("two"), { ...writing, flags: readWrite | append });
  t.is(contents.files.get(ino)?.bytes.toString(), "onetwo");
});

test("O_APPEND in the flags of a writeback means nothing", async (t) => {
  const { operations, contents } = await fakeMount();
  const { entry, opened } = await createFile(operations, "mapped");
  const ino = entry.attributes.ino;
  await operations.write(from(), ino, opened.handle, 0, bytes("12345"), writing);
  const options = { flags: readWrite | append, fromPageCache: true, killPrivileges: false };
  await operations.write(from(), ino, opened.handle, 1, bytes("x"), options);
  t.is(contents.files.get(ino)?.bytes.toString(), "1x345");
});

test("pages that a reader may have from before an append are dropped", async (t) => {
  const { operations, notifier } = await fakeMount();
  const { entry, opened } = await createFile(operations, "log", { flags: readWrite | append });
  const ino = entry.attributes.ino;
  await operations.open(from(), ino, 0, false);
  await operations.write(from(), ino, opened.handle, 0, bytes("one"), { ...writing, flags: readWrite | append });
  t.deepEqual(notifier.sent, [`data ${String(ino)} 0 3`]);
});

test("a write is read back while it is unanswered, even when everything was invalidated", async (t) => {
  const { operations, contents } = await fakeMount();
  const { entry, opened } = await createFile(operations, "file");
  const ino = entry.attributes.ino;
  await operations.read(from(), ino, opened.handle, 0, 4096, false);
  const content = contents.files.get(ino);
  let answer: () => void = () => undefined;
  if (content !== undefined) content.gate = new Promise((resolve) => (answer = resolve));
  const written = operations.write(from(), ino, opened.handle, 0, bytes("new"), writing);
  t.true(written instanceof Promise);
  const read = await operations.read(from(), ino, opened.handle, 0, 4096, false);
  t.is(Buffer.concat(read.pieces).toString(), "new");
  answer();
  t.is(await written, 3);
});

test("the range of a failed write is dropped from the kernel's pages", async (t) => {
  const { operations, contents, notifier } = await fakeMount();
  const { entry, opened } = await createFile(operations, "file");
  const ino = entry.attributes.ino;
  await operations.write(from(), ino, opened.handle, 0, bytes("old"), writing);
  const content = contents.files.get(ino);
  if (content !== undefined) content.writeError = new FsError("ENOSPC", "full");
  const failing = Promise.resolve(operations.write(from(), ino, opened.handle, 8192, bytes("lost"), writing));
  await t.throwsAsync(failing, { message: /ENOSPC/ });
  await turns();
  t.deepEqual(notifier.sent, [`data ${String(ino)} 8192 4`]);
});

test("a write that takes setuid away tells the kernel before it is answered", async (t) => {
  const { operations, notifier, server, contents } = await fakeMount();
  const { entry, opened } = await createFile(operations, "tool", { mode: 0o6755 });
  const ino = entry.attributes.ino;
  t.is(entry.attributes.mode & 0o7777, 0o6755);
  const caller = from({ uid: 1000, gid: 1000 });
  const written = operations.write(caller, ino, opened.handle, 0, bytes("x"), { ...writing, killPrivileges: true });
  t.deepEqual(notifier.sent, [`attributes ${String(ino)}`]);
  t.is(await written, 1);
  const shown = await operations.getattr(from(), ino, undefined);
  t.is(shown.attributes.mode & 0o7777, 0o755);
  t.true(contents.files.get(ino)?.clearPrivileges);
  await operations.fsync(from(), ino, opened.handle, false);
  t.is(server.get(ino).mode & 0o7777, 0o755);
});

test("attributes that arrive before the flush do not bring setuid back", async (t) => {
  const { operations } = await fakeMount();
  const { entry, opened } = await createFile(operations, "tool", { mode: 0o4755 });
  const ino = entry.attributes.ino;
  await operations.write(from({ uid: 7 }), ino, opened.handle, 0, bytes("x"), writing);
  const after = await operations.setattr(from(), ino, undefined, { atime: "now" });
  t.is(after.attributes.mode & 0o7777, 0o755);
});

test("a chmod after such a write keeps what it sets", async (t) => {
  const { operations, server } = await fakeMount();
  const { entry, opened } = await createFile(operations, "tool", { mode: 0o4755 });
  const ino = entry.attributes.ino;
  await operations.write(from({ uid: 7 }), ino, opened.handle, 0, bytes("x"), writing);
  await operations.setattr(from(), ino, undefined, { mode: 0o4711 });
  await operations.fsync(from(), ino, opened.handle, false);
  t.is(server.get(ino).mode & 0o7777, 0o4711);
  const shown = await operations.getattr(from(), ino, undefined);
  t.is(shown.attributes.mode & 0o7777, 0o4711);
});

test("an ACL after such a write finds the mode without setgid, also if it takes execution from the group", async (t) => {
  const { operations, server } = await fakeMount();
  const { entry, opened } = await createFile(operations, "tool", { mode: 0o2755 });
  const ino = entry.attributes.ino;
  await operations.write(from({ uid: 7 }), ino, opened.handle, 0, bytes("x"), writing);
  let found = 0;
  server.script("setxattr", () => {
    found = server.get(ino).mode & 0o7777;
    return { attributes: server.changed(ino, { mode: 0o100664 }) };
  });
  await operations.setxattr(from(), ino, name("system.posix_acl_access"), bytes("acl"), 0, false);
  t.is(found, 0o755);
});

test("a setgid bit without group execution stays for writers in the group: it means locking", async (t) => {
  const { operations, notifier, server } = await fakeMount();
  const { entry, opened } = await createFile(operations, "locked", { mode: 0o2644 });
  const { ino, gid } = entry.attributes;
  server.takeMethods();
  await operations.write(from({ uid: 7, gid }), ino, opened.handle, 0, bytes("x"), writing);
  t.is((await operations.getattr(from(), ino, undefined)).attributes.mode & 0o7777, 0o2644);
  t.deepEqual(notifier.sent, []);
  t.deepEqual(server.takeMethods(), []);
});

test("a setgid bit without group execution goes when others write: the name server is asked, the kernel told", async (t) => {
  const { operations, notifier, server } = await fakeMount();
  const { entry, opened } = await createFile(operations, "locked", { mode: 0o2644 });
  const { ino, gid } = entry.attributes;
  server.script("setattr", (request) => {
    t.like(request, { caller: { uid: 7, gid: gid + 1 }, killPrivileges: true });
    return { attributes: server.changed(ino, { mode: 0o100644 }) };
  });
  await operations.write(from({ uid: 7, gid: gid + 1 }), ino, opened.handle, 0, bytes("x"), writing);
  t.is((await operations.getattr(from(), ino, undefined)).attributes.mode & 0o7777, 0o644);
  t.deepEqual(notifier.sent, [`attributes ${String(ino)}`]);
});

test("a chown that takes setuid away tells the kernel before it is answered", async (t) => {
  const { operations, notifier, server } = await fakeMount();
  const { entry } = await createFile(operations, "tool", { mode: 0o4755 });
  const ino = entry.attributes.ino;
  server.script("setattr", () => ({ attributes: server.changed(ino, { uid: 5, mode: 0o100755 }) }));
  const reply = await operations.setattr(from(), ino, undefined, { uid: 5 });
  t.deepEqual(notifier.sent, [`attributes ${String(ino)}`]);
  t.is(reply.attributes.uid, 5);
});

test("a chown of neither owner nor group takes setuid away, if it is the owner's", async (t) => {
  const { operations, server } = await fakeMount();
  const { entry } = await createFile(operations, "tool", { mode: 0o4755 });
  const { ino, uid } = entry.attributes;
  server.takeMethods();
  await operations.setattr(from({ uid: uid + 1 }), ino, undefined, {});
  t.false("killPrivileges" in (server.calls.at(-1)?.request as object));
  await operations.setattr(from({ uid }), ino, undefined, {});
  t.like(server.calls.at(-1), { method: "setattr", request: { killPrivileges: true } });
});

test("CREATE of a name that appeared meanwhile answers ESTALE, with O_EXCL EEXIST", async (t) => {
  const { operations, server } = await fakeMount();
  await operations.lookup(from(), rootIno, name("file"));
  server.entries.get(rootIno)?.set(name("file"), server.put({ ino: 77 as never }).ino);
  await t.throwsAsync(createFile(operations, "file"), { message: /^ESTALE/ });
  await t.throwsAsync(createFile(operations, "file", { flags: readWrite | 0o200 }), { message: /^EEXIST/ });
  t.is((await lookup(operations, "file")).attributes.ino, 77 as never);
});

test("stop flushes before the session ends: umount sends no DESTROY", async (t) => {
  const { operations, contents, server } = await fakeMount();
  const { entry, opened } = await createFile(operations, "file");
  await operations.write(from(), entry.attributes.ino, opened.handle, 0, bytes("kept"), writing);
  await operations.stop();
  t.is(server.get(entry.attributes.ino).size, 4);
  t.true(server.closed);
  t.true(contents.log.indexOf("flushAll") < contents.log.indexOf("shutdown"));
});

test("stop ends the session also when data could not be flushed", async (t) => {
  const { operations, contents, server } = await fakeMount();
  const { entry, opened } = await createFile(operations, "file");
  await operations.write(from(), entry.attributes.ino, opened.handle, 0, bytes("kept"), writing);
  const content = contents.files.get(entry.attributes.ino);
  if (content !== undefined) content.error = new FsError("EIO", "no node");
  await operations.stop();
  t.true(server.closed);
});
