/** What applyAhead and reserveInodes guarantee (src/name-server/ahead/README.md). */
import test from "ava";
import type { Ino } from "../../src/base/ids.ts";
import { limits } from "../../src/base/limits.ts";
import { nameFromText } from "../../src/base/name.ts";
import { silentLog } from "../../src/base/log.ts";
import { settle } from "../support/simulated-clock.ts";
import { answeredAt, apply, entries, goAhead, plus } from "./ahead-client.ts";
import { live, root, rootIno, TestClient, TestCluster } from "./support.ts";

const errno = (code: string): { message: RegExp } => ({ message: new RegExp(`^${code}`) });
const notReserved = { message: /^EIO: inode number/ };
const name = nameFromText;
const { create, mkdir, symlink, unlink, rmdir, rename, chmod, truncate, write } = entries;

async function one(): Promise<{ cluster: TestCluster; client: TestClient; ino: Ino }> {
  const cluster = await TestCluster.start();
  const client = await TestClient.open(cluster);
  return { cluster, client, ino: await goAhead(client) };
}

async function names(client: TestClient, ino = rootIno): Promise<string[]> {
  const { entries: all } = await client.call("readdir", { ino, cookie: 0, bytesMax: 100_000, plus: false });
  return all.map((entry) => entry.name as string).sort();
}

test("entries are applied in their order, each at its own time and with its own inode number", async (t) => {
  const { cluster, client, ino } = await one();
  const [directory, file, link] = [ino, plus(ino, 7), plus(ino, 3)];
  const later = { ...chmod(file, 0o600), time: answeredAt + 5n };
  const reply = await apply(
    client,
    1,
    ...[mkdir(directory, "d"), create(file, "a", directory), write(file, "content"), later],
    ...[symlink(link, "l"), rename("a", "b", directory), create(plus(ino, 1), "gone"), unlink("gone")],
  );
  t.deepEqual(await names(client), ["d", "l"]);
  t.deepEqual(await names(client, directory), ["b"]);
  const found = await client.call("lookup", { parent: directory, name: name("b") });
  t.like(found.attributes, { ino: file, mode: 0o100600, size: 7, mtime: answeredAt, ctime: answeredAt + 6n });
  t.is(found.attributes?.btime, answeredAt);
  t.deepEqual(
    reply.attributes.map((attributes) => attributes.ino).sort(),
    [rootIno, directory, file].sort(),
    "the directories and the file, each once",
  );
  t.deepEqual(
    reply.attributes.find((attributes) => attributes.ino === file),
    found.attributes,
    "as after the batch",
  );
  await cluster.stop();
});

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
  client.tell({ kind: "released", ino: plus(ino, 1), number: reply.leases[1]?.number ?? 0 });
  await t.throwsAsync(apply(client, 3, write(plus(ino, 1), "less")), errno("EIO"));
  await cluster.stop();
});

test("a batch of which one entry is refused changes nothing, and no later batch does", async (t) => {
  const logged: unknown[] = [];
  const log = { ...silentLog, error: (fields: unknown) => void logged.push(fields) } as typeof silentLog;
  const cluster = await TestCluster.start({ log });
  const client = await TestClient.open(cluster);
  const ino = await goAhead(client);
  await apply(client, 1, create(ino, "a"));
  const refused = [create(plus(ino, 1), "b"), create(plus(ino, 2), "a"), create(plus(ino, 3), "c")];
  await t.throwsAsync(apply(client, 2, ...refused), errno("EEXIST"));
  t.deepEqual(await names(client), ["a"]);
  t.like(logged[0], { session: client.session, sequence: 2, method: "create", ino: rootIno, errno: "EEXIST" });
  await client.change("unlink", { caller: root, parent: rootIno, name: name("a"), keep: false });
  await t.throwsAsync(apply(client, 2, ...refused), errno("EEXIST"), "and that stays so");
  await t.throwsAsync(apply(client, 3, create(plus(ino, 4), "d")), errno("EIO"));
  await t.notThrowsAsync(apply(client, 1, create(ino, "a")), "what was applied is still answered");
  await cluster.crash();
  await client.resume();
  await t.throwsAsync(apply(client, 2, ...refused), errno("EEXIST"), "after a restart too");
  await t.throwsAsync(apply(client, 3, create(plus(ino, 4), "d")), errno("EIO"));
  t.deepEqual(await names(client), []);
  await cluster.stop();
});

test("batches are numbered without gaps", async (t) => {
  const { cluster, client, ino } = await one();
  await t.throwsAsync(apply(client, 2, create(ino, "a")), errno("EINVAL"));
  await apply(client, 1, create(ino, "a"));
  await t.throwsAsync(apply(client, 3, create(plus(ino, 1), "b")), errno("EINVAL"));
  await apply(client, 2, create(plus(ino, 1), "b"));
  await cluster.stop();
});

test("a batch that is sent again is answered again and changes nothing", async (t) => {
  const { cluster, client, ino } = await one();
  const batch = [create(ino, "a"), write(ino, "one"), rename("a", "b")];
  const replies = await Promise.all([apply(client, 1, ...batch), apply(client, 1, ...batch)]);
  t.deepEqual(replies[1], replies[0]);
  const index = cluster.store.lastIndex;
  await client.disconnect();
  await client.resume();
  t.deepEqual(await apply(client, 1, ...batch), replies[0]);
  t.is(cluster.store.lastIndex, index);
  await apply(client, 2, write(ino, "second"));
  const told = await apply(client, 1, ...batch);
  t.is(told.attributes.find((attributes) => attributes.ino === ino)?.size, 6, "as it is now");
  await cluster.crash();
  client.held = [{ ino, level: "exclusive" }];
  await client.resume();
  const afterwards = await apply(client, 1, ...batch);
  t.deepEqual(afterwards.attributes, told.attributes);
  t.deepEqual(
    afterwards.leases.map(({ level }) => level),
    ["exclusive"],
  );
  t.deepEqual(await names(client), ["b"]);
  await cluster.stop();
});

test("a server that dies between applying and answering has applied a batch once", async (t) => {
  for (const isDurable of [false, true]) {
    const { cluster, client, ino } = await one();
    const batch = [create(ino, "a"), create(plus(ino, 1), "b"), unlink("a")];
    const { store } = cluster;
    store.durable = () => new Promise(() => undefined);
    const lost = t.throwsAsync(apply(client, 1, ...batch));
    await settle(isDurable ? 200 : 0);
    await cluster.crash();
    await lost;
    client.held = [{ ino: rootIno, level: "exclusive" }];
    await client.resume();
    await apply(client, 1, ...batch);
    t.deepEqual(await names(client), ["b"]);
    await apply(client, 2, unlink("b"));
    await cluster.stop();
  }
});

test("what was not answered may be sent before the leases are said, while all others wait", async (t) => {
  const { cluster, client, ino } = await one();
  const other = await TestClient.open(cluster);
  await cluster.crash();
  await client.connect();
  const reply = await client.open(client.session);
  t.false(reply.leasesKept);
  await apply(client, 1, create(ino, "a"), write(ino, "ahead"));
  await other.resume();
  const seen = other.lookup("a");
  client.held = [{ ino: rootIno, level: "exclusive" }];
  await client.reclaim();
  t.is(await seen, ino);
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

test("a number that was not reserved, is another's, or was used before makes no inode", async (t) => {
  const { cluster, client, ino } = await one();
  const other = await TestClient.open(cluster);
  const { first: theirs } = await other.change("reserveInodes", { count: 10 });
  for (const [at, number] of [plus(ino, 5_000), theirs, rootIno, plus(ino, 1_000)].entries()) {
    const fresh = await TestClient.open(cluster);
    const mine = await goAhead(fresh, 1_000);
    await t.throwsAsync(apply(fresh, 1, create(mine, `m${String(at)}`), create(number, "x")), notReserved);
  }
  const mine = await goAhead(client, 10);
  await apply(client, 1, create(mine, "a"), unlink("a"));
  await cluster.crash();
  client.held = [{ ino: rootIno, level: "exclusive" }];
  await other.resume();
  await client.resume();
  await live(cluster, 2 * limits.sessionTtlMillis, { clients: [client, other] });
  await t.throwsAsync(apply(client, 2, create(mine, "b")), notReserved, "numbers are used once");
  await cluster.stop();
});

test("reserved numbers are never given twice, also over a restart, and are all usable", async (t) => {
  const { cluster, client } = await one();
  const ranges: { first: number; count: number }[] = [];
  for (const count of [1, limits.reservedInodesMax, 3]) {
    ranges.push(await client.change("reserveInodes", { count }, 1));
    await cluster.crash();
    await client.resume();
  }
  await client.call("acquire", { ino: rootIno, level: "exclusive" });
  const made = await client.create("by the server", 2);
  let end = 0;
  for (const { first, count } of ranges) {
    t.true(first >= end);
    end = first + count;
  }
  t.true(made >= end);
  const all = ranges.flatMap(({ first, count }) => [first, first + count - 1]);
  for (const [at, number] of [...new Set(all)].reverse().entries()) {
    await apply(client, at + 1, create(number as Ino, String(number)));
  }
  t.is((await names(client)).length, 6);
  await cluster.stop();
});

test("of a session that reserves without end the oldest numbers are forgotten", async (t) => {
  const { cluster, client, ino } = await one();
  for (let i = 0; i < 3; i++) await client.change("reserveInodes", { count: limits.reservedInodesMax }, 1);
  await apply(client, 1, create(ino, "a"));
  await client.change("reserveInodes", { count: limits.reservedInodesMax }, 1);
  await t.throwsAsync(apply(client, 2, create(plus(ino, 1), "b")), notReserved);
  await cluster.stop();
});

test("with the disk full no numbers are given, and what was answered is applied all the same", async (t) => {
  let freeBytes = 100 * 1024 ** 3;
  const cluster = await TestCluster.start({ space: () => Promise.resolve({ freeBytes, totalBytes: 100 * 1024 ** 3 }) });
  const client = await TestClient.open(cluster);
  const ino = await goAhead(client);
  freeBytes = 1;
  await live(cluster, 20_000, { clients: [client] });
  await t.throwsAsync(client.create("refused"), errno("ENOSPC"));
  await t.throwsAsync(client.change("reserveInodes", { count: 1 }), errno("ENOSPC"));
  await apply(client, 1, create(ino, "a"), write(ino, "content"), rename("a", "b"));
  t.deepEqual(await names(client), ["b"]);
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
  const made = await apply(client, 1, create(ino, "a"), create(plus(ino, 1), "b"), create(plus(ino, 2), "c"));
  for (const { ino: file, number } of made.leases) client.tell({ kind: "released", ino: file, number });
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
