/** Grants that ride on replies, and what goes to the server before what. */
import test, { type ExecutionContext } from "ava";
import { FsError } from "../../src/base/errno.ts";
import { toIno, type Ino } from "../../src/base/ids.ts";
import { nameFromText } from "../../src/base/name.ts";
import { file, other, parent, turns, World } from "./leased-world.ts";

const attributesOf = (ino: Ino): object => ({ ino });

test("a grant is taken in before whoever asked goes on", async (t) => {
  for (const how of ["ask", "change"] as const) {
    const world = new World();
    const asked = world.leases.moment;
    const going = world.call("getattr", { ino: file }, how).then((reply) => {
      t.is(world.leases.level(file), "exclusive", how);
      t.true(world.leases.holds(file, asked));
      return reply;
    });
    const reply = { attributes: attributesOf(file), leases: [world.grantOf(file, "exclusive")] };
    world.answer(reply);
    t.is(await going, reply);
  }
});

test("a call that fails changes nothing that is believed", async (t) => {
  const world = new World();
  const asked = world.grant(file);
  const going = world.call("getattr", { ino: file });
  world.fail(new FsError("EIO", "made to fail"));
  await t.throwsAsync(going, { message: /made to fail/ });
  t.true(world.leases.holds(file, asked));
});

const doubtful = test.macro({
  exec: async (t: ExecutionContext, request: object, reply: object) => {
    const world = new World();
    const [asked] = [world.grant(file), world.grant(other)];
    await world.answered("lookup", request, { ...reply, leases: [] });
    t.false(world.leases.holds(file, asked));
    t.true(world.leases.holds(other, asked), "nothing was told of another");
    t.is(world.leases.level(file), "shared", "the lease itself is not lost");
    t.true(world.leases.holds(file, world.leases.moment), "what is asked from now on may be kept");
    // With a grant the same reply leaves what was known.
    const again = world.leases.moment;
    await world.answered("lookup", request, { ...reply, leases: [world.grantOf(file)] });
    t.true(world.leases.holds(file, again));
  },
  title: (what) => `told without a grant, what was known before is doubtful: ${what ?? ""}`,
});

test("of the inode that was asked about", doubtful, { ino: file }, {});
test("of the directory", doubtful, { parent: file }, { attributes: null });
test("of the directory that a name is moved to", doubtful, { parent, newParent: file }, {});
test("of the inode that was found", doubtful, { parent }, { attributes: attributesOf(file) });
test("of the inode that was replaced", doubtful, { parent }, { attributes: null, replaced: attributesOf(file) });

test("told without a grant in a listing, what was known before is doubtful", async (t) => {
  const world = new World();
  const asked = world.grant(file);
  const entry = { ino: file, attributes: attributesOf(file) };
  await world.answered("readdir", { ino: parent }, { entries: [{ ...entry, lease: 101 }] });
  t.true(world.leases.holds(file, asked));
  await world.answered("readdir", { ino: parent }, { entries: [entry] });
  t.false(world.leases.holds(file, asked));
  t.is(world.leases.level(file), "shared");
});

test("a reply without any leases is told without a grant, too", async (t) => {
  const world = new World();
  const asked = world.grant(file);
  await world.answered("readlink", { ino: file }, { target: Buffer.from("x") });
  t.false(world.leases.holds(file, asked));
});

test("methods whose replies tell nothing of an inode leave what is known of it", async (t) => {
  const world = new World();
  const asked = world.grant(file);
  for (const method of ["getLock", "setLock", "releaseLocks", "compactExtents"]) {
    await world.answered(method, { ino: file }, {});
    t.true(world.leases.holds(file, asked), method);
  }
});

test("entries of a listing have leases of their own, some exclusive; a bare name says nothing", async (t) => {
  const world = new World();
  const [shared, exclusive, bare] = [toIno(21), toIno(22), toIno(23)];
  const asked = world.grant(bare);
  const entries = [
    { ino: shared, attributes: attributesOf(shared), lease: 101 },
    { ino: exclusive, attributes: attributesOf(exclusive), lease: 102, exclusive: true },
    { ino: bare },
  ];
  await world.answered("readdir", { ino: parent }, { entries, leases: [world.grantOf(parent)] });
  t.is(world.leases.level(parent), "shared");
  t.is(world.leases.level(shared), "shared");
  t.is(world.leases.level(exclusive), "exclusive");
  t.true(world.leases.holds(shared, asked));
  t.true(world.leases.holds(bare, asked));
});

test("a listing that grants a shared lease takes no exclusive one away", async (t) => {
  const world = new World();
  const asked = world.grant(file, "exclusive");
  const entries = [{ ino: file, attributes: attributesOf(file), lease: 101 }];
  await world.answered("readdir", { ino: parent }, { entries });
  t.is(world.leases.level(file), "exclusive");
  t.true(world.leases.holds(file, asked));
});

test("grants that were asked for before a recall do not count, whether by reply or by listing", async (t) => {
  const world = new World();
  const asking = world.call("readdir", { ino: parent });
  world.leases.recalled(world.recallOf(parent));
  world.leases.recalled(world.recallOf(file));
  const entry = (ino: Ino): object => ({ ino, attributes: attributesOf(ino), lease: 101 });
  world.answer({ entries: [entry(file), entry(other)], leases: [world.grantOf(parent)] });
  await asking;
  t.is(world.leases.level(parent), "none");
  t.is(world.leases.level(file), "none");
  t.is(world.leases.level(other), "shared");
  await world.answered("getattr", { ino: file }, { leases: [world.grantOf(file)] });
  t.is(world.leases.level(file), "shared", "one that was asked for behind it does");
});

test("what ran ahead is sent before what is asked, changed or told", async (t) => {
  const world = new World();
  world.waiting = 2;
  void world.call("lookup", { parent });
  world.waiting = 1;
  void world.call("mkdir", { parent }, "change");
  world.waiting = 3;
  world.server.tell([{ kind: "blocked" }]);
  // In this very turn: what is sent next on the connection comes behind it.
  t.deepEqual(world.take(), ["ahead: 2", "lookup", "ahead: 1", "mkdir", "ahead: 3", "news: blocked"]);
  world.answer({});
  world.answer({});
  await turns();
});

test("when it cannot be sent yet everything waits for it", async (t) => {
  const world = new World();
  world.waiting = 2;
  world.isFull = true;
  const going = [world.call("lookup", { parent }), world.call("mkdir", { parent }, "change")];
  world.server.tell([{ kind: "blocked" }]);
  await turns();
  t.deepEqual(world.take(), []);
  world.arrive();
  await turns();
  const [first, ...rest] = world.take();
  t.is(first, "ahead: 2");
  t.deepEqual(rest.toSorted(), ["lookup", "mkdir", "news: blocked"]);
  world.answer({});
  world.answer({});
  await Promise.all(going);
});

test("what is added while something waits goes before that as well", async (t) => {
  const world = new World();
  world.waiting = 1;
  world.isFull = true;
  void world.call("lookup", { parent });
  world.arrive();
  world.waiting = 5;
  world.isFull = true;
  await turns();
  t.deepEqual(world.take(), []);
  world.arrive();
  await turns();
  t.deepEqual(world.take(), ["ahead: 5", "lookup"]);
});

test("a call is asked when it is sent: a recall that came while it waited leaves its grant", async (t) => {
  const world = new World();
  world.waiting = 1;
  world.isFull = true;
  const going = world.call("getattr", { ino: file });
  world.leases.recalled(world.recallOf(file));
  world.arrive();
  await turns();
  world.answer({ leases: [world.grantOf(file)] });
  await going;
  t.is(world.leases.level(file), "shared");
});

test("news keep their order: what comes while some wait comes behind them, in one message", async (t) => {
  const world = new World();
  world.waiting = 1;
  world.isFull = true;
  world.server.tell([{ kind: "flushed", ino: file, number: 1 }]);
  // There is room for other things again, and still this is not to be overtaken.
  world.waiting = 0;
  world.server.tell([{ kind: "acknowledged", ino: file, number: 1 }]);
  world.server.tell([{ kind: "forgotten", ino: other }]);
  await turns();
  t.deepEqual(world.take(), []);
  world.arrive();
  await turns();
  t.deepEqual(world.take(), ["news: flushed 8, acknowledged 8, forgotten 9"]);
  world.server.tell([{ kind: "blocked" }]);
  t.deepEqual(world.take(), ["news: blocked"]);
});

test("news that waited waits again when more ran ahead meanwhile", async (t) => {
  const world = new World();
  world.waiting = 1;
  world.isFull = true;
  world.server.tell([{ kind: "flushed", ino: file, number: 1 }]);
  world.arrive();
  world.waiting = 4;
  world.isFull = true;
  await turns();
  world.server.tell([{ kind: "acknowledged", ino: file, number: 1 }]);
  t.deepEqual(world.take(), []);
  world.arrive();
  await turns();
  t.deepEqual(world.take(), ["ahead: 4", "news: flushed 8, acknowledged 8"]);
});

test("answers about an inode are kept again when its acknowledgement is sent, not when it is waiting", async (t) => {
  const world = new World();
  world.grant(file);
  const recall = world.recallOf(file, { to: "shared", drop: [{ kind: "entry", name: nameFromText("x") }] });
  world.leases.recalled(recall);
  world.waiting = 1;
  world.isFull = true;
  world.server.tell([{ kind: "acknowledged", ino: file, number: recall.number }]);
  await turns();
  t.false(world.leases.holds(file, world.leases.moment));
  const before = world.leases.moment;
  world.arrive();
  await turns();
  t.false(world.leases.holds(file, before), "what was asked for before the acknowledgement is old");
  t.true(world.leases.holds(file, world.leases.moment));
});

test("other news than acknowledgements end no recall", (t) => {
  const world = new World();
  world.grant(file);
  const recall = world.recallOf(file, { to: "shared" });
  world.leases.recalled(recall);
  world.server.tell([{ kind: "flushed", ino: file, number: recall.number }, { kind: "blocked" }]);
  t.false(world.leases.holds(file, world.leases.moment));
});

test("what the server says of itself is passed on as it is now", (t) => {
  const world = new World();
  t.is(world.server.nowNanos(), 77n);
  t.is(world.server.bytesFree, 100);
  world.bytesFree = 50;
  t.is(world.server.bytesFree, 50);
});
