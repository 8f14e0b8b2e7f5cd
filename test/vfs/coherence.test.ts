/** The rule for caching: what costs a message, what the kernel may believe, and what happens when leases are recalled. */
import test from "ava";
import { rootIno } from "../../src/base/ids.ts";
import { limits } from "../../src/base/limits.ts";
import { createFile, fakeMount, from, lookup, ManualClock, name, turns, writing } from "./mount.ts";

test("under leases, names, absent names, attributes and opens cost one message at most", async (t) => {
  const { operations, server } = await fakeMount();
  await createFile(operations, "file");
  server.takeMethods();
  const entry = await lookup(operations, "file");
  await operations.getattr(from(), entry.attributes.ino, undefined);
  const { handle } = await operations.open(from(), entry.attributes.ino, 0, false);
  await operations.flush(from(), entry.attributes.ino, handle, 1n);
  await operations.release(from(), entry.attributes.ino, handle, undefined);
  t.deepEqual(server.takeMethods(), []);
  for (let i = 0; i < 3; i++) {
    const absent = await operations.lookup(from(), rootIno, name("nothing"));
    t.true("absent" in absent);
    t.is(absent.entryValidMillis, limits.kernelValidityMillis);
  }
  t.deepEqual(server.takeMethods(), ["lookup"]);
});

test("answers from memory are no promises", async (t) => {
  const { operations } = await fakeMount();
  const { entry, opened } = await createFile(operations, "file");
  const ino = entry.attributes.ino;
  t.false(operations.lookup(from(), rootIno, name("file")) instanceof Promise);
  t.false(operations.getattr(from(), ino, undefined) instanceof Promise);
  t.false(operations.open(from(), ino, 0, false) instanceof Promise);
  t.false(operations.write(from(), ino, opened.handle, 0, Buffer.from("x"), writing) instanceof Promise);
  t.false(operations.read(from(), ino, opened.handle, 0, 10, false) instanceof Promise);
  t.is(operations.flush(from(), ino, opened.handle, 1n), undefined);
  t.is(operations.release(from(), ino, opened.handle, undefined), undefined);
});

test("leases given back: the kernel forgets names, then inodes, and new answers are valid for no time", async (t) => {
  const { operations, vfs, notifier, server } = await fakeMount();
  const { entry } = await createFile(operations, "file");
  const folder = await operations.mkdir(from(), rootIno, name("folder"), { mode: 0o755, umask: 0 });
  t.is(entry.entryValidMillis, limits.kernelValidityMillis);
  t.is(vfs.statistics.leases, 3);
  server.leases.grants = false;
  const recalled = server.leases.recallAll();
  // At once, before anything was awaited.
  t.is(vfs.statistics.leases, 0);
  t.is(vfs.statistics.dentries, 0);
  await recalled;
  const [file, directory] = [String(entry.attributes.ino), String(folder.attributes.ino)];
  const first = (line: string): number => notifier.sent.findIndex((sent) => sent.startsWith(line));
  t.true(first("all entries") >= 0);
  // Names first, then a barrier behind the answers that are being digested, then what is known of the inode.
  t.true(first("all entries") < first(`entry ${directory} `));
  t.true(first(`entry ${directory} `) < first(`attributes ${directory}`));
  t.true(first(`data ${file} 0 0`) >= 0);
  const again = await lookup(operations, "file");
  t.is(again.entryValidMillis, 0);
  t.is(again.attributesValidMillis, 0);
});

test("what the kernel reads through its pages has its attributes asked for with a lease, again if there was none", async (t) => {
  const { operations, server } = await fakeMount();
  const { entry, opened } = await createFile(operations, "file");
  const ino = entry.attributes.ino;
  const insisted = (): unknown[] =>
    server.calls.splice(0).map(({ request }) => (request as { insist?: boolean }).insist);
  server.leases.grants = false;
  await server.leases.recallAll();
  insisted();

  t.is((await operations.getattr(from(), ino, undefined)).attributesValidMillis, 0);
  t.deepEqual(insisted(), [true, true, true]);
  // Looked up by name: what the name told is not what the kernel gets.
  const release = server.hold("lookup");
  const found = lookup(operations, "file");
  await turns();
  const written = server.put({ ...server.get(ino), size: 77 });
  release();
  t.is((await found).attributes.size, written.size);
  t.deepEqual(insisted(), [undefined, true, true, true]);
  server.leases.grants = true;
  await server.leases.recallAll();
  t.true((await operations.getattr(from(), ino, undefined)).attributesValidMillis > 0);
  t.deepEqual(insisted(), [true]);

  // Nobody has it open any more: nothing is insisted on.
  await operations.release(from(), ino, opened.handle, undefined);
  server.leases.grants = false;
  await server.leases.recallAll();
  insisted();
  await operations.getattr(from(), ino, undefined);
  t.deepEqual(insisted(), [false]);
});

test("an answer that was asked for before a recall is valid for no time after it", async (t) => {
  const { operations, vfs, server } = await fakeMount();
  await createFile(operations, "file");
  const other = server.put({ ino: 50 as never });
  server.entries.get(rootIno)?.set(name("other"), other.ino);
  const release = server.hold("lookup");
  const waiting = operations.lookup(from(), rootIno, name("other"));
  await turns();
  await server.leases.recall(rootIno);
  await operations.getattr(from(), rootIno, undefined);
  release();
  const found = await waiting;
  t.is(found.entryValidMillis, 0);
  t.is(vfs.statistics.dentries, 0);
  // Nor is it believed here: the next one asks (and is the second one, which has the directory listed).
  server.takeMethods();
  await lookup(operations, "other");
  t.deepEqual(server.takeMethods(), ["lookup", "readdir"]);
});

test("an answer that a recall of its own inode overtook is used once", async (t) => {
  const { operations, server } = await fakeMount();
  const { entry, opened } = await createFile(operations, "file");
  const ino = entry.attributes.ino;
  await operations.release(from(), ino, opened.handle, undefined);
  await server.leases.recall(ino);
  const release = server.hold("getattr");
  const waiting = operations.getattr(from(), ino, undefined);
  await turns();
  await server.leases.recall(ino);
  release();
  t.is((await waiting).attributesValidMillis, 0);
  server.takeMethods();
  t.is((await operations.getattr(from(), ino, undefined)).attributesValidMillis, limits.kernelValidityMillis);
  t.deepEqual(server.takeMethods(), ["getattr"]);
});

test("without leases every getattr and open asks, and files bypass the page cache", async (t) => {
  const { operations, server } = await fakeMount({ grants: false });
  const { entry, opened } = await createFile(operations, "file");
  t.true(opened.directIo);
  server.takeMethods();
  await operations.getattr(from(), entry.attributes.ino, undefined);
  const second = await operations.open(from(), entry.attributes.ino, 0, false);
  t.true(second.directIo);
  t.falsy(second.keepCache);
  t.deepEqual(server.takeMethods(), ["getattr", "open"]);
  const directory = await operations.opendir(from(), rootIno, 0);
  t.falsy(directory.cacheDirectory);
});

test("pages that get into the kernel without a lease are dropped behind the answer", async (t) => {
  const { operations, notifier, server } = await fakeMount();
  const { entry, opened } = await createFile(operations, "file");
  const ino = entry.attributes.ino;
  await operations.write(from(), ino, opened.handle, 0, Buffer.from("content"), writing);
  server.leases.grants = false;
  await server.leases.recall(ino);
  notifier.sent.length = 0;
  const read = await operations.read(from(), ino, opened.handle, 0, 4096, true);
  t.deepEqual(notifier.sent, []);
  read.release?.();
  t.deepEqual(notifier.sent, [`data ${String(ino)} 0 4096`]);
});

test("what goes into the page cache insists on a lease and asks again without one, a program's own read does not", async (t) => {
  const { operations, contents, server } = await fakeMount({ grants: false });
  const { entry, opened } = await createFile(operations, "file");
  const { ino } = entry.attributes;
  t.true(opened.directIo);
  await operations.write(from(), ino, opened.handle, 0, Buffer.from("content"), writing);
  const content = contents.files.get(ino);
  if (content === undefined) return t.fail();
  let reads = 0;
  let given = 0;
  Object.assign(content, {
    read: () => {
      reads++;
      return Promise.resolve({
        pieces: [],
        release: () => {
          given++;
        },
      });
    },
  });
  await operations.read(from(), ino, opened.handle, 0, 10, false);
  t.deepEqual([reads, given, content.owner.insists], [1, 0, false]);
  reads = 0;
  const last = await operations.read(from(), ino, opened.handle, 0, 10, true);
  t.deepEqual([reads, given, content.owner.insists], [3, 2, true]);
  last.release?.();
  t.is(given, 3);
  // Under a lease once is enough.
  server.leases.grants = true;
  await operations.getattr(from(), ino, undefined);
  reads = 0;
  await operations.read(from(), ino, opened.handle, 0, 10, true);
  t.is(reads, 1);
  // Whoever gives up waiting is not kept.
  server.leases.grants = false;
  await server.leases.recall(ino);
  const interrupted = new AbortController();
  const waiting = Promise.resolve(
    operations.read(from({ signal: interrupted.signal }), ino, opened.handle, 0, 10, true),
  );
  interrupted.abort(new Error("interrupted"));
  await t.throwsAsync(waiting, { message: /interrupted/ });
});

test("pages from the time before a recall are not kept by the next open", async (t) => {
  const { operations, server } = await fakeMount();
  const { entry } = await createFile(operations, "file");
  const ino = entry.attributes.ino;
  t.true((await operations.open(from(), ino, 0, false)).keepCache);
  await server.leases.recall(ino);
  t.false((await operations.open(from(), ino, 0, false)).keepCache);
  t.true((await operations.open(from(), ino, 0, false)).keepCache);
});

test("a recall of names or of one to shared keeps pages and attributes that it does not name", async (t) => {
  const { operations, server, notifier } = await fakeMount();
  const { entry } = await createFile(operations, "file");
  const ino = entry.attributes.ino;
  await operations.open(from(), ino, 0, false);
  server.takeMethods();
  await server.leases.recall(ino, "shared");
  await server.leases.recall(rootIno, "shared", [{ kind: "entry", name: name("other") }]);
  t.deepEqual(
    notifier.sent.filter((line) => line.includes(` ${String(ino)}`)),
    [],
  );
  await operations.getattr(from(), ino, undefined);
  t.true((await operations.open(from(), ino, 0, false)).keepCache);
  await lookup(operations, "file");
  t.deepEqual(server.takeMethods(), []);
});

test("without INC_EPOCH names are valid for a second, and a recall of all waits for that", async (t) => {
  const clock = new ManualClock();
  const { operations, notifier, server } = await fakeMount({ clock });
  notifier.canInvalidateAllEntries = false;
  await operations.start(notifier);
  const { entry } = await createFile(operations, "file");
  t.is(entry.entryValidMillis, limits.kernelNameValidityMillis);
  t.is(entry.attributesValidMillis, limits.kernelValidityMillis);
  let done = false;
  const recalled = server.leases.recall(rootIno).then(() => {
    done = true;
  });
  await turns();
  clock.advance(limits.kernelNameValidityMillis - 1);
  await turns();
  t.false(done);
  clock.advance(1);
  await recalled;
  t.false(notifier.sent.includes("all entries"));
});

test("attributes asked for before a change of this client do not replace the newer ones", async (t) => {
  const { operations, server } = await fakeMount();
  const { entry } = await createFile(operations, "file");
  const ino = entry.attributes.ino;
  // The listing is from before the chmod and arrives after it.
  const { handle } = await operations.opendir(from(), rootIno, 0);
  const release = server.hold("readdir");
  const listing = operations.readdir(from(), rootIno, handle, 0, true, () => true);
  await operations.setattr(from(), ino, undefined, { mode: 0o600 });
  release();
  await listing;
  t.is((await operations.getattr(from(), ino, undefined)).attributes.mode & 0o7777, 0o600);
});

test("a name that was looked up while it was removed is not remembered", async (t) => {
  const { operations, server, vfs } = await fakeMount();
  const other = server.put({ ino: 50 as never });
  server.entries.get(rootIno)?.set(name("other"), other.ino);
  const release = server.hold("lookup");
  const waiting = operations.lookup(from(), rootIno, name("other"));
  await operations.unlink(from(), rootIno, name("other"));
  release();
  await waiting;
  t.is(vfs.statistics.dentries, 1);
  t.true("absent" in (await operations.lookup(from(), rootIno, name("other"))));
});

test("the attributes of idle inodes are bounded", async (t) => {
  const { operations, vfs } = await fakeMount({ attributesMax: 10, dentriesMax: 8 });
  for (let i = 0; i < 60; i++) {
    const { entry, opened } = await createFile(operations, `file${String(i)}`);
    await operations.release(from(), entry.attributes.ino, opened.handle, undefined);
  }
  t.is(vfs.statistics.inodes, 61);
  t.true(vfs.statistics.attributes <= 12, String(vfs.statistics.attributes));
  t.is(vfs.statistics.dentries, 8);
  const entry = await lookup(operations, "file0");
  t.is(entry.attributes.ino, 2 as never);
});

test("an inode goes when its lookups are forgotten", async (t) => {
  const { operations, vfs } = await fakeMount();
  const { entry, opened } = await createFile(operations, "file");
  const ino = entry.attributes.ino;
  await lookup(operations, "file");
  operations.forget(ino, 1);
  operations.forget(ino, 1);
  t.is(vfs.statistics.inodes, 2);
  await operations.release(from(), ino, opened.handle, undefined);
  t.is(vfs.statistics.inodes, 1);
});
