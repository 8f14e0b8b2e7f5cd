/** Each rule of src/name-server/leases/README.md as one short story. */
import test from "ava";
import { toIno } from "../../../src/base/ids.ts";
import type { Name } from "../../../src/base/name.ts";
import { a, attributes, b, c, changing, createScene, everything, levels, one, reading, three, two } from "./scene.ts";

test("a request that nobody minds runs in the same call, and its grants come with its completion", (t) => {
  const scene = createScene();
  const request = scene.ask(a, "read", reading(one, "exclusive"));
  t.deepEqual(scene.events(), ["run read"]);
  t.deepEqual(levels(scene.complete(request)), ["11 exclusive"]);
  t.is(request.state, "gone");
  t.deepEqual(scene.complete(request), []);
});

test("readers share, and the second one makes nobody exclusive", (t) => {
  const scene = createScene();
  t.deepEqual(levels(scene.take(a, reading(one))), ["11 shared"]);
  t.deepEqual(levels(scene.take(b, reading(one, "exclusive"))), ["11 shared"]);
  t.deepEqual(scene.events(), []);
});

test("a reader brings an exclusive holder down to shared, who keeps what it has", (t) => {
  const scene = createScene();
  scene.take(a, reading(one, "exclusive"));
  const request = scene.ask(b, "read", reading(one));
  t.deepEqual(scene.events(), ["a: 11 to shared"]);
  scene.acknowledge(a, one);
  t.deepEqual(scene.events(), ["run read"]);
  t.deepEqual(levels(scene.complete(request)), ["11 shared"]);
  t.deepEqual(
    scene.table.holders(one).map(({ level }) => level),
    ["shared", "shared"],
  );
});

test("a reader goes on as soon as the holder has flushed, a change only when it has acknowledged", (t) => {
  const scene = createScene();
  scene.take(a, reading(one, "exclusive"));
  scene.ask(b, "read", reading(one, "none"));
  const change = scene.ask(c, "change", changing(one));
  t.deepEqual(scene.events(), ["a: 11 to shared"]);
  scene.act(scene.table.flushed(a, one, scene.recallOf(a), scene.now));
  t.deepEqual(scene.events(), ["run read"]);
  scene.acknowledge(a, one);
  t.deepEqual(scene.events(), []);
  t.is(change.state, "waiting");
});

test("a change drops at the others only what it touches, and they keep the rest", (t) => {
  const scene = createScene();
  scene.take(a, reading(one));
  const change = scene.ask(b, "create", changing(one, "none", [{ kind: "entry", name: "x" as Name }]));
  t.deepEqual(scene.events(), ["a: 11 to shared entry x"]);
  scene.acknowledge(a, one);
  t.deepEqual(scene.events(), ["run create"]);
  scene.complete(change);
  t.deepEqual(
    scene.table.holders(one).map(({ session, level }) => [session, level]),
    [[a, "shared"]],
  );
});

test("a change of everything that wants the inode for itself takes the others' leases as a whole", (t) => {
  const scene = createScene();
  scene.take(a, reading(one));
  const change = scene.ask(b, "truncate", changing(one, "exclusive", [everything]));
  t.deepEqual(scene.events(), ["a: 11 to none everything"]);
  scene.acknowledge(a, one);
  t.deepEqual(levels(scene.complete(change)), ["11 exclusive"]);
});

test("a change of a part recalls that part, and gives the inode alone only to whom nobody shares it with", (t) => {
  const scene = createScene();
  scene.take(a, reading(one));
  const first = scene.ask(b, "create", changing(one, "exclusive"));
  t.deepEqual(scene.events(), ["a: 11 to shared attributes"]);
  scene.acknowledge(a, one);
  t.deepEqual(levels(scene.complete(first)), ["11 shared"]);
  scene.act(scene.table.sessionEnded(a, scene.now));
  t.deepEqual(levels(scene.take(b, changing(one, "exclusive"))), ["11 exclusive"]);
});

test("a lowered lease is shared from then on, unless there was a later grant", (t) => {
  const scene = createScene();
  const [granted] = scene.take(a, reading(one, "exclusive"));
  const number = granted?.number ?? 0;
  scene.take(a, reading(one, "exclusive"));
  scene.act(scene.table.lowered(a, one, number, scene.now));
  t.true(scene.table.mayFlush(a, one), "it was granted again since");
  const read = scene.ask(b, "read", reading(one));
  t.deepEqual(scene.events(), ["a: 11 to shared"]);
  scene.act(scene.table.lowered(a, one, number + 1, scene.now));
  t.deepEqual(scene.events(), ["run read"]);
  scene.complete(read);
  t.deepEqual(
    scene.table.holders(one).map(({ level }) => level),
    ["shared", "shared"],
  );
  scene.act(scene.table.lowered(b, two, 0, scene.now));
  scene.act(scene.table.lowered(b, one, scene.table.grantOf(b, one)?.number ?? 0, scene.now));
  t.is(scene.table.grantOf(b, one)?.level, "shared", "lowering a shared lease does nothing");
});

test("a new inode is its maker's alone whatever the bounds say, and what is too much is taken back", (t) => {
  const scene = createScene({ leasesPerSessionMax: 8 });
  const inos = Array.from({ length: 12 }, (_, i) => toIno(100 + i));
  const { grants, effects } = scene.table.made(a, inos, scene.now);
  scene.act(effects);
  t.deepEqual(
    levels(grants),
    inos.map((ino) => `${String(ino)} exclusive`),
  );
  t.deepEqual(scene.events().slice(0, 2), ["a: 100 to none everything", "a: 101 to none everything"]);
  t.true(scene.table.mayFlush(a, toIno(100)), "it is asked for, not gone");
  t.is(scene.table.grantOf(a, toIno(100)), undefined);
  t.deepEqual(scene.table.grantOf(a, toIno(111)), grants[11]);
});

test("what several changes wait for is asked of a holder at once", (t) => {
  const scene = createScene();
  scene.take(a, reading(one));
  scene.take(c, reading(two));
  const entry = (name: string) => changing(one, "none", [{ kind: "entry", name: name as Name }]);
  const first = scene.ask(b, "first", reading(one), changing(two));
  t.deepEqual(scene.events(), ["c: 12 to shared attributes"]);
  scene.ask(b, "second", entry("x"));
  scene.ask(b, "third", entry("y"));
  scene.acknowledge(c, two);
  scene.complete(first);
  t.deepEqual(scene.events(), ["run first", "a: 11 to shared entry x entry y"]);
});

test("a change behind a reader waits for it, and a reader behind a change waits for that", (t) => {
  const scene = createScene();
  const first = scene.ask(a, "read", reading(one));
  const change = scene.ask(b, "change", changing(one));
  scene.ask(c, "read again", reading(one));
  t.deepEqual(scene.events(), ["run read"]);
  t.deepEqual(scene.complete(first), [], "a lease that would be taken away at once");
  t.deepEqual(scene.events(), ["run change"]);
  scene.complete(change);
  t.deepEqual(scene.events(), ["run read again"]);
});

test("a session that is being recalled reads ahead of what waits for it, and is granted nothing", (t) => {
  const scene = createScene();
  scene.take(a, reading(one));
  scene.take(c, reading(two));
  scene.ask(b, "change one", changing(one));
  scene.ask(b, "change two", changing(two));
  t.deepEqual(scene.events(), ["a: 11 to shared attributes", "c: 12 to shared attributes"]);
  const onSame = scene.ask(a, "read one", reading(one, "shared", { insist: true }));
  const onOther = scene.ask(a, "read two", reading(two));
  t.deepEqual(scene.events(), ["run read one", "run read two"]);
  t.deepEqual([scene.complete(onSame), scene.complete(onOther)], [[], []]);
});

test("a reading request that waits already goes ahead when its session is recalled", (t) => {
  const scene = createScene();
  scene.take(a, reading(one));
  scene.take(c, reading(two));
  scene.ask(b, "change two", changing(two));
  scene.ask(a, "read two", reading(two));
  t.deepEqual(scene.events(), ["c: 12 to shared attributes"]);
  scene.ask(b, "change one", changing(one));
  t.deepEqual(scene.events(), ["a: 11 to shared attributes", "run read two"]);
});

test("a session that is being recalled still does not read what another one has not flushed", (t) => {
  const scene = createScene();
  scene.take(a, reading(one));
  scene.take(c, reading(two, "exclusive"));
  scene.ask(b, "change one", changing(one));
  scene.ask(a, "read two", reading(two));
  t.deepEqual(scene.events(), ["a: 11 to shared attributes", "c: 12 to shared"]);
  scene.act(scene.table.flushed(c, two, scene.recallOf(c), scene.now));
  t.deepEqual(scene.events(), ["run read two"]);
});

test("a blocked session's own change goes first", (t) => {
  const scene = createScene();
  scene.take(a, reading(one));
  const other = scene.ask(b, "theirs", changing(one));
  const own = scene.ask(a, "its own", changing(one));
  t.deepEqual(scene.events(), ["a: 11 to shared attributes"]);
  scene.act(scene.table.blocked(a, scene.now));
  t.deepEqual(scene.events(), ["run its own"]);
  t.deepEqual(scene.complete(own), []);
  t.is(other.state, "waiting");
  scene.acknowledge(a, one);
  t.deepEqual(scene.events(), ["run theirs"]);
});

test("what a blocked session asks for later goes first too, until it has given back everything", (t) => {
  const scene = createScene();
  scene.take(a, reading(one));
  scene.ask(b, "theirs", changing(one));
  scene.act(scene.table.blocked(a, scene.now));
  const own = scene.ask(a, "its own", changing(one));
  t.deepEqual(scene.events(), ["a: 11 to shared attributes", "run its own"]);
  scene.complete(own);
  scene.acknowledge(a, one);
  scene.ask(a, "another", changing(one));
  t.deepEqual(scene.events(), ["run theirs"]);
});

test("requests for several inodes in opposite orders do not stop each other", (t) => {
  const scene = createScene();
  scene.take(c, reading(one), reading(two));
  const first = scene.ask(a, "first", changing(one), changing(two));
  scene.ask(b, "second", changing(two), changing(one));
  t.deepEqual(scene.events(), ["c: 11 to shared attributes", "c: 12 to shared attributes"]);
  scene.acknowledge(c, two);
  scene.act(scene.table.acknowledged(c, one, scene.recallOf(c) - 1, scene.now));
  t.deepEqual(scene.events(), ["run first"]);
  scene.complete(first);
  t.deepEqual(scene.events(), ["run second"]);
});

test("a request that finds that it needs another inode keeps its place by arrival", (t) => {
  const scene = createScene();
  const moved = scene.ask(a, "moved", changing(one));
  scene.take(c, reading(two));
  scene.ask(b, "later", changing(two));
  scene.act(scene.table.retry(moved, [changing(two)], scene.now));
  t.deepEqual(scene.events(), ["run moved", "c: 12 to shared attributes"]);
  scene.acknowledge(c, two);
  t.deepEqual(scene.events(), ["run moved"]);
  scene.complete(moved);
  t.deepEqual(scene.events(), ["run later"]);
});

test("a directory that is wanted twice by one request is one want", (t) => {
  const scene = createScene();
  const entry = (name: string) => changing(one, "none", [{ kind: "entry", name: name as Name }]);
  scene.take(a, reading(one));
  scene.ask(b, "rename", entry("x"), entry("y"), reading(one, "exclusive"));
  t.deepEqual(scene.events(), ["a: 11 to shared entry x entry y"]);
});

test("an offer recalls nobody: what another has alone is listed without a lease", (t) => {
  const scene = createScene();
  scene.take(a, reading(one, "exclusive"));
  scene.take(a, reading(two));
  const listing = scene.ask(b, "readdir", reading(three));
  t.is(scene.table.offer(b, { ino: one, level: "shared" }, scene.now), undefined);
  t.is(scene.table.offer(b, { ino: two, level: "shared" }, scene.now)?.level, "shared");
  scene.complete(listing);
  t.deepEqual(scene.events(), ["run readdir"]);
});

test("an insisting reader is granted although somebody waits, and is asked again for what it now has", (t) => {
  const scene = createScene();
  scene.take(a, reading(one));
  const read = scene.ask(b, "read", reading(one, "shared", { insist: true }));
  scene.ask(c, "change", changing(one));
  t.deepEqual(levels(scene.complete(read)), ["11 shared"]);
  t.deepEqual(scene.events(), ["run read", "a: 11 to shared attributes", "b: 11 to shared attributes"]);
});

test("what the flush of a recall writes needs no turn, unless others would go on believing what was before", (t) => {
  const scene = createScene();
  scene.take(a, reading(one, "exclusive"));
  for (const session of [a, b]) scene.take(session, reading(two));
  t.true(scene.table.mayFlush(a, one));
  t.false(scene.table.mayFlush(b, two));
  t.false(scene.table.mayFlush(b, one));
  scene.ask(c, "change", changing(two, "exclusive", [everything]));
  t.false(scene.table.mayFlush(b, two));
  scene.acknowledge(a, two);
  t.true(scene.table.mayFlush(b, two));
});

test("what nobody disputes runs without being registered, and is granted the same", (t) => {
  const { table, now, ...scene } = createScene();
  t.true(table.isFree(a, [changing(one), reading(two)]));
  t.deepEqual(levels(table.take(a, [reading(one, "exclusive"), reading(two)], now).grants), [
    "11 exclusive",
    "12 shared",
  ]);
  t.true(table.isFree(a, [changing(one), changing(two)]), "its own leases are in nobody's way");
  t.false(table.isFree(b, [reading(two), reading(one)]), "somebody holds it alone");
  t.true(table.isFree(b, [reading(two)]));
  t.false(table.isFree(b, [changing(two)]));
  scene.ask(b, "change", changing(two));
  t.false(table.isFree(c, [reading(two)]), "somebody waits");
  t.true(table.isFree(c, []));
});

test("who insists is not granted what a change that is ready counts on", (t) => {
  const scene = createScene();
  const moved = scene.ask(a, "moved", reading(two));
  const change = scene.ask(b, "change", changing(one));
  scene.act(scene.table.retry(moved, [reading(one, "shared", { insist: true })], scene.now));
  t.deepEqual(scene.events(), ["run moved", "run change", "run moved"]);
  t.deepEqual(scene.complete(moved), []);
  t.is(change.state, "ready");
});

test("a request without inodes runs at once", (t) => {
  const scene = createScene();
  t.deepEqual(scene.complete(scene.ask(a, "statfs")), []);
  t.is(scene.table.statistics.sessions, 0);
});

test("a failed request is granted nothing", (t) => {
  const { table, now } = createScene();
  const { request } = table.request({ session: a, wants: [reading(one, "shared")], task: "" }, now);
  t.deepEqual(table.complete(request, now, { granting: false }).grants, []);
  t.is(table.statistics.inodes, 0);
});

test("a request is not completed before its turn", (t) => {
  const scene = createScene();
  scene.take(a, reading(one));
  const change = scene.ask(b, "change", { ino: one, level: "none", changes: [attributes] });
  t.throws(() => scene.complete(change), { message: /before its turn/ });
});
