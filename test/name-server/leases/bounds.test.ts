/** What is bounded by number or by time: leases, open inodes, waiting requests, recalls; and inodes that bounce. */
import test from "ava";
import { FsError } from "../../../src/base/errno.ts";
import { toIno, type SessionId } from "../../../src/base/ids.ts";
import { limits } from "../../../src/base/limits.ts";
import {
  backOffMillisMax,
  backOffMillisMin,
  bounceMillis,
  calmMillis,
} from "../../../src/name-server/leases/back-off.ts";
import { a, b, c, changing, createScene, everything, levels, one, reading, two, type Scene } from "./scene.ts";

const files = Array.from({ length: 32 }, (_, index) => toIno(100 + index));

test("a session with nearly as many leases as it may have gives the oldest back, what the kernel forgot first", (t) => {
  const scene = createScene({ leasesPerSessionMax: 16 });
  for (const ino of files.slice(0, 14)) scene.take(a, reading(ino));
  scene.take(a, reading(toIno(100)));
  t.deepEqual(scene.events(), []);
  scene.table.forgotten(a, [toIno(105), toIno(999)]);
  for (const ino of files.slice(14, 16)) scene.take(a, reading(ino));
  t.deepEqual(scene.events(), ["a: 105 to none everything", "a: 101 to none everything"]);
});

test("beyond the bound nothing is granted until something was given back", (t) => {
  const scene = createScene({ leasesPerSessionMax: 8 });
  for (const ino of files.slice(0, 8)) scene.take(a, reading(ino));
  t.deepEqual(scene.take(a, reading(toIno(120))), []);
  t.is(scene.take(a, reading(toIno(107))).length, 1, "what it has it keeps");
  scene.acknowledge(a, toIno(100));
  t.is(scene.take(a, reading(toIno(120))).length, 1);
});

test("a trimmed lease for which somebody waits then is urgent", (t) => {
  const scene = createScene({ leasesPerSessionMax: 8 });
  for (const ino of files.slice(0, 8)) scene.take(a, reading(ino));
  scene.take(c, reading(two));
  scene.ask(b, "change two", changing(two));
  scene.ask(a, "read two", reading(two));
  t.deepEqual(scene.events(), ["a: 100 to none everything", "c: 12 to shared attributes"]);
  scene.ask(b, "change", changing(toIno(100)));
  t.deepEqual(scene.events(), ["run read two"]);
});

test("a session may have so many requests waiting, and no more", (t) => {
  const scene = createScene({ waitersPerSessionMax: 2 });
  scene.take(c, reading(one));
  for (const task of ["one", "two"]) scene.ask(b, task, changing(one));
  const ask = () => scene.ask(b, "three", changing(one));
  t.throws(ask, { instanceOf: FsError, message: /requests waiting/ });
});

test("the bounds are those of the system's limits, and one request has few inodes", (t) => {
  const scene = createScene();
  t.throws(() => scene.ask(a, "many", ...files.slice(0, limits.leaseWantsMax + 1).map((ino) => changing(ino))));
});

test("a session that does not answer a recall ends after ten seconds", (t) => {
  const scene = createScene();
  scene.take(a, reading(one));
  scene.ask(b, "change", changing(one));
  scene.events();
  scene.now += limits.recallMillis - 1;
  scene.act(scene.table.timePassed(scene.now));
  t.deepEqual(scene.events(), []);
  scene.now += 1;
  scene.act(scene.table.timePassed(scene.now));
  t.deepEqual(scene.events(), ["end a"]);
});

test("a flush that makes progress gives it more time, but not for ever", (t) => {
  const scene = createScene();
  scene.take(a, reading(one, "exclusive"));
  scene.ask(b, "read", reading(one));
  scene.events();
  const ended: number[] = [];
  for (let passed = 5_000; passed <= limits.recallMillisMax; passed += 5_000) {
    scene.table.progress(a, scene.now + passed);
    scene.act(scene.table.timePassed(scene.now + passed));
    if (scene.events().length > 0) ended.push(passed);
  }
  t.deepEqual(ended, [limits.recallMillisMax]);
});

test("a blocked session is not to blame while another one still has time", (t) => {
  const scene = createScene();
  scene.take(a, reading(one));
  scene.take(c, reading(two, "exclusive"));
  scene.ask(b, "change one", changing(one));
  scene.ask(a, "change two", changing(two));
  scene.act(scene.table.blocked(a, scene.now));
  scene.events();
  scene.now += limits.recallMillis - 1;
  scene.table.progress(c, scene.now);
  scene.now += 1;
  scene.act(scene.table.timePassed(scene.now));
  t.deepEqual(scene.events(), []);
  scene.now += limits.recallMillis;
  scene.act(scene.table.timePassed(scene.now));
  t.deepEqual(scene.events(), ["end c"]);
});

test("of sessions that block each other one ends", (t) => {
  const scene = createScene();
  scene.take(a, reading(one));
  scene.take(b, reading(two));
  scene.ask(b, "change one", changing(one));
  scene.ask(a, "change two", changing(two));
  for (const session of [a, b]) scene.act(scene.table.blocked(session, scene.now));
  scene.events();
  scene.now += limits.recallMillis;
  scene.act(scene.table.timePassed(scene.now));
  t.is(scene.events().length, 1);
});

/** `session` takes the inode from whoever has it. */
function snatch(scene: Scene, session: SessionId): string[] {
  const request = scene.ask(session, "snatch", changing(one, "exclusive", [everything]));
  for (const holder of [a, b]) if (holder !== session) scene.acknowledge(holder, one);
  const grants = levels(scene.complete(request));
  scene.events();
  return grants;
}

test("an inode that bounces gives no lease for a while, longer each time, and is forgiven after calm", (t) => {
  const scene = createScene();
  let [held, refused, longest] = [0, 0, 0];
  let since = scene.now;
  for (let round = 0; round < 2_000; round++) {
    scene.now += 10;
    if (snatch(scene, round % 2 === 0 ? a : b).length > 0) {
      [held, since] = [held + 1, scene.now];
    } else {
      [refused, longest] = [refused + 1, Math.max(longest, scene.now - since)];
    }
  }
  t.true(refused > 5 * held, `${String(held)} grants, ${String(refused)} refusals`);
  t.true(longest > 10 * backOffMillisMin && longest <= backOffMillisMax, String(longest));
  scene.now += calmMillis;
  scene.act(scene.table.timePassed(scene.now));
  t.is(scene.table.statistics.bouncing, 0);
  t.deepEqual(snatch(scene, a), ["11 exclusive"]);
});

test("an inode that is handed over now and then does not bounce", (t) => {
  const scene = createScene();
  for (let round = 0; round < 50; round++) {
    scene.now += bounceMillis;
    t.deepEqual(snatch(scene, round % 2 === 0 ? a : b), ["11 exclusive"]);
  }
});

test("while an inode bounces its holders give back everything, and only who insists is granted", (t) => {
  const scene = createScene();
  for (let round = 0; round < 7; round++) {
    scene.now += 1;
    snatch(scene, round % 2 === 0 ? a : b);
  }
  t.deepEqual(snatch(scene, b), []);
  t.deepEqual(scene.take(a, reading(one)), []);
  t.is(scene.table.offer(a, { ino: one, level: "shared" }, scene.now), undefined);
  t.deepEqual(levels(scene.take(a, reading(one, "exclusive", { insist: true }))), ["11 shared"]);
  scene.ask(b, "change", changing(one));
  t.deepEqual(scene.events(), ["a: 11 to none everything"]);
});
