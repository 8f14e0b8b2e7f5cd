/** Leases between several clients of one name server: who is asked for what, who waits for whom. */
import test from "ava";
import { limits } from "../../src/base/limits.ts";
import { nameFromText } from "../../src/base/name.ts";
import type { Ino } from "../../src/base/ids.ts";
import type { LeaseGrant, LeaseRecall } from "../../src/protocol/leases.ts";
import { settle } from "../support/simulated-clock.ts";
import { live, root, rootIno, TestClient, TestCluster } from "./support.ts";

const name = nameFromText;
const creation = { caller: root, parent: rootIno, umask: 0o022 };

interface Two {
  readonly cluster: TestCluster;
  readonly first: TestClient;
  readonly second: TestClient;
}

async function two(): Promise<Two> {
  const cluster = await TestCluster.start();
  return { cluster, first: await TestClient.open(cluster), second: await TestClient.open(cluster) };
}

/** A call, and whether it has been answered. */
function pending<T>(promise: Promise<T>): { done: boolean; promise: Promise<T> } {
  const state = { done: false, promise };
  const settled = (): void => {
    state.done = true;
  };
  promise.then(settled, settled);
  return state;
}

function shown(recalls: readonly LeaseRecall[]): string[] {
  return recalls.map(({ ino, to, drop }) =>
    [String(ino), to, ...drop.map((scope) => (scope.kind === "entry" ? `entry ${scope.name}` : scope.kind))].join(" "),
  );
}

function levels(leases: readonly LeaseGrant[] | undefined): string[] {
  return (leases ?? []).map(({ ino, level }) => `${String(ino)} ${level}`);
}

/** The client keeps its recalls to itself until the test lets it answer, from when on it answers at once. */
function holdRecalls(client: TestClient): () => Promise<void> {
  const unanswered: LeaseRecall[] = [];
  client.onRecall = (recall) => void unanswered.push(recall);
  return async () => {
    client.onRecall = (recall) => {
      client.answer(recall);
    };
    for (const recall of unanswered) client.answer(recall);
    await settle();
  };
}

const write = (ino: Ino, text: string) => ({
  ino,
  extents: [{ kind: "inline" as const, offset: 0, length: text.length, content: Buffer.from(text) }],
  ...{ epochs: [], size: text.length, append: false, clearPrivileges: false },
});

test("whoever makes a file has it alone, and its directory too", async (t) => {
  const { cluster, first } = await two();
  const made = await first.change("create", { ...creation, name: name("a"), mode: 0o100644 });
  t.deepEqual(levels(made.leases), ["1 exclusive", `${String(made.attributes.ino)} exclusive`]);
  const unnamed = await first.change("tmpfile", { ...creation, mode: 0o100600 });
  t.deepEqual(levels(unnamed.leases), [`${String(unnamed.attributes.ino)} exclusive`]);
  await cluster.stop();
});

test("a reader makes whoever has a file alone write back first, and sees what was written", async (t) => {
  const { cluster, first, second } = await two();
  const ino = await first.create("a");
  first.onRecall = async (recall) => {
    if (recall.ino === ino) await first.change("writeExtents", write(ino, "flushed"), 1);
    first.answer(recall);
  };
  const reply = await second.call("lookup", { parent: rootIno, name: name("a") });
  t.deepEqual(shown(first.recalls), ["1 shared", `${String(ino)} shared`]);
  t.is(reply.attributes?.size, 7);
  t.deepEqual(levels(reply.leases), ["1 shared", `${String(ino)} shared`]);
  await cluster.stop();
});

test("a change waits until all who could tell have dropped what it changes, and is answered then", async (t) => {
  const { cluster, first, second } = await two();
  await first.call("lookup", { parent: rootIno, name: name("a") });
  const answer = holdRecalls(first);
  const made = pending(second.change("create", { ...creation, name: name("a"), mode: 0o100644 }));
  await settle();
  t.deepEqual(shown(first.recalls), ["1 shared entry a"]);
  t.false(made.done);
  first.tell({ kind: "flushed", ino: rootIno, number: first.recalls[0]?.number ?? 0 });
  await settle();
  t.false(made.done, "its cache is not dropped yet");
  await answer();
  t.true(made.done);
  await cluster.stop();
});

test("a name that is absent is told in its turn, behind a change that waits", async (t) => {
  const { cluster, first, second } = await two();
  const third = await TestClient.open(cluster);
  await first.call("lookup", { parent: rootIno, name: name("a") });
  const answer = holdRecalls(first);
  const made = pending(second.change("create", { ...creation, name: name("a"), mode: 0o100644 }));
  await settle();
  const found = pending(third.lookup("a"));
  const refused = pending(third.change("unlink", { caller: root, parent: rootIno, name: name("a"), keep: false }));
  await settle();
  t.deepEqual([made.done, found.done, refused.done], [false, false, false]);
  await answer();
  t.is(await found.promise, (await made.promise).attributes.ino);
  await refused.promise;
  await cluster.stop();
});

test("a client that is asked for something reads ahead of those who wait for it", async (t) => {
  const { cluster, first, second } = await two();
  const ino = await first.create("a");
  await second.lookup("a");
  const answer = holdRecalls(second);
  const changed = pending(first.change("setattr", { caller: root, ino, mode: 0o600 }));
  await settle();
  t.false(changed.done);
  const read = await second.call("getattr", { ino });
  t.is(read.attributes.mode & 0o777, 0o644);
  t.is(read.leases, undefined, "it could not keep it");
  t.false(changed.done);
  await answer();
  t.true(changed.done);
  await cluster.stop();
});

test("what is read ahead of a change comes without a lease, also for who has one and has dropped what changes", async (t) => {
  const { cluster, first, second } = await two();
  const third = await TestClient.open(cluster);
  const [gone, other] = [await first.create("gone"), await first.create("other")];
  for (const client of [second, third]) await client.lookup("gone");
  await second.lookup("other");
  const [answerSecond, answerThird] = [holdRecalls(second), holdRecalls(third)];
  const removal = { caller: root, parent: rootIno, name: name("gone"), keep: false };
  const removed = pending(first.change("unlink", removal, 1));
  await settle();
  await answerSecond();
  const answerAgain = holdRecalls(second);
  const changed = pending(first.change("setattr", { caller: root, ino: other, mode: 0o600 }, 2));
  await settle();
  t.is(second.recalls.at(-1)?.ino, other, "it is asked for something else");
  const count = second.recalls.length;
  const reply = await second.call("lookup", { parent: rootIno, name: name("gone") });
  t.is(reply.attributes?.ino, gone);
  t.is(reply.leases, undefined);
  await answerThird();
  await removed.promise;
  t.is(second.recalls.length, count, "it is not asked again");
  await answerAgain();
  await changed.promise;
  await cluster.stop();
});

test("a listing tells of files that somebody has alone without asking, and without a lease", async (t) => {
  const { cluster, first, second } = await two();
  const alone = await first.create("alone");
  const free = await first.create("free");
  await second.lookup("free");
  const count = first.recalls.length;
  const listing = await second.call("readdir", { ino: rootIno, cookie: 0, bytesMax: 10_000, plus: true });
  const leased = new Map(listing.entries.map((entry) => [entry.ino, entry.lease !== undefined]));
  t.deepEqual([leased.get(alone), leased.get(free)], [false, true]);
  t.is(first.recalls.length, count);
  t.deepEqual(levels(listing.leases), ["1 shared"]);
  const plain = await second.call("readdir", { ino: rootIno, cookie: 0, bytesMax: 10_000, plus: false });
  t.true(plain.entries.every(({ lease }) => lease === undefined));
  await cluster.stop();
});

test("a file is had alone on demand, which takes it from everybody else", async (t) => {
  const { cluster, first, second } = await two();
  const ino = await first.create("a");
  await second.lookup("a");
  const taken = await second.call("acquire", { ino, level: "exclusive" });
  t.deepEqual(levels(taken.leases), [`${String(ino)} exclusive`]);
  t.deepEqual(shown(first.recalls).at(-1), `${String(ino)} none everything`);
  t.deepEqual(levels((await second.call("acquire", { ino, level: "shared" })).leases), [`${String(ino)} exclusive`]);
  await t.throwsAsync(first.call("acquire", { ino: 999 as Ino, level: "shared" }), { message: /ESTALE/ });
  await cluster.stop();
});

test("opening for writing brings the file alone when nobody else has it, and asks nobody for it", async (t) => {
  const { cluster, first, second } = await two();
  const ino = await first.create("a");
  const open = () => second.call("open", { caller: root, ino, read: true, write: true });
  await second.lookup("a");
  let count = first.recalls.length;
  t.deepEqual(levels((await open()).leases), [`${String(ino)} shared`]);
  t.is(first.recalls.length, count);
  // Somebody else takes it from both, and goes.
  const third = await TestClient.open(cluster);
  await third.call("acquire", { ino, level: "exclusive" });
  await third.call("closeSession", {});
  count = first.recalls.length;
  t.deepEqual(levels((await open()).leases), [`${String(ino)} exclusive`]);
  t.is(first.recalls.length, count);
  await cluster.stop();
});

test("access times that are brought up to date recall nobody", async (t) => {
  const { cluster, first, second } = await two();
  const ino = await first.create("a");
  await second.lookup("a");
  const { attributes } = await first.call("getattr", { ino });
  const count = second.recalls.length;
  const times = { atime: attributes.atime + 5n, ctime: attributes.ctime };
  const told = await first.change("setattr", { caller: root, ino, ...times });
  t.is(second.recalls.length, count);
  t.deepEqual(levels(told.leases), [`${String(ino)} shared`], "what is told may be kept");
  await first.change("setattr", { caller: root, ino, ...times, mtime: 1n });
  t.is(second.recalls.length, count + 1);
  await cluster.stop();
});

test("a truncation and a write take the whole file from the others, because more bytes follow", async (t) => {
  const { cluster, first, second } = await two();
  const ino = await first.create("a");
  const flushed = await first.change("writeExtents", write(ino, "content"));
  t.deepEqual(levels(flushed.leases), [`${String(ino)} exclusive`], "a flush leaves it alone");
  await second.lookup("a");
  await first.change("setattr", { caller: root, ino, size: 3 });
  t.deepEqual(shown(second.recalls.slice(-1)), [`${String(ino)} none everything`]);
  const count = second.recalls.length;
  await first.change("writeExtents", write(ino, "ab"));
  t.is(second.recalls.length, count, "it has nothing of it any more");
  await second.call("getattr", { ino });
  const appended = await first.change("writeExtents", { ...write(ino, "xyz"), append: true });
  t.deepEqual(shown(second.recalls.slice(count)), [`${String(ino)} none everything`]);
  t.deepEqual(levels(appended.leases), [`${String(ino)} exclusive`]);
  await cluster.stop();
});

test("a rename asks for both names, for what is moved and for what is replaced", async (t) => {
  const { cluster, first, second } = await two();
  const directory = (await first.change("mkdir", { ...creation, name: name("d"), mode: 0o40755 })).attributes.ino;
  const moved = await first.create("a");
  const replaced = (await first.change("create", { ...creation, parent: directory, name: name("b"), mode: 0o100644 }))
    .attributes.ino;
  await second.lookup("a");
  await second.lookup("d");
  await second.call("lookup", { parent: directory, name: name("b") });
  const count = second.recalls.length;
  await first.change("rename", {
    ...{ caller: root, parent: rootIno, name: name("a"), newParent: directory, newName: name("b") },
    ...{ flags: 0, keep: false },
  });
  t.deepEqual(shown(second.recalls.slice(count)).sort(), [
    "1 shared entry a",
    `${String(directory)} shared entry b`,
    `${String(moved)} shared attributes`,
    `${String(replaced)} shared attributes`,
  ]);
  await cluster.stop();
});

test("a name that leads to another file when the request may run is asked for anew", async (t) => {
  const { cluster, first, second } = await two();
  const [old, other] = [await first.create("a"), await first.create("b")];
  first.onRecall = () => undefined;
  const found = pending(second.lookup("a"));
  await settle();
  t.deepEqual(shown(first.recalls), ["1 shared", `${String(old)} shared`]);
  const renamed = first.change("rename", {
    ...{ caller: root, parent: rootIno, name: name("b"), newParent: rootIno, newName: name("a") },
    ...{ flags: 0, keep: true },
  });
  first.tell({ kind: "blocked" });
  await renamed;
  for (const recall of first.recalls) first.answer(recall);
  await settle();
  t.false(found.done, "it has that one alone too");
  t.is(first.recalls.at(-1)?.ino, other);
  for (const recall of first.recalls) first.answer(recall);
  t.is(await found.promise, other);
  await cluster.stop();
});

test("a session that does not answer a recall is not answered any more, and ends when it can have noticed", async (t) => {
  const { cluster, first, second } = await two();
  const ino = await first.create("a");
  first.onRecall = () => undefined;
  const read = pending(second.call("getattr", { ino }, { deadlineMillis: Infinity }));
  await live(cluster, limits.recallMillis - 2_000, { clients: [first, second] });
  t.true(first.peer.isOpen);
  await live(cluster, 1_000, { clients: [first, second] });
  await live(cluster, 3_000, { clients: [second] });
  t.false(first.peer.isOpen, "nobody speaks to it");
  const since = 5_000;
  await live(cluster, limits.sessionTtlMillis - since, { clients: [second] });
  t.false(read.done, "it may still believe what it has");
  const old = first.session;
  const reply = await first.resume();
  t.false(reply.resumed);
  t.not(first.session, old, "it is a new session");
  t.false(read.done);
  await live(cluster, since + 1_000, { clients: [first, second] });
  t.true(read.done);
  await cluster.stop();
});

test("a session without a connection is not blamed for a recall before its time to live has passed", async (t) => {
  const { cluster, first, second } = await two();
  const ino = await first.create("a");
  await first.disconnect();
  const read = pending(second.call("getattr", { ino }, { deadlineMillis: Infinity }));
  await live(cluster, 2 * limits.recallMillis, { clients: [second] });
  const reply = await first.resume();
  t.true(reply.resumed && reply.leasesKept);
  await settle();
  t.deepEqual(shown(first.recalls), [`${String(ino)} shared`], "it is asked over the new connection");
  await read.promise;
  await cluster.stop();
});

test("a closed session's leases are free at once, and requests that waited for them go on", async (t) => {
  const { cluster, first, second } = await two();
  const ino = await first.create("a");
  first.onRecall = () => undefined;
  const read = pending(second.call("getattr", { ino }));
  await settle();
  t.false(read.done);
  await first.call("closeSession", {});
  await read.promise;
  await cluster.stop();
});

test("news that is about nothing harms nobody", async (t) => {
  const { cluster, first, second } = await two();
  const ino = await first.create("a");
  first.tell({ kind: "blocked" }, { kind: "forgotten", ino: 999 as Ino });
  for (const kind of ["flushed", "acknowledged", "lowered"] as const) first.tell({ kind, ino: 999 as Ino, number: 7 });
  second.tell({ kind: "lowered", ino, number: Number.MAX_SAFE_INTEGER });
  const stranger = new TestClient(cluster);
  await stranger.connect();
  stranger.tell({ kind: "lowered", ino, number: Number.MAX_SAFE_INTEGER });
  await settle();
  t.true([first, second, stranger].every(({ peer }) => peer.isOpen));
  await second.call("getattr", { ino });
  t.deepEqual(shown(first.recalls), [`${String(ino)} shared`]);
  await cluster.stop();
});

test("the status tells of leases, recalls and those who wait", async (t) => {
  const { cluster, first, second } = await two();
  const ino = await first.create("a");
  const answer = holdRecalls(first);
  const read = pending(second.call("getattr", { ino }));
  await settle();
  const status = cluster.server.status();
  t.deepEqual(status.leases, { recalls: 1, waitingRequests: 1 });
  t.deepEqual(
    status.sessions.map(({ leases }) => leases),
    [2, 0],
  );
  await answer();
  await read.promise;
  await cluster.stop();
});
