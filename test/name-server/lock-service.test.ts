import test from "ava";
import type { Ino } from "../../src/base/ids.ts";
import { limits } from "../../src/base/limits.ts";
import type { Lock } from "../../src/protocol/types.ts";
import { settle } from "../support/simulated-clock.ts";
import { live, TestClient, TestCluster } from "./support.ts";

const errno = (code: string): { message: RegExp } => ({ message: new RegExp(code) });
const ino = 7 as Ino;
const write: Lock = { kind: "posix", type: "write", start: 0n, end: 9n, owner: 1n, pid: 42 };
const unlock: Lock = { ...write, type: "unlock" };

/** A call for a lock, and whether it has been answered. */
function asking(
  client: TestClient,
  lock: Lock,
  more: { signal?: AbortSignal; reclaim?: boolean } = {},
): { state: string; done: Promise<void> } {
  const { signal, ...flags } = more;
  const result = { state: "waiting", done: Promise.resolve() };
  const options = { deadlineMillis: Infinity, ...(signal === undefined ? {} : { signal }) };
  result.done = client.call("setLock", { ino, lock, wait: true, ...flags }, options).then(
    () => {
      result.state = "granted";
    },
    (error: unknown) => {
      result.state = String(error);
    },
  );
  return result;
}

async function two(): Promise<{ cluster: TestCluster; first: TestClient; second: TestClient }> {
  const cluster = await TestCluster.start();
  const first = await TestClient.open(cluster);
  const second = await TestClient.open(cluster);
  return { cluster, first, second };
}

test("a lock of one session refuses another's, is shown by getLock, and is free after it was released", async (t) => {
  const { cluster, first, second } = await two();
  await first.call("setLock", { ino, lock: write, wait: false });
  await t.throwsAsync(second.call("setLock", { ino, lock: write, wait: false }), errno("EAGAIN"));
  t.deepEqual((await second.call("getLock", { ino, lock: write })).lock, write);
  t.is((await first.call("getLock", { ino, lock: write })).lock, null);
  await first.call("releaseLocks", { ino, owner: 1n, kind: "posix" });
  await second.call("setLock", { ino, lock: write, wait: false });
  await cluster.stop();
});

test("a waiting call is answered when the lock is granted", async (t) => {
  const { cluster, first, second } = await two();
  await first.call("setLock", { ino, lock: write, wait: true });
  const asked = asking(second, write);
  await settle();
  t.is(asked.state, "waiting");
  await first.call("setLock", { ino, lock: unlock, wait: false });
  await asked.done;
  t.is(asked.state, "granted");
  await cluster.stop();
});

test("a cancelled waiter does not get the lock", async (t) => {
  const { cluster, first, second } = await two();
  await first.call("setLock", { ino, lock: write, wait: true });
  const abort = new AbortController();
  const asked = asking(second, write, { signal: abort.signal });
  await settle();
  abort.abort(new Error("given up"));
  await asked.done;
  await settle();
  await first.call("setLock", { ino, lock: unlock, wait: false });
  t.is((await first.call("getLock", { ino, lock: write })).lock, null);
  await cluster.stop();
});

test("a waiter whose connection broke does not get the lock", async (t) => {
  const { cluster, first, second } = await two();
  await first.call("setLock", { ino, lock: write, wait: true });
  const asked = asking(second, write);
  await settle();
  await second.disconnect();
  await asked.done;
  await first.call("setLock", { ino, lock: unlock, wait: false });
  t.is((await first.call("getLock", { ino, lock: write })).lock, null);
  await cluster.stop();
});

test("locks stay while a session is merely cut off, and are free once its end is durable", async (t) => {
  const { cluster, first, second } = await two();
  await first.call("setLock", { ino, lock: write, wait: true });
  const asked = asking(second, write);
  await first.disconnect();
  await live(cluster, limits.sessionTtlMillis - 2_000, { clients: [second] });
  t.is(asked.state, "waiting");
  await live(cluster, 4_000, { clients: [second] });
  t.is(asked.state, "granted");
  await cluster.stop();
});

test("a deadlock between sessions is told as EDEADLK", async (t) => {
  const { cluster, first, second } = await two();
  const other = { ...write, start: 10n, end: 19n };
  await first.call("setLock", { ino, lock: write, wait: true });
  await second.call("setLock", { ino, lock: other, wait: true });
  const asked = asking(first, other);
  await settle();
  await t.throwsAsync(second.call("setLock", { ino, lock: write, wait: true }), errno("EDEADLK"));
  t.is(asked.state, "waiting");
  await cluster.stop();
});

test("a range that ends before it begins is refused", async (t) => {
  const { cluster, first } = await two();
  await t.throwsAsync(first.call("setLock", { ino, lock: { ...write, start: 10n }, wait: false }), errno("EINVAL"));
  await t.throwsAsync(first.call("setLock", { ino, lock: { ...write, end: 2n ** 63n }, wait: false }), errno("EINVAL"));
  await cluster.stop();
});

test("after a restart locks are only taken again until every session is back", async (t) => {
  const { cluster, first, second } = await two();
  await second.call("setLock", { ino, lock: write, wait: true });
  await cluster.crash();
  await first.resume();
  const early = asking(first, write);
  const shown = first.call("getLock", { ino, lock: write });
  await live(cluster, 2_000, { clients: [first] });
  t.is(early.state, "waiting");
  await second.connect();
  await second.open(second.session);
  await second.call("heartbeat", {});
  t.is(early.state, "waiting");
  await second.call("setLock", { ino, lock: write, wait: false, reclaim: true });
  t.is(early.state, "waiting");
  await second.reclaim();
  await settle();
  t.is(early.state, "waiting", "the holder came back to its own");
  t.deepEqual((await shown).lock, write, "nor is it said before that nobody has it");
  await second.call("setLock", { ino, lock: unlock, wait: false });
  await early.done;
  t.is(early.state, "granted");
  await cluster.stop();
});

test("after a restart new locks wait no longer than an absent session may live", async (t) => {
  const { cluster, first, second } = await two();
  await second.call("setLock", { ino, lock: write, wait: true });
  await cluster.crash();
  await first.resume();
  const asked = asking(first, write);
  await settle();
  t.regex(cluster.server.status().warnings.join("\n"), /1 clients? from before the restart/);
  await live(cluster, limits.sessionTtlMillis + 3_000, { clients: [first] });
  t.is(asked.state, "granted");
  await cluster.stop();
});
