/** A session that was lost, and access times: what happens without anybody asking. */
import test from "ava";
import { FsError } from "../../src/base/errno.ts";
import { rootIno } from "../../src/base/ids.ts";
import { limits } from "../../src/base/limits.ts";
import { createFile, fakeMount, from, lookup, ManualClock, name, turns, writing } from "./mount.ts";

test("after a lost session, handles with unsent data, locks or removed files answer EIO until closed", async (t) => {
  const { operations, vfs, notifier } = await fakeMount();
  const dirty = await createFile(operations, "dirty");
  const locked = await createFile(operations, "locked");
  const gone = await createFile(operations, "gone");
  const fine = await createFile(operations, "fine");
  const ino = dirty.entry.attributes.ino;
  await operations.write(from(), ino, dirty.opened.handle, 0, Buffer.from("x"), writing);
  const range = { kind: "posix", type: "write", start: 0n, end: 9n, owner: 5n, pid: 1 } as const;
  await operations.setlk(from(), locked.entry.attributes.ino, locked.opened.handle, range, false);
  await operations.unlink(from(), rootIno, name("gone"));
  await vfs.events.onSession({ resumed: false });
  await turns();
  for (const { entry, opened } of [dirty, locked, gone]) {
    t.throws(() => operations.read(from(), entry.attributes.ino, opened.handle, 0, 1, false), { message: /^EIO/ });
    t.throws(() => operations.flush(from(), entry.attributes.ino, opened.handle, 5n), { message: /^EIO/ });
    await operations.release(from(), entry.attributes.ino, opened.handle, undefined);
  }
  t.notThrows(() => operations.read(from(), fine.entry.attributes.ino, fine.opened.handle, 0, 1, false));
  t.is(notifier.sent[0], "all entries");
  const again = await operations.open(from(), ino, 0, false);
  t.notThrows(() => operations.read(from(), ino, again.handle, 0, 1, false));
});

test("after a lost session nothing from before is believed", async (t) => {
  const { operations, vfs, server } = await fakeMount();
  await createFile(operations, "file");
  await vfs.events.onSession({ resumed: false });
  await turns();
  server.takeMethods();
  await lookup(operations, "file");
  t.deepEqual(server.takeMethods(), ["lookup"]);
});

test("a resumed session changes nothing", async (t) => {
  const { operations, vfs, server } = await fakeMount();
  await createFile(operations, "file");
  server.takeMethods();
  await vfs.events.onSession({ resumed: true });
  await lookup(operations, "file");
  t.deepEqual(server.takeMethods(), []);
});

test("a lock that went to somebody else fails the handle that had it", async (t) => {
  const { operations, vfs } = await fakeMount();
  const { entry, opened } = await createFile(operations, "file");
  const ino = entry.attributes.ino;
  const other = await operations.open(from(), ino, 2, false);
  const range = { kind: "posix", type: "write", start: 0n, end: 9n, owner: 5n, pid: 1 } as const;
  await operations.setlk(from(), ino, opened.handle, range, false);
  vfs.events.onLocksLost?.([{ ino, lock: range }]);
  t.throws(() => operations.read(from(), ino, opened.handle, 0, 1, false), { message: /^EIO/ });
  t.notThrows(() => operations.read(from(), ino, other.handle, 0, 1, false));
});

test("when the session may be over nothing is believed and pages are dropped, until there is an answer", async (t) => {
  const clock = new ManualClock();
  const trusted = 30_000;
  const { operations, vfs, server, notifier } = await fakeMount({ clock, trusted });
  const { entry, opened } = await createFile(operations, "file");
  const ino = entry.attributes.ino;
  t.is(entry.attributesValidMillis, limits.kernelValidityMillis);
  clock.advance(trusted - limits.trustMarginMillis - 1_000);
  // What the kernel is told now has run out before the session may be over.
  t.is((await lookup(operations, "file")).attributesValidMillis, 1_000);
  server.takeMethods();
  notifier.sent.length = 0;
  clock.advance(1_000);
  await turns();
  t.deepEqual(notifier.sent, [`data ${String(ino)} 0 0`]);
  const written = operations.write(from(), ino, opened.handle, 0, Buffer.from("x"), writing);
  t.true(written instanceof Promise, "nothing is buffered");
  await written;
  t.is((await operations.getattr(from(), ino, undefined)).attributesValidMillis, 0);
  t.deepEqual(server.takeMethods(), ["getattr"]);
  vfs.events.onTrusted(clock.monotonicMillis() + trusted);
  await operations.getattr(from(), ino, undefined);
  server.takeMethods();
  t.is((await operations.getattr(from(), ino, undefined)).attributesValidMillis, limits.kernelValidityMillis);
  t.deepEqual(server.takeMethods(), []);
  t.true((await operations.open(from(), ino, 0, false)).keepCache !== true, "the pages went");
});

test("after a restart of the server, what was reclaimed is still believed", async (t) => {
  const { operations, vfs, server, notifier } = await fakeMount();
  const { entry } = await createFile(operations, "file");
  const held = vfs.events.heldLeases();
  t.deepEqual(
    held.map(({ ino, level }) => [ino, level]),
    [
      [rootIno, "shared"],
      [entry.attributes.ino, "exclusive"],
    ],
  );
  vfs.events.onLeasesReclaimed(
    held,
    held.map((one, number) => ({ ...one, number })),
  );
  await vfs.events.onSession({ resumed: true });
  await turns();
  server.takeMethods();
  await lookup(operations, "file");
  t.deepEqual(server.takeMethods(), []);
  t.deepEqual(notifier.sent, []);
});

test("a lease lost with a restart of the server takes unsent data with it: close and fsync say EIO", async (t) => {
  const { operations, vfs, server, notifier, contents } = await fakeMount();
  const { entry, opened } = await createFile(operations, "file");
  const fine = await createFile(operations, "fine");
  const ino = entry.attributes.ino;
  for (const { entry: made, opened: file } of [{ entry, opened }, fine]) {
    await operations.write(from(), made.attributes.ino, file.handle, 0, Buffer.from("unsent"), writing);
  }
  const content = contents.files.get(ino);
  if (content !== undefined) content.error = new FsError("EIO", "lost");
  const held = vfs.events.heldLeases();
  const kept = held.filter((one) => one.ino !== ino);
  vfs.events.onLeasesReclaimed(
    held,
    kept.map((one, number) => ({ ...one, number })),
  );
  await vfs.events.onSession({ resumed: true });
  await turns();
  t.true(notifier.sent.includes(`data ${String(ino)} 0 0`));
  t.true(contents.files.get(fine.entry.attributes.ino)?.isDirty);
  await t.throwsAsync(async () => operations.flush(from(), ino, opened.handle, 9n), { message: /^EIO/ });
  await operations.flush(from(), ino, opened.handle, 9n);
  server.takeMethods();
  await lookup(operations, "file");
  t.is(server.takeMethods()[0], "lookup");
});

test("a read updates atime by the relatime rule, at once here and later at the server", async (t) => {
  const clock = new ManualClock();
  const { operations, server } = await fakeMount({ clock });
  const { entry, opened } = await createFile(operations, "file");
  const ino = entry.attributes.ino;
  server.now += 1000n;
  const { ctime } = entry.attributes;
  await operations.read(from(), ino, opened.handle, 0, 10, false);
  const read = server.now;
  const { attributes } = await operations.getattr(from(), ino, undefined);
  t.is(attributes.atime, read);
  server.takeMethods();
  server.now += 1000n;
  await operations.read(from(), ino, opened.handle, 0, 10, false);
  t.is((await operations.getattr(from(), ino, undefined)).attributes.atime, read);
  clock.advance(limits.clientAccessTimeDelayMillis);
  await turns();
  t.deepEqual(server.takeMethods(), ["setattr"]);
  t.is(server.get(ino).atime, read);
  t.is(server.get(ino).ctime, ctime);
});

test("atime older than a day is updated, and never with O_NOATIME or noatime", async (t) => {
  const { operations, server } = await fakeMount();
  const file = server.put({ ino: 70 as never, atime: 10n, mtime: 5n, ctime: 5n });
  server.entries.get(rootIno)?.set(name("file"), file.ino);
  await lookup(operations, "file");
  const { handle } = await operations.open(from(), file.ino, 0, false);
  const quiet = await operations.open(from(), file.ino, 0o1000000, false);
  await operations.read(from(), file.ino, handle, 0, 1, false);
  t.is((await operations.getattr(from(), file.ino, undefined)).attributes.atime, 10n);
  server.now = 90_000_000_000_000n;
  await operations.open(from(), file.ino, 0, false);
  await operations.read(from(), file.ino, quiet.handle, 0, 1, false);
  t.is((await operations.getattr(from(), file.ino, undefined)).attributes.atime, 10n);
  await operations.read(from(), file.ino, handle, 0, 1, false);
  t.is((await operations.getattr(from(), file.ino, undefined)).attributes.atime, server.now);

  const other = await fakeMount({ accessTimes: false });
  const { entry, opened } = await createFile(other.operations, "file");
  other.server.now += 1000n;
  await other.operations.read(from(), entry.attributes.ino, opened.handle, 0, 1, false);
  const { attributes } = await other.operations.getattr(from(), entry.attributes.ino, undefined);
  t.is(attributes.atime, entry.attributes.atime);
});

test("statfs shows what the cluster has, in blocks of 4 KiB", async (t) => {
  const { operations } = await fakeMount();
  t.like(await operations.statfs(from(), rootIno), { blocks: 2000, blocksFree: 1000, blockBytes: 4096, filesFree: 90 });
});

test("after a restart of the server what is still being flushed for a recall is held alone, as it was", async (t) => {
  const { operations, vfs, server, contents } = await fakeMount();
  const { entry, opened } = await createFile(operations, "file");
  const { ino } = entry.attributes;
  await operations.write(from(), ino, opened.handle, 0, Buffer.from("x"), writing);
  let flush = (): void => undefined;
  contents.recallGate = new Promise((resolve) => {
    flush = resolve;
  });
  const given = server.leases.recall(ino, "none");
  await turns();
  const levelOf = (): string | undefined => vfs.events.heldLeases().find((one) => one.ino === ino)?.level;
  t.is(levelOf(), "exclusive");
  flush();
  await given;
  t.is(levelOf(), undefined);
});
