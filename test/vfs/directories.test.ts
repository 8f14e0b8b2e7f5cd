/** Listings: pages, cookies, what changes meanwhile, and lookups counted exactly for what was taken. */
import test from "ava";
import { rootIno, type Handle } from "../../src/base/ids.ts";
import type { DirectoryEntry, Operations } from "../../src/fuse/operations.ts";
import { createFile, fakeMount, from, name, writing } from "./mount.ts";

/** Lists as the kernel does: `at most` entries per request, going on after the last cookie. */
async function list(
  operations: Operations,
  handle: Handle,
  options: { plus?: boolean; atMost?: number; cookie?: number; between?: () => Promise<void> } = {},
): Promise<DirectoryEntry[]> {
  const { plus = false, atMost = 3, between } = options;
  const all: DirectoryEntry[] = [];
  let cookie = options.cookie ?? 0;
  for (;;) {
    const got: DirectoryEntry[] = [];
    await operations.readdir(
      from(),
      rootIno,
      handle,
      cookie,
      plus,
      (entry) => got.length < atMost && got.push(entry) > 0,
    );
    if (got.length === 0) return all;
    all.push(...got);
    cookie = got.at(-1)?.cookie ?? cookie;
    await between?.();
  }
}
const names = (entries: readonly DirectoryEntry[]): string[] => entries.map((entry) => entry.name);
const files = Array.from({ length: 11 }, (_, i) => `file${String(i)}`);

test("every entry comes once, with dots first, however small the requests are", async (t) => {
  const { operations } = await fakeMount();
  for (const file of files) await createFile(operations, file);
  const { handle } = await operations.opendir(from(), rootIno, 0);
  for (const atMost of [1, 2, 3, 4, 7, 100]) {
    for (const plus of [false, true]) {
      t.deepEqual(names(await list(operations, handle, { atMost, plus })), [".", "..", ...files]);
    }
  }
});

test("seekdir goes on after a cookie, and rewinddir sees what is new", async (t) => {
  const { operations } = await fakeMount();
  for (const file of files) await createFile(operations, file);
  const { handle } = await operations.opendir(from(), rootIno, 0);
  const all = await list(operations, handle);
  const cookie = all[5]?.cookie ?? 0;
  t.deepEqual(names(await list(operations, handle, { cookie })), names(all).slice(6));
  await createFile(operations, "new");
  t.deepEqual(names(await list(operations, handle)), [...names(all), "new"]);
});

test("entries removed while listing are not shown later, and nothing else is missed", async (t) => {
  const { operations } = await fakeMount();
  for (const file of files) await createFile(operations, file);
  const { handle } = await operations.opendir(from(), rootIno, 0);
  let removed = false;
  const seen = await list(operations, handle, {
    plus: true,
    between: async () => {
      if (!removed) await operations.unlink(from(), rootIno, name("file2"));
      removed = true;
    },
  });
  t.deepEqual(names(seen), [".", "..", ...files.filter((file) => file !== "file2")]);
});

test("a page at hand costs no message, a page per message otherwise", async (t) => {
  const { operations, server } = await fakeMount();
  for (const file of files) await createFile(operations, file);
  const { handle } = await operations.opendir(from(), rootIno, 0);
  server.takeMethods();
  await list(operations, handle, { atMost: 1 });
  t.is(server.count("readdir"), 3 + 1);
});

test("the end of a directory, asked for without attributes after READDIRPLUS, costs no message and counts no lookup", async (t) => {
  const { operations, server, vfs } = await fakeMount();
  for (let i = 0; i < 3; i++) {
    const { ino } = server.put({ ino: (200 + i) as never });
    server.entries.get(rootIno)?.set(name(`x${String(i)}`), ino);
  }
  const { handle } = await operations.opendir(from(), rootIno, 0);
  const taken: DirectoryEntry[] = [];
  await operations.readdir(from(), rootIno, handle, 0, true, (entry) => taken.length < 4 && taken.push(entry) > 0);
  server.takeMethods();
  const known = vfs.statistics.inodes;
  const rest = await list(operations, handle, { cookie: taken.at(-1)?.cookie ?? 0 });
  t.deepEqual(names(rest), ["x2"]);
  t.is(rest[0]?.entry, undefined);
  t.deepEqual(server.takeMethods(), []);
  t.is(vfs.statistics.inodes, known);
});

test("READDIRPLUS counts a lookup for what was taken and for nothing else", async (t) => {
  const { operations, vfs, server } = await fakeMount();
  for (let i = 0; i < 4; i++) {
    const { ino } = server.put({ ino: (200 + i) as never });
    server.entries.get(rootIno)?.set(name(`x${String(i)}`), ino);
  }
  const { handle } = await operations.opendir(from(), rootIno, 0);
  const taken: DirectoryEntry[] = [];
  await operations.readdir(from(), rootIno, handle, 0, true, (entry) => taken.length < 4 && taken.push(entry) > 0);
  t.is(vfs.statistics.inodes, 1 + 2);
  for (const { entry } of taken) if (entry !== undefined) operations.forget(entry.attributes.ino, 1);
  t.is(vfs.statistics.inodes, 1);
});

test("READDIRPLUS makes names known, and shows what was written here", async (t) => {
  const { operations, server } = await fakeMount();
  const { entry, opened } = await createFile(operations, "file");
  await operations.write(from(), entry.attributes.ino, opened.handle, 0, Buffer.from("12345"), writing);
  const { handle } = await operations.opendir(from(), rootIno, 0);
  const [, , listed] = await list(operations, handle, { plus: true });
  t.is(listed?.entry?.attributes.size, 5);
  server.takeMethods();
  await operations.lookup(from(), rootIno, name("file"));
  t.deepEqual(server.takeMethods(), []);
});

test("a directory removed while open is empty", async (t) => {
  const { operations } = await fakeMount();
  const folder = await operations.mkdir(from(), rootIno, name("folder"), { mode: 0o755, umask: 0 });
  const { handle } = await operations.opendir(from(), folder.attributes.ino, 0);
  await operations.rmdir(from(), rootIno, name("folder"));
  const seen: DirectoryEntry[] = [];
  await operations.readdir(from(), folder.attributes.ino, handle, 0, false, (entry) => seen.push(entry) > 0);
  t.deepEqual(seen, []);
  t.is((await operations.getattr(from(), folder.attributes.ino, undefined)).attributes.nlink, 0);
  await operations.releasedir(from(), folder.attributes.ino, handle);
});

test("names of equal hash are all listed, also when the directory changes between them", async (t) => {
  const { operations, server } = await fakeMount();
  const twins = ["one", "two", "three"].map((text, i) => ({
    name: name(text),
    ino: (300 + i) as never,
    type: 0o100000,
    cookie: 500,
  }));
  server.script("readdir", ({ cookie }: { cookie: number }) => ({
    parent: rootIno,
    entries: cookie < 500 ? twins : [],
    end: true,
  }));
  const { handle } = await operations.opendir(from(), rootIno, 0);
  t.deepEqual(names(await list(operations, handle, { atMost: 1 })), [".", "..", "one", "two", "three"]);
  let count = 0;
  const between = async (): Promise<void> => {
    await createFile(operations, `other${String(count++)}`);
  };
  t.deepEqual(names(await list(operations, handle, { atMost: 1, between })), [".", "..", "one", "two", "three"]);
});
