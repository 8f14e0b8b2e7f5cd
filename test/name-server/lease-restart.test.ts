/** Leases after a restart of the name server: nobody is given anything before all have said what they hold. */
import test from "ava";
import { limits } from "../../src/base/limits.ts";
import type { LeaseGrant } from "../../src/protocol/leases.ts";
import { settle } from "../support/simulated-clock.ts";
import { live, root, rootIno, TestClient, TestCluster } from "./support.ts";

function pending<T>(promise: Promise<T>): { done: boolean; promise: Promise<T> } {
  const state = { done: false, promise };
  const settled = (): void => {
    state.done = true;
  };
  promise.then(settled, settled);
  return state;
}

const levels = (leases: readonly LeaseGrant[]): string[] => leases.map(({ ino, level }) => `${String(ino)} ${level}`);

test("while the server runs, a session that comes back is told that its leases are known", async (t) => {
  const cluster = await TestCluster.start();
  const client = await TestClient.open(cluster);
  await client.disconnect();
  t.true((await client.resume()).leasesKept);
  await cluster.crash();
  await client.connect();
  const reply = await client.open(client.session);
  t.deepEqual([reply.resumed, reply.leasesKept], [true, false]);
  await client.disconnect();
  t.false((await client.resume()).leasesKept, "it has not said all");
  await client.disconnect();
  t.true((await client.resume()).leasesKept);
  await cluster.stop();
});

test("after a restart nobody is answered before all sessions of before it have said what they hold", async (t) => {
  const cluster = await TestCluster.start();
  const [first, second] = [await TestClient.open(cluster), await TestClient.open(cluster)];
  const ino = await first.create("file");
  first.held = [{ ino, level: "exclusive" }];
  await cluster.crash();
  await second.resume();
  const third = await TestClient.open(cluster);
  const asked = [
    second.call("getattr", { ino }),
    second.lookup("file"),
    second.change("setattr", { caller: root, ino, mode: 0o600 }, 1),
    third.call("acquire", { ino, level: "exclusive" }),
    third.create("other"),
  ].map((promise) => pending<unknown>(promise));
  await settle(30);
  t.true(asked.every(({ done }) => !done));
  t.truthy((await second.call("heartbeat", {})).serverNanos);
  await first.connect();
  await first.open(first.session);
  t.deepEqual(levels(await first.reclaim(false)), [`${String(ino)} exclusive`]);
  await settle();
  t.true(
    asked.every(({ done }) => !done),
    "there may be more",
  );
  first.held = [{ ino: rootIno, level: "shared" }];
  t.deepEqual(levels(await first.reclaim()), ["1 shared"]);
  await Promise.all(asked.map(({ promise }) => promise));
  t.true(
    first.recalls.some((recall) => recall.ino === ino),
    "and its lease counted",
  );
  await cluster.stop();
});

test("of two who say that they held a file alone only the first has it again", async (t) => {
  const cluster = await TestCluster.start();
  const [first, second] = [await TestClient.open(cluster), await TestClient.open(cluster)];
  const [one, two] = [await first.create("one"), await first.create("two")];
  await cluster.crash();
  for (const client of [first, second]) {
    await client.connect();
    await client.open(client.session);
  }
  first.held = [
    { ino: one, level: "exclusive" },
    { ino: two, level: "shared" },
  ];
  second.held = [
    { ino: one, level: "exclusive" },
    { ino: two, level: "exclusive" },
    { ino: rootIno, level: "shared" },
  ];
  t.deepEqual(levels(await first.reclaim()), [`${String(one)} exclusive`, `${String(two)} shared`]);
  t.deepEqual(levels(await second.reclaim()), ["1 shared"]);
  await cluster.stop();
});

test("a session that does not come back is waited for no longer than it may live", async (t) => {
  const cluster = await TestCluster.start();
  const [first, second] = [await TestClient.open(cluster), await TestClient.open(cluster)];
  const ino = await first.create("file");
  await cluster.crash();
  await second.resume();
  const read = pending(second.call("getattr", { ino }, { deadlineMillis: Infinity }));
  await live(cluster, limits.sessionTtlMillis - 2_000, { clients: [second] });
  t.false(read.done);
  t.regex(cluster.server.status().warnings.join("\n"), /1 clients? from before the restart/);
  await live(cluster, 4_000, { clients: [second] });
  t.true(read.done);
  await cluster.stop();
});

test("a session that comes back and never says what it holds does not stop the others for ever", async (t) => {
  const cluster = await TestCluster.start();
  const [first, second] = [await TestClient.open(cluster), await TestClient.open(cluster)];
  const ino = await first.create("file");
  await cluster.crash();
  await second.resume();
  await first.connect();
  await first.open(first.session);
  const read = pending(second.call("getattr", { ino }, { deadlineMillis: Infinity }));
  await live(cluster, 2 * limits.sessionTtlMillis - 1_000, { clients: [first, second] });
  t.false(read.done);
  await live(cluster, limits.sessionTtlMillis, { clients: [second] });
  await live(cluster, 3_000, { clients: [second] });
  t.true(read.done);
  t.false(first.peer.isOpen);
  await cluster.stop();
});

test("a reader that waits for the others after a restart may give up", async (t) => {
  const cluster = await TestCluster.start();
  const [first, second] = [await TestClient.open(cluster), await TestClient.open(cluster)];
  await cluster.crash();
  await second.resume();
  const abort = new AbortController();
  const given = second.call("getattr", { ino: rootIno }, { signal: abort.signal });
  await settle();
  abort.abort(new Error("given up"));
  await t.throwsAsync(given, { message: /given up/ });
  await settle();
  await first.resume();
  t.is((await second.call("getattr", { ino: rootIno })).attributes.ino, rootIno);
  await cluster.stop();
});

test("grants after a restart have greater numbers than those before it", async (t) => {
  const cluster = await TestCluster.start();
  const client = await TestClient.open(cluster);
  const before = (await client.call("getattr", { ino: rootIno })).leases?.[0]?.number ?? 0;
  await cluster.clock.advance(10);
  await cluster.crash();
  client.held = [{ ino: rootIno, level: "shared" }];
  await client.connect();
  await client.open(client.session);
  const [after] = await client.reclaim();
  t.true(before > 0 && (after?.number ?? 0) > before);
  await cluster.stop();
});
