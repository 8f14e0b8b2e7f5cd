import test from "ava";
import fc from "fast-check";
import { FsError } from "../../src/base/errno.ts";
import { toIno } from "../../src/base/ids.ts";
import { limits } from "../../src/base/limits.ts";
import type { Lock } from "../../src/protocol/types.ts";
import { HeldLocks } from "../../src/remote/held-locks.ts";
import type { NameServer } from "../../src/remote/types.ts";
import { settle } from "../support/simulated-clock.ts";
import { connected, quietEvents, type Connected } from "./support/fake-name-server.ts";
import { silence } from "./support/fake-peer.ts";

const ino = toIno(9);

function range(type: Lock["type"], start: number, end: number, owner = 1n): Lock {
  return { kind: "posix", type, start: BigInt(start), end: BigInt(end), owner, pid: 10 };
}

function setLock(client: NameServer, lock: Lock, options: { wait?: boolean; signal?: AbortSignal } = {}) {
  const { wait = false, signal } = options;
  return client.ask("setLock", { ino, lock, wait }, signal === undefined ? undefined : { signal });
}

const brief = ({ lock }: { lock: Lock }): string => `${lock.type} ${String(lock.start)}-${String(lock.end)}`;
const onServer = ({ server }: Connected): string[] => server.locks.map(brief);

test("locks are taken again after a restart of the server, before anything else is sent", async (t) => {
  const all = await connected();
  const { client, server, clock } = all;
  await setLock(client, range("write", 0, 99));
  await setLock(client, range("unlock", 20, 39));
  await setLock(client, range("read", 80, 89));
  server.refusal = new FsError("ECONNREFUSED", "away");
  server.restart();
  await settle();
  const asked = client.ask("getattr", { ino });
  server.refusal = undefined;
  await clock.advance(2_000);
  await asked;
  t.deepEqual(onServer(all), ["write 0-19", "write 40-79", "read 80-89", "write 90-99"]);
  const methods = server.peer.calls.map(({ method }) => method);
  t.deepEqual(methods.slice(0, 7), ["openSession", "heartbeat", "setLock", "setLock", "setLock", "setLock", "getattr"]);
  await client.close();
});

test("locks that were released, also by close, are not taken again", async (t) => {
  const all = await connected();
  const { client, server, clock } = all;
  await setLock(client, range("write", 0, 99, 1n));
  await setLock(client, range("write", 200, 299, 2n));
  await setLock(client, range("write", 300, 399, 2n));
  await client.ask("releaseLocks", { ino, owner: 2n, kind: "posix" });
  await setLock(client, range("unlock", 0, 99, 1n));
  server.restart();
  await clock.advance(2_000);
  t.deepEqual(onServer(all), []);
  await client.close();
});

test("a release under way when the server goes away is not undone by taking locks again", async (t) => {
  const all = await connected();
  const { client, server, clock } = all;
  await setLock(client, range("write", 0, 99));
  server.intercept = (call) => (call.method === "setLock" ? silence : undefined);
  const release = setLock(client, range("unlock", 0, 99));
  await settle();
  server.intercept = () => undefined;
  server.restart();
  await clock.advance(2_000);
  await release;
  t.deepEqual(onServer(all), ["unlock 0-99"]);
  await client.close();
});

test("a lock that somebody else has after a restart is reported as lost, once", async (t) => {
  const lost: string[] = [];
  const all = await connected({
    events: {
      ...quietEvents,
      onLocksLost: (locks) => {
        lost.push(...locks.map(brief));
      },
    },
  });
  const { client, server, clock } = all;
  await setLock(client, range("write", 0, 9));
  await setLock(client, range("write", 20, 29));
  server.intercept = (call) => {
    if (call.method !== "setLock" || (call.request as { lock: Lock }).lock.start !== 0n) return undefined;
    throw new FsError("EAGAIN", "taken");
  };
  server.restart();
  await clock.advance(2_000);
  server.restart();
  await clock.advance(2_000);
  t.deepEqual(lost, ["write 0-9"]);
  t.deepEqual(onServer(all), ["write 20-29"]);
  await client.close();
});

test("a waiting lock has no deadline, and giving it up leaves the server with what was held before", async (t) => {
  const all = await connected();
  const { client, server, clock } = all;
  await setLock(client, range("read", 10, 19));
  server.intercept = (call) => ((call.request as { wait?: boolean }).wait === true ? silence : undefined);
  const abort = new AbortController();
  const waiting = setLock(client, range("write", 0, 29), { wait: true, signal: abort.signal });
  await clock.advance(600_000);
  abort.abort(new FsError("EINTR", "interrupted"));
  await t.throwsAsync(waiting, { message: /^EINTR/ });
  await settle();
  t.deepEqual(onServer(all).slice(1), ["unlock 0-9", "read 10-19", "unlock 20-29"]);
  await client.close();
});

test("a lock given up while the server is away does not stay behind", async (t) => {
  const all = await connected();
  const { client, server, clock } = all;
  server.intercept = (call) => (call.method === "setLock" ? silence : undefined);
  const abort = new AbortController();
  const waiting = setLock(client, range("write", 0, 29), { wait: true, signal: abort.signal });
  await settle();
  server.intercept = () => undefined;
  server.refusal = new FsError("ECONNREFUSED", "away");
  server.restart();
  await settle();
  abort.abort(new FsError("EINTR", "interrupted"));
  await t.throwsAsync(waiting, { message: /^EINTR/ });
  server.refusal = undefined;
  await clock.advance(2_000);
  t.deepEqual(onServer(all), ["unlock 0-29"]);
  await client.close();
});

test("a client holds no more locks than it can take again: ENOLCK", async (t) => {
  const { client, server } = await connected();
  server.intercept = (call) => (call.method === "setLock" ? {} : undefined);
  const one = (i: number) => client.ask("setLock", { ino: toIno(i + 2), lock: range("write", 0, 9), wait: false });
  await Promise.all(Array.from({ length: limits.locksPerSessionMax }, (_, i) => one(i)));
  await t.throwsAsync(one(limits.locksPerSessionMax), { message: /^ENOLCK/ });
  await client.ask("releaseLocks", { ino: toIno(2), owner: 1n, kind: "posix" });
  await t.notThrowsAsync(one(0));
  await client.close();
});

test("what is remembered of locks agrees with a map of single bytes", (t) => {
  const step = fc.record({
    type: fc.constantFrom<Lock["type"]>("read", "write", "unlock"),
    start: fc.nat(20),
    length: fc.integer({ min: 1, max: 12 }),
    owner: fc.constantFrom(1n, 2n),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
      const held = new HeldLocks();
      const bytes = new Map<string, string>();
      for (const { type, start, length, owner } of steps) {
        held.set(ino, range(type, start, start + length - 1, owner));
        for (let at = start; at < start + length; at++) bytes.set(`${String(owner)}:${String(at)}`, type);
      }
      const pieces = held.all();
      t.is(held.count, pieces.length);
      for (const owner of [1n, 2n]) {
        const truth = (at: number): string => bytes.get(`${String(owner)}:${String(at)}`) ?? "unlock";
        const found = (list: typeof pieces, at: number): string[] =>
          list
            .filter(({ lock }) => lock.owner === owner && lock.start <= BigInt(at) && lock.end >= BigInt(at))
            .map(({ lock }) => lock.type);
        const corrections = held.corrections(ino, range("unlock", 3, 25, owner));
        for (let at = 0; at < 34; at++) {
          t.deepEqual(found(pieces, at), truth(at) === "unlock" ? [] : [truth(at)]);
          t.deepEqual(found(corrections, at), at >= 3 && at <= 25 ? [truth(at)] : []);
        }
      }
    }),
    { numRuns: 100 },
  );
});
