/** Requests that wait for leases: sent again, given up, left by their session. */
import test from "ava";
import { limits } from "../../src/base/limits.ts";
import { nameFromText } from "../../src/base/name.ts";
import type { Ino } from "../../src/base/ids.ts";
import type { LeaseRecall } from "../../src/protocol/leases.ts";
import { settle } from "../support/simulated-clock.ts";
import { live, root, rootIno, TestClient, TestCluster } from "./support.ts";

const errno = (code: string): { message: RegExp } => ({ message: new RegExp(code) });

interface Scene {
  readonly cluster: TestCluster;
  /** Has the file alone, and does not answer recalls before `answer`. */
  readonly holder: TestClient;
  readonly asker: TestClient;
  readonly ino: Ino;
  readonly answer: () => void;
}

async function scene(): Promise<Scene> {
  const cluster = await TestCluster.start();
  const holder = await TestClient.open(cluster);
  const asker = await TestClient.open(cluster);
  const ino = await holder.create("file");
  const recalls: LeaseRecall[] = [];
  holder.onRecall = (recall) => void recalls.push(recall);
  const answer = (): void => {
    holder.onRecall = (recall) => {
      holder.answer(recall);
    };
    for (const recall of recalls) holder.answer(recall);
  };
  return { cluster, holder, asker, ino, answer };
}

/** How a call ended, or that it has not. */
function outcome(promise: Promise<unknown>): { state: string; settled: Promise<void> } {
  const result = { state: "waiting", settled: Promise.resolve() };
  result.settled = promise.then(
    () => {
      result.state = "answered";
    },
    (error: unknown) => {
      result.state = String(error);
    },
  );
  return result;
}

const waiting = ({ cluster }: Scene): number => cluster.server.status().leases.waitingRequests;
const chmod = (ino: Ino, mode = 0o600) => ({ caller: root, ino, mode });

test("a change that waits when its connection breaks is joined when it is sent again, and happens once", async (t) => {
  const all = await scene();
  const { cluster, asker, ino, answer } = all;
  const op = { slot: 5, sequence: 1 };
  const first = outcome(asker.again("setattr", chmod(ino), op));
  await settle();
  await asker.disconnect();
  await first.settled;
  t.is(waiting(all), 1, "it stays");
  await asker.resume();
  const again = asker.again("setattr", chmod(ino), op);
  await settle();
  t.is(waiting(all), 1);
  const records = cluster.store.statistics.records;
  answer();
  const reply = await again;
  t.is(reply.attributes.mode & 0o777, 0o600);
  t.is(reply.leases, undefined, "nothing is granted to an answer that may come after a recall");
  t.is(cluster.store.statistics.records, records + 1);
  await asker.again("setattr", chmod(ino, 0o640), { slot: 5, sequence: 2 });
  await cluster.stop();
});

test("a change that waits and is cancelled does not happen, and its slot goes on", async (t) => {
  const all = await scene();
  const { cluster, asker, ino, answer } = all;
  const abort = new AbortController();
  const op = { slot: 5, sequence: 1 };
  const call = asker.call("setattr", { ...chmod(ino), op }, { signal: abort.signal });
  const cancelled = outcome(call);
  await settle();
  t.is(waiting(all), 1);
  abort.abort(new Error("given up"));
  await cancelled.settled;
  await settle();
  t.is(waiting(all), 0);
  await t.throwsAsync(asker.again("setattr", chmod(ino), op), errno("ECANCELED"), "that is its outcome");
  answer();
  const next = await asker.call("getattr", { ino });
  t.is(next.attributes.mode & 0o777, 0o644);
  await asker.again("setattr", chmod(ino, 0o640), { slot: 5, sequence: 2 });
  await cluster.stop();
});

test("a reader that waits leaves when it is cancelled, and when its connection breaks", async (t) => {
  const all = await scene();
  const { cluster, asker, ino, answer } = all;
  const abort = new AbortController();
  const cancelled = outcome(asker.call("getattr", { ino }, { signal: abort.signal }));
  const broken = outcome(asker.call("getattr", { ino }));
  await settle();
  t.is(waiting(all), 2);
  abort.abort(new Error("given up"));
  await cancelled.settled;
  await settle();
  t.is(waiting(all), 1);
  await asker.disconnect();
  await broken.settled;
  t.is(waiting(all), 0);
  await asker.resume();
  answer();
  t.is((await asker.call("getattr", { ino })).attributes.ino, ino);
  await cluster.stop();
});

test("what an ended session asked for and was waiting for does not happen", async (t) => {
  const all = await scene();
  const { cluster, holder, asker, ino, answer } = all;
  const changed = outcome(asker.change("setattr", chmod(ino), 3));
  await settle();
  const closed = asker.call("closeSession", {});
  await settle();
  t.is(waiting(all), 0);
  await closed;
  await changed.settled;
  t.regex(changed.state, /ESTALE/);
  answer();
  t.is((await holder.call("getattr", { ino })).attributes.mode & 0o777, 0o644);
  await cluster.stop();
});

test("the next request of a slot waits for one that waits for leases", async (t) => {
  const { cluster, asker, ino, answer } = await scene();
  const first = outcome(asker.change("setattr", chmod(ino, 0o600), 2));
  const name = nameFromText("unrelated");
  const next = outcome(asker.change("create", { caller: root, parent: rootIno, name, umask: 0, mode: 0o100644 }, 2));
  await settle();
  t.deepEqual([first.state, next.state], ["waiting", "waiting"]);
  answer();
  await Promise.all([first.settled, next.settled]);
  t.deepEqual([first.state, next.state], ["answered", "answered"]);
  await cluster.stop();
});

test("what a file's holder writes back passes those who wait for the file", async (t) => {
  const { cluster, holder, asker, ino, answer } = await scene();
  const read = outcome(asker.call("getattr", { ino }));
  const changed = outcome(asker.change("setattr", chmod(ino)));
  await settle();
  const content = Buffer.from("late");
  const reply = await holder.change("writeExtents", {
    ...{ ino, epochs: [], size: 4, append: false, clearPrivileges: false },
    extents: [{ kind: "inline", offset: 0, length: 4, content }],
  });
  t.is(reply.attributes.size, 4);
  t.is(reply.leases, undefined);
  t.deepEqual([read.state, changed.state], ["waiting", "waiting"]);
  answer();
  await Promise.all([read.settled, changed.settled]);
  await cluster.stop();
});

test("a flush that makes progress keeps its session alive", async (t) => {
  const { cluster, holder, asker, ino } = await scene();
  const read = outcome(asker.call("getattr", { ino }, { deadlineMillis: Infinity }));
  for (let passed = 0; passed < 3 * limits.recallMillis; passed += 5_000) {
    await live(cluster, 5_000, { clients: [holder, asker] });
    await holder.change("writeExtents", {
      ...{ ino, extents: [], epochs: [], size: passed, append: false, clearPrivileges: false },
    });
  }
  t.true(holder.peer.isOpen);
  t.is(read.state, "waiting");
  await live(cluster, limits.recallMillis, { clients: [asker] });
  await live(cluster, limits.sessionTtlMillis, { clients: [asker] });
  t.is(read.state, "answered", "but not when it leaves off");
  await cluster.stop();
});

test("a client that is blocked by its own change has it done first", async (t) => {
  const { cluster, holder, asker, ino, answer } = await scene();
  await holder.call("getattr", { ino });
  const theirs = outcome(asker.change("setattr", chmod(ino, 0o600)));
  await settle();
  const own = outcome(holder.change("setattr", chmod(ino, 0o640)));
  await settle();
  t.deepEqual([theirs.state, own.state], ["waiting", "waiting"]);
  holder.tell({ kind: "blocked" });
  await own.settled;
  t.deepEqual([theirs.state, own.state], ["waiting", "answered"]);
  answer();
  await theirs.settled;
  await cluster.stop();
});

test("a request that is ready while the store has no room runs when there is some", async (t) => {
  const { cluster, asker, ino, answer } = await scene();
  let makeRoom: () => void = () => undefined;
  const changed = outcome(asker.change("setattr", chmod(ino)));
  await settle();
  let room: Promise<void> | undefined = new Promise((resolve) => {
    makeRoom = resolve;
  });
  cluster.store.room = () => room;
  answer();
  await settle();
  t.is(changed.state, "waiting");
  room = undefined;
  makeRoom();
  await changed.settled;
  t.is(changed.state, "answered");
  await cluster.stop();
});
