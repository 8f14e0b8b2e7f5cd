/** The ahead log: what leaves when, in which order, what is sent again, and what is told when it is lost. */
import test from "ava";
import { FsError } from "../../src/base/errno.ts";
import { toIno } from "../../src/base/ids.ts";
import { limits } from "../../src/base/limits.ts";
import type { Attributes } from "../../src/base/attributes.ts";
import { turns } from "../vfs/mount.ts";
import { entryOf, HeldPeer, setattrOf, testLog, watched, type TestLog } from "./support/held-answers.ts";
import { errnoIs } from "./support/requests.ts";

const ino = toIno(7);
const broken = (): FsError => new FsError("ECONNRESET", "the connection broke");

function addMany({ log }: TestLog, count: number, from = 0): void {
  for (let i = 0; i < count; i++) log.add(entryOf(`name${String(from + i)}`), 10);
}

/** Adds entries of nearly the size of a batch until no more bytes may be under way. */
function fillWindow({ log }: TestLog): void {
  const bytes = limits.messageBytesMax / 2 - 1_000;
  for (let sent = 0; sent < limits.aheadBytesInFlightMax; sent += bytes) {
    log.add(entryOf("large"), bytes);
    void log.send();
  }
}

test("what is added within a moment leaves together when the moment is over, in the order of adding", async (t) => {
  const { log, clock, peer } = testLog();
  log.add(entryOf("a"), 1);
  log.add(entryOf("b"), 1);
  await clock.advance(limits.aheadMillis - 1);
  log.add(entryOf("c"), 1);
  t.deepEqual(peer.calls, []);
  await clock.advance(1);
  t.deepEqual(peer.sequences, [1]);
  t.deepEqual(peer.names, ["a", "b", "c"]);
  t.is(log.size, 3);
  log.add(entryOf("d"), 1);
  await clock.advance(limits.aheadMillis);
  t.deepEqual(peer.sequences, [1, 2]);
  peer.at(0).answer();
  await turns();
  t.is(log.size, 1);
});

test("a full batch leaves at once, and no batch has more entries or bytes than a message may", (t) => {
  const parts = testLog();
  addMany(parts, limits.aheadBatchMax - 1);
  t.deepEqual(parts.peer.calls, []);
  addMany(parts, 1);
  t.deepEqual(parts.peer.sizes, [limits.aheadBatchMax]);
  const large = testLog();
  for (let i = 0; i < 3; i++) large.log.add(entryOf("large"), limits.messageBytesMax / 3);
  void large.log.send();
  t.deepEqual(large.peer.sizes, [1, 1, 1]);
});

test("sent is what waits, before the moment is over; without anything there is nothing to wait for", (t) => {
  const { log, peer } = testLog();
  t.is(log.send(), undefined);
  log.add(entryOf("a"), 1);
  t.is(log.send(), undefined);
  t.deepEqual(peer.names, ["a"]);
  t.is(log.send(), undefined);
  t.is(peer.calls.length, 1);
});

test("with too many bytes under way sending waits until answers have made room for all that waits", async (t) => {
  const parts = testLog();
  const { log, peer } = parts;
  fillWindow(parts);
  const before = peer.calls.length;
  addMany(parts, limits.aheadBatchMax + 3);
  const coming = log.send();
  t.is(peer.calls.length, before);
  if (coming === undefined) throw new Error("it should wait");
  const waits = watched(coming);
  await turns();
  t.is(waits.state, "waiting");
  peer.at(0).answer();
  await turns();
  t.is(waits.state, "resolved");
  t.deepEqual(peer.sizes.slice(before), [limits.aheadBatchMax, 3]);
});

test("it is closed for more at its bound, and open again when a batch is durable", async (t) => {
  const parts = testLog();
  const { log, peer } = parts;
  addMany(parts, limits.aheadEntriesMax - 1);
  t.true(log.isOpen);
  addMany(parts, 1);
  t.false(log.isOpen);
  t.is(log.size, limits.aheadEntriesMax);
  peer.at(0).answer();
  await turns();
  t.true(log.isOpen);
});

test("flushed is when all that was added before is durable, whatever is added later", async (t) => {
  const { log, peer } = testLog();
  log.add(entryOf("a"), 1);
  void log.send();
  log.add(entryOf("b"), 1);
  const flush = watched(log.flush());
  log.add(entryOf("c"), 1);
  t.deepEqual(peer.names, ["a", "b"]);
  peer.at(0).answer();
  await turns();
  t.is(flush.state, "waiting");
  peer.at(1).answer();
  await turns();
  t.is(flush.state, "resolved");
  t.is(log.size, 1);
});

test("who waits for a change gets the attributes of its inode, the events all of the batch and when it was sent", async (t) => {
  let moment = 3;
  const { log, peer, told } = testLog({ moment: () => moment });
  const change = log.addAndWait(setattrOf(ino), 10);
  const gone = log.addAndWait(setattrOf(toIno(8)), 10);
  void log.send();
  moment = 9;
  const attributes = { ino, size: 11 } as Attributes;
  peer.at(0).answer({ attributes: [attributes], leases: [{ ino: toIno(9), number: 4, level: "exclusive" }] });
  t.is(await change, attributes);
  t.is(await gone, undefined);
  t.deepEqual(told, ["applied 7 / 9 / 3"]);
});

test("after a broken connection what is not durable is sent again, the same and in order, before anything newer", async (t) => {
  const { log, peer, broken: gone, clock } = testLog();
  for (const name of ["a", "b", "c"]) {
    log.add(entryOf(name), 1);
    void log.send();
  }
  peer.at(0).answer();
  await turns();
  peer.at(1).refuse(broken());
  peer.at(2).refuse(broken());
  await turns();
  t.true(gone.length > 0 && gone.every((which) => which === peer.asPeer));
  log.add(entryOf("d"), 1);
  t.true(log.isOpen);
  const sending = log.send();
  t.true(sending instanceof Promise);
  await clock.advance(limits.aheadMillis * 3);
  t.is(peer.calls.length, 3);

  const next = new HeldPeer();
  log.connected(next.asPeer);
  t.deepEqual(next.sequences, [2, 3, 4]);
  t.deepEqual(next.names, ["b", "c", "d"]);
  t.deepEqual(next.at(0).request, peer.at(1).request);
  await sending;
  const flush = watched(log.flush());
  for (const call of next.calls) call.answer();
  await turns();
  t.is(flush.state, "resolved");
  t.is(log.size, 0);
});

test("what was added without a connection goes out with the next one, also more than may be under way", (t) => {
  const parts = testLog();
  const { log, peer } = parts;
  fillWindow(parts);
  addMany(parts, 5);
  t.is(log.size, peer.calls.length + 5);
  const next = new HeldPeer();
  log.connected(next.asPeer);
  t.deepEqual(next.sizes, [...peer.sizes, 5]);
});

test("answers that come late from the old connection do no harm", async (t) => {
  const { log, peer, told } = testLog();
  log.add(entryOf("a"), 1);
  void log.send();
  log.add(entryOf("b"), 1);
  void log.send();
  const next = new HeldPeer();
  log.connected(next.asPeer);
  peer.at(0).answer();
  await turns();
  t.is(log.size, 1);
  next.at(0).answer();
  await turns();
  peer.at(0).answer();
  peer.at(1).refuse(broken());
  await turns();
  t.is(log.size, 1);
  log.add(entryOf("c"), 1);
  t.is(log.send(), undefined);
  t.deepEqual(next.names, ["a", "b", "c"]);
  next.at(1).answer();
  next.at(2).answer();
  await turns();
  t.is(log.size, 0);
  t.is(told.length, 3);
});

test("after a refusal everything is lost, which is told once", async (t) => {
  const parts = testLog();
  const { log, peer, told } = parts;
  fillWindow(parts);
  const waiting = watched(log.addAndWait(setattrOf(ino), 10));
  const sending = log.send();
  peer.at(0).refuse(new FsError("EIO", "somebody else has it"));
  peer.at(1).refuse(new FsError("EIO", "after one that was refused"));
  await turns();
  await sending;
  t.deepEqual(told, ["lost: EIO: somebody else has it"]);
  t.is(waiting.state, "EIO");
  t.false(log.isOpen);
  t.is(log.size, 0);
  await t.throwsAsync(log.flush(), errnoIs("EIO"));
  await log.flush();
  await t.throwsAsync(log.addAndWait(setattrOf(ino), 10), errnoIs("EIO"));
});

test("who was waiting for a flush has been told of the loss: the next flush has nothing to tell", async (t) => {
  const { log, peer } = testLog();
  log.add(entryOf("a"), 1);
  const one = watched(log.flush());
  const other = watched(log.flush());
  peer.at(0).refuse(new FsError("EIO", "somebody else has it"));
  await turns();
  t.deepEqual([one.state, other.state], ["EIO", "EIO"]);
  await log.flush();
});

test("with a new session it begins afresh, and says once what was lost with the old one", async (t) => {
  const { log, peer, told } = testLog();
  log.add(entryOf("a"), 1);
  void log.send();
  log.add(entryOf("b"), 1);
  const waiting = watched(log.addAndWait(setattrOf(ino), 10));
  log.endSession(new FsError("EIO", "the session was lost"));
  await turns();
  t.is(waiting.state, "EIO");
  t.true(log.isOpen);
  t.is(log.size, 0);
  t.deepEqual(told, []);
  const next = new HeldPeer();
  log.connected(next.asPeer);
  t.deepEqual(next.calls, []);
  await t.throwsAsync(log.flush(), errnoIs("EIO"));
  await log.flush();
  log.add(entryOf("c"), 1);
  void log.send();
  t.deepEqual([next.sequences, next.names], [[1], ["c"]]);
  // Neither does the answer to the old session's batch count for the new one's of the same number.
  peer.at(0).answer();
  await turns();
  t.is(log.size, 1);
});

test("a session that ends with nothing on its way has nothing to tell", async (t) => {
  const { log, peer } = testLog();
  log.add(entryOf("a"), 1);
  void log.send();
  peer.at(0).answer();
  await turns();
  log.endSession(new FsError("EIO", "the session was lost"));
  await log.flush();
  t.pass();
});

test("a refusal that belongs to a session that has ended does not end the new one's log", async (t) => {
  const { log, peer, told } = testLog();
  log.add(entryOf("a"), 1);
  void log.send();
  log.endSession(new FsError("EIO", "the session was lost"));
  const next = new HeldPeer();
  log.connected(next.asPeer);
  log.add(entryOf("b"), 1);
  void log.send();
  peer.at(0).refuse(new FsError("ESTALE", "the session has ended"));
  await turns();
  t.true(log.isOpen);
  t.is(log.size, 1);
  t.deepEqual(told, []);
});

test("closed, it takes nothing more, fails who waits, and has no timer", async (t) => {
  const { log, clock } = testLog();
  log.add(entryOf("a"), 1);
  const waiting = watched(log.addAndWait(setattrOf(ino), 10));
  log.close();
  await turns();
  t.is(waiting.state, "EIO");
  t.false(log.isOpen);
  t.is(clock.timers, 0);
});

test("a window that is full is left by everything in order of adding", async (t) => {
  const parts = testLog();
  const { log, peer } = parts;
  fillWindow(parts);
  const before = peer.calls.length;
  addMany(parts, 700);
  let answered = 0;
  while (log.size > 0) {
    peer.at(answered++).answer();
    await turns();
  }
  t.deepEqual(
    peer.names.slice(before),
    Array.from({ length: 700 }, (_, i) => `name${String(i)}`),
  );
  t.deepEqual(
    peer.sequences,
    Array.from({ length: peer.calls.length }, (_, i) => i + 1),
  );
});
