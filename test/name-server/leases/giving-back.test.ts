/** How leases and requests go: acknowledged, cancelled, with their session, over a restart. */
import test from "ava";
import { a, b, changing, createScene, one, reading, two } from "./scene.ts";

test("an acknowledgement of an earlier recall counts for nothing", (t) => {
  const scene = createScene();
  scene.take(a, reading(one));
  scene.ask(b, "change", changing(one));
  scene.act(scene.table.acknowledged(a, one, scene.recallOf(a) - 1, scene.now));
  scene.act(scene.table.flushed(a, one, scene.recallOf(a) - 1, scene.now));
  t.deepEqual(scene.events(), ["a: 11 to shared attributes"]);
});

test("what a cancelled request waited for goes to the next", (t) => {
  const scene = createScene();
  const first = scene.ask(a, "first", changing(one));
  scene.ask(b, "second", changing(one));
  scene.act(scene.table.cancel(first, scene.now));
  scene.act(scene.table.cancel(first, scene.now));
  t.deepEqual(scene.events(), ["run first", "run second"]);
});

test("the end of a session frees what it had and drops what it asked for", (t) => {
  const scene = createScene();
  scene.take(a, reading(one, "exclusive"));
  const waiting = scene.ask(a, "its own", changing(two));
  const change = scene.ask(b, "change", changing(one));
  scene.act(scene.table.sessionEnded(a, scene.now));
  t.deepEqual(scene.events(), ["run its own", "a: 11 to shared attributes", "run change"]);
  t.is(waiting.state, "gone");
  t.deepEqual(scene.complete(waiting), []);
  scene.complete(change);
  t.deepEqual(scene.table.statistics, { inodes: 1, sessions: 0, recalls: 0, waiting: 0, bouncing: 1 });
});

test("recalls are sent again over a new connection, with their numbers", (t) => {
  const scene = createScene();
  scene.take(a, reading(one));
  scene.ask(b, "change", changing(one));
  const number = scene.recallOf(a);
  scene.events();
  scene.act(scene.table.resumed(a, scene.now));
  t.deepEqual(scene.events(), ["a: 11 to shared attributes"]);
  t.is(scene.recallOf(a), number);
});

test("after a restart a session gets back what it had, unless another one has it", (t) => {
  const { table } = createScene();
  t.is(table.reclaim(a, { ino: one, level: "exclusive" })?.level, "exclusive");
  t.is(table.reclaim(b, { ino: one, level: "shared" }), undefined);
  t.is(table.reclaim(b, { ino: two, level: "shared" })?.level, "shared");
  t.is(table.reclaim(a, { ino: two, level: "exclusive" }), undefined);
  t.is(table.reclaim(a, { ino: two, level: "shared" })?.level, "shared");
});
