/** Locks: closing costs a message only where there may be locks, and ends exactly those that it has to. */
import test from "ava";
import type { Handle, Ino } from "../../src/base/ids.ts";
import type { LockRange, Operations } from "../../src/fuse/operations.ts";
import { createFile, fakeMount, from, type FakeMount } from "./mount.ts";

const whole = { start: 0n, end: 2n ** 63n - 1n, pid: 1 };
const lock = (owner: bigint, type: LockRange["type"] = "write", kind: LockRange["kind"] = "posix"): LockRange => ({
  ...whole,
  owner,
  type,
  kind,
});
const take = (o: Operations, ino: Ino, handle: Handle, what: LockRange): Promise<void> =>
  Promise.resolve(o.setlk(from(), ino, handle, what, false));
const releases = ({ server }: FakeMount): unknown[] =>
  server.calls.filter((call) => call.method === "releaseLocks").map((call): unknown => call.request);

test("closing a file without locks sends nothing", async (t) => {
  const mount = await fakeMount();
  const { entry, opened } = await createFile(mount.operations, "file");
  await mount.operations.flush(from(), entry.attributes.ino, opened.handle, 5n);
  await mount.operations.release(from(), entry.attributes.ino, opened.handle, 5n);
  t.deepEqual(releases(mount), []);
});

test("a close releases the fcntl locks of its owner, through whichever descriptor they were taken, once", async (t) => {
  const mount = await fakeMount();
  const { operations } = mount;
  const { entry, opened } = await createFile(operations, "file");
  const ino = entry.attributes.ino;
  const other = await operations.open(from(), ino, 2, false);
  await take(operations, ino, opened.handle, lock(5n));
  await take(operations, ino, opened.handle, lock(6n));
  await operations.flush(from(), ino, other.handle, 5n);
  t.deepEqual(releases(mount), [{ ino, owner: 5n, kind: "posix" }]);
  await operations.flush(from(), ino, other.handle, 5n);
  t.is(releases(mount).length, 1);
});

test("a late RELEASE leaves locks alone that the same owner took since through another descriptor", async (t) => {
  const mount = await fakeMount();
  const { operations } = mount;
  const { entry, opened } = await createFile(operations, "file");
  const ino = entry.attributes.ino;
  const other = await operations.open(from(), ino, 2, false);
  await take(operations, ino, opened.handle, lock(5n));
  await operations.flush(from(), ino, opened.handle, 5n);
  await take(operations, ino, other.handle, lock(5n));
  await operations.release(from(), ino, opened.handle, undefined);
  t.is(releases(mount).length, 1);
});

test("OFD locks end with their open file: FLUSH names another owner, RELEASE none", async (t) => {
  const mount = await fakeMount();
  const { operations } = mount;
  const { entry, opened } = await createFile(operations, "file");
  const ino = entry.attributes.ino;
  await take(operations, ino, opened.handle, lock(77n));
  await operations.flush(from(), ino, opened.handle, 5n);
  t.deepEqual(releases(mount), []);
  await operations.release(from(), ino, opened.handle, undefined);
  t.deepEqual(releases(mount), [{ ino, owner: 77n, kind: "posix" }]);
});

test("an flock ends with its open file", async (t) => {
  const mount = await fakeMount();
  const { operations } = mount;
  const { entry, opened } = await createFile(operations, "file");
  const ino = entry.attributes.ino;
  await take(operations, ino, opened.handle, lock(9n, "write", "flock"));
  await operations.flush(from(), ino, opened.handle, 5n);
  await operations.release(from(), ino, opened.handle, 9n);
  t.deepEqual(releases(mount), [{ ino, owner: 9n, kind: "flock" }]);
});

for (const kind of ["posix", "flock"] as const) {
  test(`${kind}: a lock that was granted after its handle had failed is given back, and answers EIO`, async (t) => {
    const { operations, server, vfs } = await fakeMount();
    const { entry, opened } = await createFile(operations, "file");
    const { ino } = entry.attributes;
    const asked = lock(9n, "write", kind);
    const grant = server.hold("setLock");
    const waiting = Promise.resolve(operations.setlk(from(), ino, opened.handle, asked, true));
    await vfs.events.onSession({ resumed: false });
    grant();
    await t.throwsAsync(waiting, { message: /^EIO/ });
    const calls = server.calls.filter(({ method }) => method === "setLock").map(({ request }): unknown => request);
    t.deepEqual(calls, [
      { ino, lock: asked, wait: true },
      { ino, lock: { ...asked, type: "unlock" }, wait: false },
    ]);
  });
}

test("closing a handle that lost one lock to somebody else ends the others, once, and says EIO", async (t) => {
  const mount = await fakeMount();
  const { operations, vfs } = mount;
  const { entry, opened } = await createFile(operations, "file");
  const { ino } = entry.attributes;
  const lost = { ...lock(5n), end: 9n };
  await take(operations, ino, opened.handle, lost);
  await take(operations, ino, opened.handle, { ...lock(5n), start: 20n });
  await take(operations, ino, opened.handle, { ...lock(77n), start: 10n, end: 11n });
  vfs.events.onLocksLost?.([{ ino, lock: lost }]);
  const flush = async (): Promise<void> => operations.flush(from(), ino, opened.handle, 5n);
  await t.throwsAsync(flush, { message: /^EIO/ });
  t.deepEqual(releases(mount), [{ ino, owner: 5n, kind: "posix" }]);
  await t.throwsAsync(flush, { message: /^EIO/ });
  await operations.release(from(), ino, opened.handle, undefined);
  t.deepEqual(releases(mount).slice(1), [{ ino, owner: 77n, kind: "posix" }]);
});

test("locks outlive changes that the name server refused, and end when their file is closed", async (t) => {
  const mount = await fakeMount();
  const { operations, vfs } = mount;
  const { entry, opened } = await createFile(operations, "file");
  const { ino } = entry.attributes;
  await take(operations, ino, opened.handle, lock(5n));
  await take(operations, ino, opened.handle, lock(9n, "write", "flock"));
  vfs.events.ahead.onLost(new Error("somebody else has it"));
  await operations.flush(from(), ino, opened.handle, 5n);
  await operations.release(from(), ino, opened.handle, 9n);
  t.deepEqual(releases(mount), [
    { ino, owner: 5n, kind: "posix" },
    { ino, owner: 9n, kind: "flock" },
  ]);
});

test("a late RELEASE from before a lost session leaves locks alone that the same owner took since", async (t) => {
  const mount = await fakeMount();
  const { operations, vfs } = mount;
  const { entry, opened } = await createFile(operations, "file");
  const { ino } = entry.attributes;
  await take(operations, ino, opened.handle, lock(5n));
  await vfs.events.onSession({ resumed: false });
  t.throws(() => operations.flush(from(), ino, opened.handle, 5n), { message: /^EIO/ });
  const other = await operations.open(from(), ino, 2, false);
  await take(operations, ino, other.handle, lock(5n));
  await operations.release(from(), ino, opened.handle, undefined);
  t.deepEqual(releases(mount), []);
});

test("waiting for a lock has no deadline, and an interrupt ends it with EINTR", async (t) => {
  const { operations, server } = await fakeMount();
  const { entry, opened } = await createFile(operations, "file");
  server.hold("setLock");
  const controller = new AbortController();
  const request = from({ signal: controller.signal });
  const waiting = Promise.resolve(operations.setlk(request, entry.attributes.ino, opened.handle, lock(1n), true));
  controller.abort(new Error("interrupted"));
  await t.throwsAsync(waiting, { message: /^EINTR/ });
});

test("a taken lock answers EAGAIN, and GETLK tells whose it is", async (t) => {
  const { operations, server } = await fakeMount();
  const { entry, opened } = await createFile(operations, "file");
  const ino = entry.attributes.ino;
  server.fail("setLock", "EAGAIN");
  await t.throwsAsync(take(operations, ino, opened.handle, lock(1n)), { message: /^EAGAIN/ });
  server.script("getLock", () => ({ lock: lock(2n) }));
  t.deepEqual(await operations.getlk(from(), ino, opened.handle, lock(1n)), lock(2n));
  server.script("getLock", () => ({ lock: null }));
  t.is(await operations.getlk(from(), ino, opened.handle, lock(1n)), undefined);
});
