/** The vfs over the real name server, storage nodes, remote and cache, all in memory. */
import test from "ava";
import { rootIno } from "../../src/base/ids.ts";
import { startCluster } from "./cluster.ts";
import { createFile, from, lookup, name, turns, writing } from "./mount.ts";

test("what one mount writes the next one reads", async (t) => {
  const cluster = await startCluster(t);
  const first = await cluster.mount("first");
  const { entry, opened } = await createFile(first.operations, "file");
  const ino = entry.attributes.ino;
  const small = Buffer.from("hello, cluster");
  t.is(await first.operations.write(from(), ino, opened.handle, 0, small, writing), small.length);
  const large = Buffer.alloc(1024 * 1024, "x");
  for (let i = 0; i < 6; i++) {
    await first.operations.write(from(), ino, opened.handle, 4096 + i * large.length, large, writing);
  }
  await first.operations.fsync(from(), ino, opened.handle, false);
  const second = await cluster.mount("second");
  const found = await lookup(second.operations, "file");
  t.is(found.attributes.size, 4096 + 6 * large.length);
  const { handle } = await second.operations.open(from(), found.attributes.ino, 0, false);
  const read = await second.operations.read(from(), ino, handle, 0, 5000, false);
  const expected = Buffer.concat([small, Buffer.alloc(4096 - small.length), Buffer.alloc(5000 - 4096, "x")]);
  t.true(Buffer.concat(read.pieces).equals(expected));
});

test("with two mounts each sees at once what the other did", async (t) => {
  const cluster = await startCluster(t);
  const one = await cluster.mount("one");
  const { entry, opened } = await createFile(one.operations, "file");
  const ino = entry.attributes.ino;
  await one.operations.write(from(), ino, opened.handle, 0, Buffer.from("unflushed"), writing);
  const two = await cluster.mount("two");
  one.notifier.sent.length = 0;
  const found = await lookup(two.operations, "file");
  t.is(found.attributes.size, 9);
  // Reading it took nothing from the first one but what it had not sent.
  t.deepEqual(one.notifier.sent, []);
  const there = await two.operations.open(from(), ino, 2, false);
  await two.operations.write(from(), ino, there.handle, 0, Buffer.from("changed, and longer"), writing);
  t.is((await one.operations.getattr(from(), ino, undefined)).attributes.size, 19);
  const read = await one.operations.read(from(), ino, opened.handle, 0, 100, false);
  t.is(Buffer.concat(read.pieces).toString(), "changed, and longer");
  // Appends of both sides never overwrite each other.
  const appendFlags = { ...writing, flags: 0o2002 };
  const logs = await Promise.all(
    [one, two].map(({ operations }) => Promise.resolve(operations.open(from(), ino, 0o2002, false))),
  );
  await Promise.all(
    [one, two].flatMap(({ operations }, at) =>
      Array.from({ length: 5 }, () =>
        Promise.resolve(
          operations.write(from(), ino, logs[at]?.handle ?? opened.handle, 0, Buffer.from("+"), appendFlags),
        ),
      ),
    ),
  );
  t.is((await one.operations.getattr(from(), ino, undefined)).attributes.size, 29);
  // A file removed at one side stays readable at the other while it is open there.
  await one.operations.unlink(from(), rootIno, name("file"));
  t.true("absent" in (await two.operations.lookup(from(), rootIno, name("file"))));
  const orphan = await two.operations.read(from(), ino, there.handle, 0, 7, false);
  t.is(Buffer.concat(orphan.pieces).toString(), "changed");
});

test("an mtime that was set stays, also after unsent data was cut away", async (t) => {
  const cluster = await startCluster(t);
  const { operations } = await cluster.mount("only");
  const { entry, opened } = await createFile(operations, "file");
  const ino = entry.attributes.ino;
  await operations.write(from(), ino, opened.handle, 0, Buffer.from("unsent"), writing);
  await operations.setattr(from(), ino, opened.handle, { size: 0 });
  await operations.setattr(from(), ino, undefined, { mtime: 42n });
  t.is((await operations.getattr(from(), ino, undefined)).attributes.mtime, 42n);
});

test("ranges: copies share, holes read as zeros, SEEK_HOLE finds them", async (t) => {
  const cluster = await startCluster(t);
  const { operations } = await cluster.mount("only");
  const source = await createFile(operations, "source");
  const target = await createFile(operations, "target");
  const [from_, to] = [source, target].map(({ entry, opened }) => ({
    ino: entry.attributes.ino,
    handle: opened.handle,
  }));
  if (from_ === undefined || to === undefined) throw new Error("no files");
  const content = Buffer.alloc(300_000, "abcdefg");
  await operations.write(from(), from_.ino, from_.handle, 0, content, writing);
  let copied = 0;
  while (copied < content.length) {
    const at = { offset: copied };
    copied += await operations.copyFileRange(from(), { ...from_, ...at }, { ...to, ...at }, content.length - copied);
  }
  await operations.fallocate(from(), to.ino, to.handle, 100_000, 50_000, 3);
  content.fill(0, 100_000, 150_000);
  const read = await operations.read(from(), to.ino, to.handle, 0, 400_000, false);
  t.true(Buffer.concat(read.pieces).equals(content));
  t.is(await operations.lseek(from(), to.ino, to.handle, 0, 4), 100_000);
  t.is(await operations.lseek(from(), to.ino, to.handle, 100_000, 3), 150_000);
  await t.throwsAsync(async () => operations.lseek(from(), to.ino, to.handle, 300_000, 3), { message: /^ENXIO/ });
  await operations.fallocate(from(), to.ino, to.handle, 0, 500_000, 0);
  t.is((await operations.getattr(from(), to.ino, undefined)).attributes.size, 500_000);
});

test("locks of two mounts exclude each other, and a close gives them away", async (t) => {
  const cluster = await startCluster(t);
  const one = await cluster.mount("one");
  const two = await cluster.mount("two");
  const { entry, opened } = await createFile(one.operations, "file");
  const ino = entry.attributes.ino;
  await lookup(two.operations, "file");
  const there = await two.operations.open(from(), ino, 2, false);
  const range = { kind: "posix", type: "write", start: 0n, end: 99n, pid: 7 } as const;
  await one.operations.setlk(from(), ino, opened.handle, { ...range, owner: 1n }, false);
  const refused = Promise.resolve(two.operations.setlk(from(), ino, there.handle, { ...range, owner: 2n }, false));
  await t.throwsAsync(refused, { message: /^EAGAIN/ });
  t.is((await two.operations.getlk(from(), ino, there.handle, { ...range, owner: 2n }))?.type, "write");
  const waiting = two.operations.setlk(from(), ino, there.handle, { ...range, owner: 2n }, true);
  await one.operations.flush(from(), ino, opened.handle, 1n);
  await waiting;
  t.is(await two.operations.getlk(from(), ino, there.handle, { ...range, owner: 2n }), undefined);
});

test("content of a file that is being removed does not run ahead into its removal", async (t) => {
  const cluster = await startCluster(t);
  const [one, two] = [await cluster.mount("one"), await cluster.mount("two")];
  for (let later = 0; later < 20; later++) {
    const text = `file-${String(later)}`;
    const { entry, opened } = await createFile(one.operations, text);
    const { ino } = entry.attributes;
    const write = async (offset: number): Promise<void> => {
      const { handle } = offset === 0 ? opened : await one.operations.open(from(), ino, 2, false);
      await one.operations.write(from(), ino, handle, offset, Buffer.from("content"), writing);
      await one.operations.release(from(), ino, handle, undefined);
    };
    // Another one has looked into the directory: its names are changed by asking. The file's content is one's alone.
    await two.operations.getattr(from(), rootIno, undefined);
    await write(0);
    // Goes out when the first is there.
    await write(100);
    const removed = one.operations.unlink(from(), rootIno, name(text));
    t.true(removed instanceof Promise, "asked");
    await turns(later);
    await Promise.resolve(one.operations.syncfs(from(), rootIno)).catch(() => undefined);
    await removed;
    await t.notThrowsAsync(async () => {
      await one.operations.syncfs(from(), rootIno);
    }, text);
  }
  await createFile(one.operations, "last");
  t.is((await lookup(two.operations, "last")).attributes.nlink, 1);
});
