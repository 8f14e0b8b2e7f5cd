/** Opening, closing, flushing: who hears of an error, and what waits for what. */
import test from "ava";
import { FsError } from "../../src/base/errno.ts";
import { rootIno } from "../../src/base/ids.ts";
import { createFile, fakeMount, from, lookup, name, turns, writing } from "./mount.ts";

test("what was written shows in stat before it is sent", async (t) => {
  const { operations, server } = await fakeMount();
  const { entry, opened } = await createFile(operations, "file");
  const ino = entry.attributes.ino;
  server.now += 1000n;
  await operations.write(from(), ino, opened.handle, 0, Buffer.alloc(10_000), writing);
  const { attributes } = await operations.getattr(from(), ino, undefined);
  t.is(attributes.size, 10_000);
  t.is(attributes.mtime, server.now);
  t.is(attributes.ctime, server.now);
  t.true(attributes.blocks > 0);
  t.is(server.get(ino).size, 0);
});

test("a time of a write is never below the inode's ctime", async (t) => {
  const { operations, server } = await fakeMount();
  const { entry, opened } = await createFile(operations, "file");
  server.now = 5n;
  await operations.write(from(), entry.attributes.ino, opened.handle, 0, Buffer.alloc(1), writing);
  const { attributes } = await operations.getattr(from(), entry.attributes.ino, undefined);
  t.is(attributes.mtime, entry.attributes.ctime);
});

test("close waits for nothing, and the last close sends what was written", async (t) => {
  const { operations, contents } = await fakeMount();
  const { entry, opened } = await createFile(operations, "file");
  const ino = entry.attributes.ino;
  await operations.write(from(), ino, opened.handle, 0, Buffer.from("x"), writing);
  t.is(operations.flush(from(), ino, opened.handle, 1n), undefined);
  await operations.release(from(), ino, opened.handle, undefined);
  t.deepEqual(contents.files.get(ino)?.log, ["write", "flushSoon"]);
});

test("data that was lost is told once, by close or fsync", async (t) => {
  const { operations, contents } = await fakeMount();
  const { entry, opened } = await createFile(operations, "file");
  const ino = entry.attributes.ino;
  await operations.write(from(), ino, opened.handle, 0, Buffer.from("x"), writing);
  const content = contents.files.get(ino);
  if (content !== undefined) content.error = new FsError("ENOSPC", "full");
  content?.owner.lost(new FsError("ENOSPC", "full"));
  await t.throwsAsync(async () => operations.flush(from(), ino, opened.handle, 1n), { message: /ENOSPC/ });
  t.is(operations.flush(from(), ino, opened.handle, 1n), undefined);
});

test("a file cut to nothing and closed has its new content at the servers, as with ext4", async (t) => {
  const { operations, server } = await fakeMount();
  const { entry, opened } = await createFile(operations, "file");
  const ino = entry.attributes.ino;
  await operations.write(from(), ino, opened.handle, 0, Buffer.from("old content"), writing);
  await operations.fsync(from(), ino, opened.handle, false);
  const second = await operations.open(from(), ino, 0o1002, false);
  t.is((await operations.getattr(from(), ino, undefined)).attributes.size, 0);
  await operations.write(from(), ino, second.handle, 0, Buffer.from("new"), writing);
  await operations.flush(from(), ino, second.handle, 1n);
  t.is(server.get(ino).size, 3);
});

test("O_TRUNC drops unsent data, and asks for privileges to be dropped when the kernel does", async (t) => {
  const { operations, contents, server } = await fakeMount();
  const { entry, opened } = await createFile(operations, "file");
  const ino = entry.attributes.ino;
  await operations.write(from(), ino, opened.handle, 0, Buffer.from("unsent"), writing);
  await operations.open(from({ uid: 9 }), ino, 0o1002, true);
  t.false(contents.files.get(ino)?.log.includes("flush"));
  const request = server.calls.at(-1)?.request as Record<string, unknown>;
  t.like(request, { size: 0, killPrivileges: true, fromOpenFile: true });
});

test("O_TRUNC cuts a file that is opened to read, and asks for permission to write", async (t) => {
  const { operations, server } = await fakeMount({ grants: false });
  const { entry, opened } = await createFile(operations, "file");
  const ino = entry.attributes.ino;
  await operations.write(from(), ino, opened.handle, 0, Buffer.from("content"), writing);
  await operations.fsync(from(), ino, opened.handle, false);
  await operations.open(from(), ino, 0o1000, false);
  t.is(server.get(ino).size, 0);
  t.like(server.calls.findLast(({ method }) => method === "open")?.request, { read: true, write: true });
});

test("opening fails with ESTALE when the server no longer has the inode, and counts no use", async (t) => {
  const { operations, server, vfs } = await fakeMount({ grants: false });
  const { entry, opened } = await createFile(operations, "file");
  await operations.release(from(), entry.attributes.ino, opened.handle, undefined);
  server.fail("open", "ENOENT");
  await t.throwsAsync(async () => operations.open(from(), entry.attributes.ino, 0, false), { message: /^ESTALE/ });
  t.is(vfs.statistics.handles, 0);
  operations.forget(entry.attributes.ino, 1);
  t.is(vfs.statistics.inodes, 1);
});

test("a file that was forgotten dirty is flushed before it is let go", async (t) => {
  const { operations, contents, server, vfs } = await fakeMount();
  const { entry, opened } = await createFile(operations, "file");
  const ino = entry.attributes.ino;
  await operations.write(from(), ino, opened.handle, 0, Buffer.from("abc"), writing);
  await operations.release(from(), ino, opened.handle, undefined);
  operations.forget(ino, 1);
  await turns();
  t.is(server.get(ino).size, 3);
  t.is(contents.files.size, 0);
  t.is(vfs.statistics.inodes, 1);
});

test("contents of closed files are bounded", async (t) => {
  const { operations, contents } = await fakeMount({ idleContentsMax: 3 });
  for (let i = 0; i < 10; i++) {
    const { entry, opened } = await createFile(operations, `f${String(i)}`);
    await operations.write(from(), entry.attributes.ino, opened.handle, 0, Buffer.from("x"), writing);
    await operations.release(from(), entry.attributes.ino, opened.handle, undefined);
    await turns();
  }
  t.is(contents.files.size, 3);
});

test("a closed handle is EBADF", async (t) => {
  const { operations } = await fakeMount();
  const { entry, opened } = await createFile(operations, "file");
  const ino = entry.attributes.ino;
  await operations.release(from(), ino, opened.handle, undefined);
  t.throws(() => operations.read(from(), ino, opened.handle, 0, 1, false), { message: /^EBADF/ });
  t.throws(() => operations.fsync(from(), ino, opened.handle, false), { message: /^EBADF/ });
});

test("writes and sizes beyond the largest file are EFBIG", async (t) => {
  const { operations } = await fakeMount();
  const { entry, opened } = await createFile(operations, "file");
  const ino = entry.attributes.ino;
  const far = Number.MAX_SAFE_INTEGER - 1;
  t.throws(() => operations.write(from(), ino, opened.handle, far, Buffer.alloc(10), writing), { message: /^EFBIG/ });
  await t.throwsAsync(async () => operations.fallocate(from(), ino, opened.handle, far, 10, 0), { message: /^EFBIG/ });
});

test("utimens on a file with unsent data keeps the time that was set", async (t) => {
  const { operations, contents } = await fakeMount();
  const { entry, opened } = await createFile(operations, "file");
  const ino = entry.attributes.ino;
  await operations.write(from(), ino, opened.handle, 0, Buffer.from("x"), writing);
  const reply = await operations.setattr(from(), ino, undefined, { mtime: 42n, atime: 41n });
  t.is(reply.attributes.mtime, 42n);
  t.is(reply.attributes.size, 1);
  t.true(contents.files.get(ino)?.isDirty);
  await operations.fsync(from(), ino, opened.handle, false);
  t.is((await operations.getattr(from(), ino, undefined)).attributes.mtime, 42n);
});

test("times beyond 64 bits of nanoseconds become the nearest that can be kept", async (t) => {
  const { operations } = await fakeMount();
  const { entry } = await createFile(operations, "file");
  const times = { atime: -(2n ** 70n), mtime: 2n ** 70n };
  const { attributes } = await operations.setattr(from(), entry.attributes.ino, undefined, times);
  t.is(attributes.atime, -(2n ** 63n));
  t.is(attributes.mtime, 2n ** 63n - 1n);
});

test("truncate by name works without an open handle, and needs no handle afterwards", async (t) => {
  const { operations, server, vfs } = await fakeMount();
  const file = server.put({ ino: 60 as never, size: 100 });
  server.entries.get(rootIno)?.set(name("file"), file.ino);
  await lookup(operations, "file");
  const reply = await operations.setattr(from(), file.ino, undefined, { size: 10 });
  t.is(reply.attributes.size, 10);
  t.like(server.calls.at(-1)?.request, { size: 10, fromOpenFile: false });
  t.is(vfs.statistics.handles, 0);
});

test("fallocate: offered modes reach the server after a flush, others are EOPNOTSUPP", async (t) => {
  const { operations, contents } = await fakeMount();
  const { entry, opened } = await createFile(operations, "file");
  const ino = entry.attributes.ino;
  await operations.write(from(), ino, opened.handle, 0, Buffer.from("x"), writing);
  await operations.fallocate(from(), ino, opened.handle, 0, 100, 0);
  t.deepEqual(contents.files.get(ino)?.log, ["write", "flush", "change"]);
  t.is((await operations.getattr(from(), ino, undefined)).attributes.size, 100);
  await t.throwsAsync(async () => operations.fallocate(from(), ino, opened.handle, 0, 1, 8), { message: /EOPNOTSUPP/ });
  await t.throwsAsync(async () => operations.fallocate(from(), ino, opened.handle, 0, 0, 0), { message: /EINVAL/ });
});

test("copy_file_range flushes its source, ends at its end and refuses overlap", async (t) => {
  const { operations, contents, server, source, target } = await twoFiles(Buffer.alloc(20_000, "x"));
  const copied = await operations.copyFileRange(from(), { ...source, offset: 4 }, { ...target, offset: 0 }, 100_000);
  t.is(copied, 19_996);
  t.false(contents.files.get(source.ino)?.isDirty);
  t.is(server.get(target.ino).size, 19_996);
  t.is(await operations.copyFileRange(from(), { ...source, offset: 20_000 }, { ...target, offset: 0 }, 5), 0);
  const onto = operations.copyFileRange(from(), { ...source, offset: 0 }, { ...source, offset: 3 }, 5);
  await t.throwsAsync(Promise.resolve(onto), { message: /EINVAL/ });
  t.is(await operations.copyFileRange(from(), { ...source, offset: 0 }, { ...source, offset: 5 }, 5), 5);
});

test("copy_file_range of little is a write, and asks nobody", async (t) => {
  const { operations, server, contents, source, target } = await twoFiles(Buffer.from("0123456789"));
  server.takeMethods();
  t.is(await operations.copyFileRange(from(), { ...source, offset: 4 }, { ...target, offset: 2 }, 100), 6);
  t.deepEqual(server.takeMethods(), []);
  t.is(contents.files.get(target.ino)?.bytes.toString(), "\0\u0000456789");
  t.true(contents.files.get(source.ino)?.isDirty);
  const readOnly = await operations.open(from(), target.ino, 0, false);
  const refused = operations.copyFileRange(
    from(),
    { ...source, offset: 0 },
    { ino: target.ino, handle: readOnly.handle, offset: 0 },
    5,
  );
  await t.throwsAsync(Promise.resolve(refused), { message: /EBADF/ });
});

/** The first has `content`. */
async function twoFiles(content: Buffer) {
  const mount = await fakeMount();
  const one = await createFile(mount.operations, "one");
  const two = await createFile(mount.operations, "two");
  const source = { ino: one.entry.attributes.ino, handle: one.opened.handle };
  const target = { ino: two.entry.attributes.ino, handle: two.opened.handle };
  await mount.operations.write(from(), source.ino, source.handle, 0, content, writing);
  return { ...mount, source, target };
}
