/** Leases for changes to come: what is asked for after which changes, and what is given back beforehand. */
import test from "ava";
import { fileType } from "../../src/base/attributes.ts";
import { rootIno, type Ino } from "../../src/base/ids.ts";
import { aheadMount, file, folder, way, type AheadMount } from "./ahead-mount.ts";
import { createFile, from, lookup, name, turns, writing } from "./mount.ts";

/** Changes a name in the root, which is asked for as long as it is not leased exclusively: what was asked, by name. */
async function changeRoot({ operations, server }: AheadMount, text: string): Promise<string[]> {
  server.takeMethods();
  await operations.mkdir(from(), rootIno, name(text), { mode: 0o755, umask: 0 });
  await turns();
  return server.takeMethods().sort();
}

test("after two changes of a directory that were asked, it is acquired, and the next ones run ahead", async (t) => {
  const mount = await aheadMount();
  // `/work` was the first.
  t.deepEqual(await changeRoot(mount, "one"), ["acquire", "mkdir"]);
  // This server does not tell of the directory beside what is made in it.
  await mount.operations.getattr(from(), rootIno, undefined);
  await mount.operations.lookup(from(), rootIno, name("two"));
  t.is(await way(mount, (o) => o.mkdir(from(), rootIno, name("two"), { mode: 0o755, umask: 0 })), "ahead: mkdir");
  t.deepEqual(
    mount.server.calls.filter(({ method }) => method === "acquire"),
    [],
  );
});

test("what it is acquired for is told: the exclusive lease of that directory", async (t) => {
  const mount = await aheadMount();
  await mount.operations.mkdir(from(), rootIno, name("one"), { mode: 0o755, umask: 0 });
  await turns();
  const asked = mount.server.calls.filter(({ method }) => method === "acquire");
  t.deepEqual(
    asked.map(({ request }) => request as unknown),
    [{ ino: rootIno, level: "exclusive" }],
  );
});

test("after a recall two more changes have to be asked for before it is acquired again", async (t) => {
  const mount = await aheadMount();
  await mount.server.leases.recall(rootIno, "none");
  // The change before the recall no longer counts.
  t.deepEqual(await changeRoot(mount, "one"), ["mkdir"]);
  t.deepEqual(await changeRoot(mount, "two"), ["acquire", "mkdir"]);
});

test("a refused acquisition is asked for again after two more changes", async (t) => {
  const mount = await aheadMount();
  mount.server.fail("acquire", "EAGAIN");
  t.deepEqual(await changeRoot(mount, "one"), ["acquire", "mkdir"]);
  t.deepEqual(await changeRoot(mount, "two"), ["mkdir"]);
  t.deepEqual(await changeRoot(mount, "three"), ["acquire", "mkdir"]);
});

/** Twenty files of `/work` that this client knows, of which it holds none alone. */
async function shared(): Promise<AheadMount & { readonly files: readonly Ino[] }> {
  const mount = await aheadMount();
  const files: Ino[] = [];
  for (let i = 0; i < 20; i++) files.push(await file(mount, `file${String(i)}`));
  await mount.log.flush();
  for (const ino of files) await mount.server.leases.recall(ino, "shared");
  mount.server.takeMethods();
  return { ...mount, files };
}

test("children that are changed one by one are claimed by one listing, then after twice as many changes", async (t) => {
  const mount = await shared();
  const { operations, server, files, work } = mount;
  const claims: number[] = [];
  let changes = 0;
  for (const ino of files) {
    await operations.setattr(from(), ino, undefined, { mode: fileType.regular | 0o600 });
    changes++;
    await turns(100);
    const listed = server.calls.splice(0).filter(({ method }) => method === "readdir");
    if (listed.length === 0) continue;
    claims.push(changes);
    t.true(listed.every(({ request }) => (request as { exclusive: boolean }).exclusive));
    t.true(listed.every(({ request }) => (request as { ino: Ino }).ino === work));
  }
  // 2, then 4 more, then 8 more.
  t.deepEqual(claims, [2, 6, 14]);
});

test("what a claim was given exclusively is changed at once from then on", async (t) => {
  const mount = await shared();
  const { operations, server, files, work } = mount;
  // The server gives all of them.
  server.script("readdir", ({ ino }: { ino: Ino }) => {
    const names = [...(server.entries.get(ino) ?? [])];
    const entries = names.map(([text, child], at) => {
      const attributes = server.get(child);
      const { number } = server.leases.grant(child, "exclusive");
      const type = attributes.mode & fileType.mask;
      return { name: text, ino: child, type, cookie: 100 + at, attributes, lease: number, exclusive: true };
    });
    return { parent: rootIno, entries, end: true, leases: [server.leases.grant(ino)] };
  });
  for (const ino of files.slice(0, 2)) {
    await operations.setattr(from(), ino, undefined, { mode: fileType.regular | 0o600 });
  }
  await turns(100);
  const rest = files.slice(2);
  for (const [at, ino] of rest.entries()) {
    const how =
      at % 2 === 0
        ? await way(mount, (o) => o.setattr(from(), ino, undefined, { mode: fileType.regular | 0o600 }))
        : await way(mount, (o) => o.unlink(from(), work, name(`file${String(at + 2)}`)));
    t.is(how, at % 2 === 0 ? "ahead: setattr" : "ahead: unlink", String(at));
  }
});

test("a listing that offers shared leases takes no exclusive one away", async (t) => {
  const mount = await aheadMount();
  const ino = await file(mount, "file");
  await mount.log.flush();
  await mount.nameServer.ask("readdir", { ino: mount.work, cookie: 0, bytesMax: 10_000, plus: true });
  t.is(
    await way(mount, (o) => o.setattr(from(), ino, undefined, { mode: fileType.regular | 0o600 })),
    "ahead: setattr",
  );
});

interface Family extends AheadMount {
  readonly unchanged: Ino;
  readonly sub: Ino;
  readonly dirty: Ino;
  readonly written: Ino;
  readonly read: Ino;
}

/** Children of `/work`: each way in which one may be in use. All are at the server. */
async function family(): Promise<Family> {
  const mount = await aheadMount();
  const { operations, work, log, server, vfs } = mount;
  const unchanged = await file(mount, "unchanged");
  const sub = await folder(mount, "sub");
  const one = await createFile(operations, "dirty", { parent: work });
  const dirty = one.entry.attributes.ino;
  const other = await createFile(operations, "written", { parent: work });
  const third = await createFile(operations, "read", { parent: work });
  const read = third.entry.attributes.ino;
  await operations.release(from(), read, third.opened.handle, undefined);
  await operations.open(from(), read, 0, false);
  await log.flush();
  // As the server's answer to the batch grants.
  const grants = [unchanged, sub, dirty, read, other.entry.attributes.ino].map((ino) =>
    server.leases.grant(ino, "exclusive"),
  );
  vfs.events.ahead.onApplied([], grants, vfs.events.ahead.moment());
  await operations.write(from(), dirty, one.opened.handle, 0, Buffer.from("x"), writing);
  await operations.release(from(), dirty, one.opened.handle, undefined);
  server.leases.takeNews();
  return { ...mount, unchanged, sub, dirty, written: other.entry.attributes.ino, read };
}

function lowered({ server }: AheadMount): readonly Ino[] {
  return server.leases.news.flatMap((news) => (news.kind === "lowered" ? [news.ino] : []));
}

test("before a directory is given back, its children that are not being changed are lowered", async (t) => {
  const mount = await family();
  const { server, work, unchanged, sub, read, dirty, written } = mount;
  await server.leases.recall(work, "shared");
  t.deepEqual(new Set(lowered(mount)), new Set([unchanged, sub, read]));
  const kinds = server.leases.news.map(({ kind }) => kind);
  t.is(kinds.lastIndexOf("lowered") < kinds.indexOf("acknowledged"), true);
  for (const news of server.leases.news) {
    if (news.kind === "lowered") t.true(news.number > 0);
  }
  // What was lowered is still believed, but changed by asking.
  server.takeMethods();
  await lookup(mount.operations, "unchanged", work);
  t.deepEqual(server.takeMethods(), []);
  const mode = { mode: fileType.regular | 0o600 };
  t.is(await way(mount, (o) => o.setattr(from(), unchanged, undefined, mode)), "asked: setattr");
  for (const ino of [dirty, written]) {
    t.is(await way(mount, (o) => o.setattr(from(), ino, undefined, mode)), "ahead: setattr");
  }
});

test("what ran ahead is sent before it is said that a lease is lowered or given back", async (t) => {
  const mount = await family();
  const { server, log, work, operations, unchanged } = mount;
  await operations.setattr(from(), unchanged, undefined, { mtime: 5n });
  t.is(log.size, 1);
  const sizes: number[] = [];
  server.leases.heard = () => {
    sizes.push(log.size);
  };
  await server.leases.recall(work, "none");
  t.true(sizes.length > 1);
  t.true(sizes.every((size) => size === 0));
});

test("a child of which the server does not know yet is not lowered", async (t) => {
  const mount = await aheadMount();
  await file(mount, "new");
  mount.server.leases.takeNews();
  await mount.server.leases.recall(mount.work, "shared");
  t.deepEqual(lowered(mount), []);
});

test("a directory that is not held alone lowers nothing when it is recalled", async (t) => {
  const mount = await family();
  await mount.server.leases.recall(mount.work, "shared");
  mount.server.leases.takeNews();
  await mount.server.leases.recall(mount.work, "none");
  t.deepEqual(mount.server.leases.takeNews(), ["acknowledged"]);
});
