/** What applyAhead guarantees about leases and to others (src/name-server/ahead/README.md). */
import test from "ava";
import type { Ino } from "../../src/base/ids.ts";
import { limits } from "../../src/base/limits.ts";
import { nameFromText } from "../../src/base/name.ts";
import { settle } from "../support/simulated-clock.ts";
import { apply, entries, plus, errno, names, one } from "./ahead-client.ts";
import { live, root, rootIno, TestClient } from "./support.ts";

const name = nameFromText;
const { create, mkdir, symlink, unlink, rmdir, rename, chmod, truncate, write } = entries;

test("new inodes are leased exclusively with the answer, and may be changed by the next batch", async (t) => {
  const { cluster, client, ino } = await one();
  const reply = await apply(
    client,
    1,
    mkdir(ino, "d"),
    create(plus(ino, 1), "a", ino),
    create(plus(ino, 2), "x"),
    unlink("x"),
  );
  t.deepEqual(
    reply.leases.map((grant) => [grant.ino, grant.level]),
    [
      [ino, "exclusive"],
      [plus(ino, 1), "exclusive"],
    ],
  );
  const second = await apply(client, 2, create(plus(ino, 3), "b", ino), write(plus(ino, 1), "more"));
  t.is(second.attributes.length, 2);
  client.tell({ kind: "lowered", ino: plus(ino, 1), number: reply.leases[1]?.number ?? 0 });
  await t.throwsAsync(apply(client, 3, write(plus(ino, 1), "less")), errno("EIO"));
  await cluster.stop();
});

test("nothing is changed without a lease: a directory, a file, what is moved, what loses its name", async (t) => {
  const changes = ({ d, f, ino }: Record<"d" | "f" | "ino", Ino>) => [
    { of: d, what: create(ino, "x", d) },
    { of: d, what: mkdir(ino, "x", d) },
    { of: d, what: symlink(ino, "x", d) },
    { of: d, what: unlink("f", d) },
    { of: f, what: unlink("f", d) },
    { of: d, what: rename("f", "g", d) },
    { of: f, what: rename("f", "g", d) },
    { of: f, what: rename("other", "f", d) },
    { of: d, what: rename("f", "f", d, rootIno) },
    { of: d, what: rename("top", "top", rootIno, d) },
    { of: f, what: chmod(f, 0o600) },
    { of: f, what: truncate(f, 0) },
    { of: f, what: write(f, "x") },
  ];
  for (let at = 0; at < changes({ d: rootIno, f: rootIno, ino: rootIno }).length; at++) {
    for (const taken of [false, true]) {
      const { cluster, client, ino } = await one();
      const other = await TestClient.open(cluster);
      const [d, f] = [ino, plus(ino, 1)];
      await apply(
        client,
        1,
        mkdir(d, "d"),
        create(f, "f", d),
        create(plus(ino, 2), "other", d),
        create(plus(ino, 3), "top"),
      );
      const change = changes({ d, f, ino: plus(ino, 4) })[at];
      if (change === undefined) continue;
      if (taken) await other.call("acquire", { ino: change.of, level: "exclusive" });
      const applied = apply(client, 2, change.what);
      if (taken) await t.throwsAsync(applied, errno("EIO"), `${change.what.method} ${String(at)}`);
      else await t.notThrowsAsync(applied, `${change.what.method} ${String(at)}`);
      await cluster.stop();
    }
  }
});

test("an empty directory that nobody else knows may be removed, and one that others know may not", async (t) => {
  for (const known of [false, true]) {
    const { cluster, client, ino } = await one();
    const other = await TestClient.open(cluster);
    await apply(client, 1, mkdir(ino, "d"));
    if (known) await other.call("getattr", { ino });
    const removed = apply(client, 2, rmdir("d"));
    if (known) await t.throwsAsync(removed, errno("EIO"));
    else await t.notThrowsAsync(removed);
    await cluster.stop();
  }
});

test("whoever reads makes the holder send what it has changed, and sees it", async (t) => {
  const { cluster, client, ino } = await one();
  const other = await TestClient.open(cluster);
  await apply(client, 1, create(ino, "a"));
  const unsent = new Map([
    [rootIno, [rename("a", "b"), chmod(ino, 0o600)]],
    [ino, [write(ino, "ahead")]],
  ]);
  let sequence = 1;
  const sent: Promise<unknown>[] = [];
  client.onRecall = (recall) => {
    const changes = unsent.get(recall.ino) ?? [];
    unsent.delete(recall.ino);
    if (changes.length > 0) sent.push(apply(client, ++sequence, ...changes));
    client.answer(recall);
  };
  const found = await other.call("lookup", { parent: rootIno, name: name("b") });
  t.like(found.attributes, { ino, mode: 0o100600, size: 5 });
  await Promise.all(sent);
  t.is(sequence, 3);
  await t.throwsAsync(apply(client, 4, write(ino, "too late")), errno("EIO"));
  await cluster.stop();
});

test("requests behind a batch find it applied, before it is durable", async (t) => {
  const { cluster, client, ino } = await one();
  const { store } = cluster;
  const durable = store.durable.bind(store);
  let release: () => void = () => undefined;
  const gate = new Promise<void>((resolve) => (release = resolve));
  store.durable = () => gate.then(durable);
  const applied = apply(client, 1, create(ino, "a"));
  const found = client.lookup("a");
  const renamed = client.change("rename", {
    ...{ caller: root, parent: rootIno, name: name("a"), newParent: rootIno, newName: name("b") },
    ...{ flags: 0, keep: false },
  });
  const next = apply(client, 2, unlink("b"));
  let answers = 0;
  for (const promise of [applied, found, renamed, next]) void promise.then(() => answers++);
  await settle(50);
  t.is(answers, 0, "nothing is told before it is durable");
  release();
  await Promise.all([applied, renamed, next]);
  t.is(await found, ino);
  t.deepEqual(await names(client), []);
  await cluster.stop();
});

test("a session that has ended changes nothing more", async (t) => {
  const { cluster, client, ino } = await one();
  const other = await TestClient.open(cluster);
  await client.disconnect();
  await live(cluster, 2 * limits.sessionTtlMillis, { clients: [other] });
  await client.connect();
  t.false((await client.open(client.session)).resumed);
  await t.throwsAsync(apply(client, 1, create(ino, "a")), errno("EIO"));
  t.deepEqual(await names(other), []);
  await cluster.stop();
});

test("the log goes with its session", async (t) => {
  const { cluster, client, ino } = await one();
  await apply(client, 1, create(ino, "a"));
  const left = (): number => [...cluster.store.range({ gte: "R", lt: "S" })].length;
  t.is(left(), 2);
  await client.call("closeSession", {});
  t.is(left(), 0);
  await cluster.stop();
});

test("others are asked about what a batch removed, when that is durable", async (t) => {
  const { cluster, client, ino } = await one();
  const other = await TestClient.open(cluster);
  other.inUse.add(ino);
  await apply(client, 1, create(ino, "a"), create(plus(ino, 1), "b"), create(plus(ino, 2), "c"));
  await apply(client, 2, unlink("a"), rename("b", "c"));
  await settle();
  t.deepEqual(other.asked.flat().sort(), [ino, plus(ino, 2)]);
  t.is((await other.call("getattr", { ino })).attributes.nlink, 0);
  await t.throwsAsync(other.call("getattr", { ino: plus(ino, 2) }), errno("ESTALE"));
  await cluster.stop();
});

test("a listing to change offers exclusive leases of what nobody else has, and recalls nobody", async (t) => {
  const { cluster, client, ino } = await one();
  const other = await TestClient.open(cluster);
  const third = await TestClient.open(cluster);
  await apply(client, 1, create(ino, "a"), create(plus(ino, 1), "b"), create(plus(ino, 2), "c"));
  await client.call("closeSession", {});
  await other.call("getattr", { ino: plus(ino, 1) });
  await other.call("acquire", { ino: plus(ino, 2), level: "exclusive" });
  const request = { ino: rootIno, cookie: 0, bytesMax: 10_000, plus: true };
  const count = other.recalls.length;
  const listed = await third.call("readdir", { ...request, exclusive: true });
  const shown = (all: typeof listed): unknown[] =>
    all.entries
      .map((entry) => [entry.name as string, entry.lease !== undefined, entry.exclusive === true])
      .sort(([left], [right]) => (String(left) < String(right) ? -1 : 1));
  t.deepEqual(shown(listed), [
    ["a", true, true],
    ["b", true, false],
    ["c", false, false],
  ]);
  t.is(other.recalls.length, count);
  const plain = await TestClient.open(cluster);
  t.deepEqual(shown(await plain.call("readdir", request)), [
    ["a", false, false],
    ["b", true, false],
    ["c", false, false],
  ]);
  await cluster.stop();
});
