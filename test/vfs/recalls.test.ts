/** Giving leases back: in which order, what is waited for, and what the server is told. */
import test from "ava";
import { FsError } from "../../src/base/errno.ts";
import { turns } from "./mount.ts";
import { file, gate, other, World } from "./recall-world.ts";

test("what was changed is flushed, and said to be; the kernel forgets; then the recall is acknowledged", async (t) => {
  const world = new World();
  world.enter(file, "exclusive");
  const [flush, kernel] = [gate(), gate()];
  [world.flushed, world.forgotten] = [flush.wait, kernel.wait];
  const number = String(world.recall(file));
  await turns();
  t.deepEqual(world.take(), ["forget extents 8", "flush 8"]);
  flush.open();
  await turns();
  const [first, ...rest] = world.take();
  t.is(first, "is flushed 8");
  t.deepEqual(rest.toSorted(), [`flushed 8 #${number}`, "kernel: data 8 0 0"]);
  kernel.open();
  await turns();
  t.deepEqual(world.take(), [`acknowledged 8 #${number}`]);
});

test("under a shared lease nothing was changed: no flush, and none is told of", async (t) => {
  const world = new World();
  world.enter(file, "shared");
  const number = String(world.recall(file));
  await turns();
  t.deepEqual(world.take(), ["forget extents 8", "kernel: data 8 0 0", `acknowledged 8 #${number}`]);
});

test("lowered to shared, what is here and in the kernel stays, and the flush is told by the acknowledgement", async (t) => {
  const world = new World();
  const inode = world.enter(file, "exclusive");
  const number = String(world.recall(file, "shared", []));
  t.is(world.leases.level(file), "shared");
  t.true(world.coherence.trusts(inode));
  await turns();
  t.deepEqual(world.take(), ["flush 8", "is flushed 8", `acknowledged 8 #${number}`]);
});

test("a recall of an inode that is not here is acknowledged when the kernel has dropped its pages", async (t) => {
  const world = new World();
  const kernel = gate();
  world.notifier.gate = () => kernel.wait;
  const number = String(world.recall(file));
  await turns();
  t.deepEqual(world.take(), ["forget extents 8"]);
  t.deepEqual(world.notifier.sent, ["data 8 0 0"]);
  kernel.open();
  await turns();
  t.deepEqual(world.take(), [`acknowledged 8 #${number}`]);
});

test("before there is a kernel recalls are acknowledged without it", async (t) => {
  const world = new World();
  Object.assign(world.core, { notifier: undefined, kernelCaches: undefined });
  world.enter(file, "shared");
  world.recall(file);
  world.recall(other);
  await turns();
  const lines = world.take().filter((line) => !line.startsWith("forget extents"));
  t.deepEqual(lines.map((line) => line.split(" #", 1)[0]).toSorted(), ["acknowledged 8", "acknowledged 9"]);
});

test("blocked: a change of the file holds its flush back", async (t) => {
  const world = new World();
  world.enter(file, "exclusive");
  const flush = gate();
  world.flushed = flush.wait;
  world.isHeld = true;
  const number = String(world.recall(file));
  await turns();
  t.deepEqual(world.take(), ["forget extents 8", "flush 8", "blocked"]);
  flush.open();
  await turns();
  const lines = world.take();
  t.false(lines.includes("blocked"));
  t.is(lines.at(-1), `acknowledged 8 #${number}`);
});

test("blocked: the kernel has not forgotten for a second; said once", async (t) => {
  const world = new World();
  world.enter(file, "shared");
  const kernel = gate();
  world.forgotten = kernel.wait;
  const number = String(world.recall(file));
  await turns();
  world.take();
  world.clock.advance(999);
  await turns();
  t.deepEqual(world.take(), []);
  world.clock.advance(1);
  await turns();
  t.deepEqual(world.take(), ["blocked"]);
  world.clock.advance(60_000);
  await turns();
  t.deepEqual(world.take(), []);
  kernel.open();
  await turns();
  t.deepEqual(world.take(), [`acknowledged 8 #${number}`]);
});

test("not blocked: the kernel has forgotten in time", async (t) => {
  const world = new World();
  world.enter(file, "shared");
  world.recall(file);
  await turns();
  world.take();
  world.clock.advance(60_000);
  await turns();
  t.deepEqual(world.take(), []);
});

test("what the kernel refuses to forget is not acknowledged, and logged; other recalls go on", async (t) => {
  const world = new World();
  world.enter(file, "exclusive");
  world.enter(other, "shared");
  world.forgotten = Promise.reject(new FsError("EAGAIN", "too many notifications"));
  world.recall(file);
  await turns();
  t.false(world.take().some((line) => line.startsWith("acknowledged")));
  t.deepEqual(
    world.errors.map(({ ino, errno }) => [ino, errno]),
    [[file, "EAGAIN"]],
  );
  world.forgotten = undefined;
  const number = String(world.recall(other));
  await turns();
  t.is(world.take().at(-1), `acknowledged 9 #${number}`);
  world.clock.advance(60_000);
  await turns();
  t.deepEqual(world.take(), [], "and nobody watches for the time of what has failed");
});

test("a second recall finds the flush of the first under way: it waits for that, and does not flush again", async (t) => {
  const world = new World();
  world.enter(file, "exclusive");
  const flush = gate();
  world.flushed = flush.wait;
  const first = String(world.recall(file, "shared", [{ kind: "data", offset: 10, length: 20 }]));
  await turns();
  const second = String(world.recall(file));
  await turns();
  t.deepEqual(world.take(), ["forget extents 8", "flush 8", "forget extents 8"]);
  flush.open();
  await turns();
  const lines = world.take();
  t.is(lines.filter((line) => line.startsWith("flush ")).length, 0);
  for (const number of [first, second]) {
    const [told, done] = [lines.indexOf(`flushed 8 #${number}`), lines.indexOf(`acknowledged 8 #${number}`)];
    t.true(told > lines.indexOf("is flushed 8"), number);
    t.true(done > told, number);
  }
  // When that is over a third one has nothing to wait for.
  const third = String(world.recall(file));
  await turns();
  t.deepEqual(world.take(), ["forget extents 8", "kernel: data 8 0 0", `acknowledged 8 #${third}`]);
});

test("what is told in one turn is one message", async (t) => {
  const world = new World();
  world.enter(file, "shared");
  world.enter(other, "shared");
  world.recallAll([file, other].map((ino) => world.recallOf(ino, "none", [{ kind: "everything" }])));
  await turns();
  t.deepEqual(
    world.messages.map((news) => news.map(({ kind }) => kind)),
    [["acknowledged", "acknowledged"]],
  );
});
