/** What a session may believe: grants and recalls that overtake each other, trust, restarts of the server. */
import test from "ava";
import { toIno, type Ino } from "../../src/base/ids.ts";
import { limits } from "../../src/base/limits.ts";
import { nameFromText } from "../../src/base/name.ts";
import { createLeases, type Leases } from "../../src/cache/leases.ts";
import type { LeaseGrant, LeaseRecall } from "../../src/protocol/leases.ts";
import { SimulatedClock } from "../support/simulated-clock.ts";

const [one, two] = [toIno(11), toIno(12)];
const trustMillis = 100_000;

function leasesOf(clock = new SimulatedClock()): Leases {
  const leases = createLeases(clock);
  leases.trust(clock.monotonicMillis() + trustMillis);
  return leases;
}

function shared(ino: Ino, number: number): LeaseGrant {
  return { ino, number, level: "shared" };
}
function exclusive(ino: Ino, number: number): LeaseGrant {
  return { ino, number, level: "exclusive" };
}
function recallOf(ino: Ino, number: number, some: Partial<LeaseRecall> = {}): LeaseRecall {
  return { ino, number, to: "none", drop: [{ kind: "everything" }], ...some };
}

test("what was asked for before a lease was is not believed, what comes later is", (t) => {
  const leases = leasesOf();
  t.is(leases.level(one), "none");
  const before = leases.moment;
  const asked = leases.nextMoment();
  leases.granted([shared(one, 1)], asked);
  t.is(leases.level(one), "shared");
  t.false(leases.holds(one, before));
  t.true(leases.holds(one, asked));
  t.false(leases.holds(two, asked));
  t.is(leases.size, 1);
});

test("a grant that was asked for before a recall arrived does not count, one asked for after it does", (t) => {
  for (const to of ["none", "shared"] as const) {
    const leases = leasesOf();
    const asked = leases.moment;
    t.is(leases.recalled(recallOf(one, 2, { to })), "none");
    leases.granted([exclusive(one, 1), shared(two, 3)], asked);
    t.is(leases.level(one), "none", to);
    t.is(leases.level(two), "shared", "another inode is not touched by it");
    leases.granted([exclusive(one, 4)], leases.moment);
    t.is(leases.level(one), "exclusive", to);
  }
});

test("so it is with more recalls than are remembered one by one", (t) => {
  const leases = leasesOf();
  const asked = leases.moment;
  const count = 10_000;
  for (let i = 0; i < count; i++) leases.recalled(recallOf(toIno(100 + i), i + 1));
  for (let i = 0; i < count; i++) leases.granted([shared(toIno(100 + i), count + i)], asked);
  t.is(leases.size, 0);
  const later = leases.moment;
  for (let i = 0; i < count; i++) leases.granted([shared(toIno(100 + i), 2 * count + i)], later);
  t.is(leases.size, count);
});

test("a recall to none takes everything, and tells what there was", (t) => {
  const leases = leasesOf();
  leases.granted([exclusive(one, 1)], leases.moment);
  const learned = leases.moment;
  t.is(leases.recalled(recallOf(one, 2)), "exclusive");
  t.is(leases.level(one), "none");
  t.false(leases.holds(one, learned));
  t.is(leases.recalled(recallOf(one, 3)), "none");
});

test("a recall to shared that drops nothing keeps what was learned; one that drops something does not", (t) => {
  const leases = leasesOf();
  leases.granted([exclusive(one, 1)], leases.moment);
  const learned = leases.moment;
  t.is(leases.recalled(recallOf(one, 2, { to: "shared", drop: [] })), "exclusive");
  t.is(leases.level(one), "shared");
  t.true(leases.holds(one, learned));
  const drop = [{ kind: "entry", name: nameFromText("x") }] as const;
  t.is(leases.recalled(recallOf(one, 3, { to: "shared", drop })), "shared");
  t.is(leases.level(one), "shared");
  t.false(leases.holds(one, learned));
});

test("answers that come while a recall is not acknowledged are not kept: its reason has not happened yet", (t) => {
  const leases = leasesOf();
  leases.granted([shared(one, 1)], leases.moment);
  const drop = [{ kind: "attributes" }] as const;
  leases.recalled(recallOf(one, 2, { to: "shared", drop }));
  const during = leases.moment;
  t.false(leases.holds(one, during));
  leases.recalled(recallOf(one, 3, { to: "shared", drop }));
  leases.acknowledged(one, 2);
  t.false(leases.holds(one, leases.moment), "another one is under way");
  leases.acknowledged(one, 3);
  t.false(leases.holds(one, during));
  t.true(leases.holds(one, leases.moment));
  const after = leases.moment;
  leases.acknowledged(one, 3);
  t.true(leases.holds(one, after), "once");
});

test("a later grant raises a lease and never lowers it: only a recall takes anything away", (t) => {
  const leases = leasesOf();
  const asked = leases.moment;
  leases.granted([shared(one, 5)], asked);
  leases.granted([exclusive(one, 4)], asked);
  t.is(leases.level(one), "shared", "an older grant changes nothing");
  leases.granted([exclusive(one, 6)], asked);
  t.is(leases.level(one), "exclusive");
  leases.granted([shared(one, 7)], asked);
  t.is(leases.level(one), "exclusive", "a listing offers shared for what is held exclusively");
});

test("nothing is believed while the session may be over, and everything again when it was not", async (t) => {
  const clock = new SimulatedClock();
  const leases = leasesOf(clock);
  leases.granted([exclusive(one, 1)], leases.moment);
  const learned = leases.moment;
  t.is(leases.validMillis(), limits.kernelValidityMillis);
  await clock.advance(trustMillis - 400.5);
  t.is(leases.validMillis(), 400, "the kernel believes nothing for longer");
  t.true(leases.holds(one, learned));
  clock.stall(400.5);
  t.is(leases.validMillis(), 0);
  t.false(leases.holds(one, learned));
  t.is(leases.level(one), "none");
  t.is(leases.recalled(recallOf(one, 2, { to: "shared", drop: [] })), "exclusive", "it still has what to flush");
  leases.trust(clock.monotonicMillis() + 1_000);
  t.true(leases.holds(one, learned));
  t.is(leases.level(one), "shared");
});

test("after a restart of the server what it gave to others is lost, and older answers grant nothing", (t) => {
  const leases = leasesOf();
  leases.granted([exclusive(one, 10), shared(two, 11)], leases.moment);
  const asked = leases.moment;
  t.deepEqual(leases.held(), [
    { ino: one, level: "exclusive" },
    { ino: two, level: "shared" },
  ]);
  t.deepEqual(leases.reclaimed(leases.held(), [exclusive(one, 1)]), [two]);
  t.is(leases.level(one), "exclusive");
  t.true(leases.holds(one, asked));
  leases.granted([shared(two, 2)], asked);
  t.is(leases.level(two), "none");
  leases.granted([shared(two, 3)], leases.moment);
  t.is(leases.level(two), "shared");
});

test("what is made while leases are reclaimed is not lost", (t) => {
  const leases = leasesOf();
  leases.granted([exclusive(one, 10)], leases.moment);
  const held = leases.held();
  leases.made(two);
  t.deepEqual(leases.reclaimed(held, [exclusive(one, 1)]), []);
  t.is(leases.level(two), "exclusive");
});

test("a recall that overtook the answer to a reclaim is not undone by it", (t) => {
  for (const to of ["none", "shared"] as const) {
    const leases = leasesOf();
    leases.granted([exclusive(one, 10)], leases.moment);
    const held = leases.held();
    leases.recalled(recallOf(one, 2, { to, drop: [] }));
    leases.reclaimed(held, [exclusive(one, 1)]);
    t.is(leases.level(one), to);
  }
});

test("a lost session leaves nothing, also not of answers that come later", (t) => {
  const leases = leasesOf();
  const asked = leases.moment;
  leases.granted([shared(one, 1)], asked);
  leases.clear();
  t.is(leases.size, 0);
  leases.granted([shared(one, 2), shared(two, 3)], asked);
  t.is(leases.size, 0);
});
