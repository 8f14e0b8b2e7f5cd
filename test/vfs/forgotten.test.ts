/** The server is told which leased inodes are not remembered here any more: late, in batches, and only of those. */
import test from "ava";
import type { Clock } from "../../src/base/clock.ts";
import { toIno, type Ino } from "../../src/base/ids.ts";
import { limits } from "../../src/base/limits.ts";
import { createLeases, type Leases } from "../../src/cache/leases.ts";
import type { LeaseNews } from "../../src/protocol/leases.ts";
import type { NameServer } from "../../src/remote/types.ts";
import { createForgotten, type Forgotten } from "../../src/vfs/forgotten.ts";
import { fakeMount, from, lookup, ManualClock, name } from "./mount.ts";

interface World {
  readonly clock: ManualClock;
  readonly leases: Leases;
  readonly forgotten: Forgotten;
  /** Inodes of each message. */
  readonly messages: Ino[][];
  readonly unrefs: (boolean | undefined)[];
}

/** Inodes from 1 on are leased. */
function world(): World {
  const clock = new ManualClock();
  const leases = createLeases(clock);
  leases.trust(1e9);
  const grants = Array.from({ length: 2 * limits.leaseNewsMax }, (_, i) => {
    return { ino: toIno(i + 1), number: i + 1, level: "shared" } as const;
  });
  leases.granted(grants, leases.moment);
  const messages: Ino[][] = [];
  const nameServer = {
    tell: (news: readonly LeaseNews[]) => {
      messages.push(news.flatMap((one) => (one.kind === "forgotten" ? [one.ino] : [])));
    },
  } as unknown as NameServer;
  const unrefs: (boolean | undefined)[] = [];
  const watched: Clock = {
    monotonicMillis: () => clock.monotonicMillis(),
    wallNanos: () => clock.wallNanos(),
    after: (millis, fn, options) => {
      unrefs.push(options?.unref);
      return clock.after(millis, fn);
    },
  };
  return { clock, leases, forgotten: createForgotten({ nameServer, leases, clock: watched }), messages, unrefs };
}

test("what is forgotten within a second of the first travels together, in order; then the next second begins", (t) => {
  const { clock, forgotten, messages } = world();
  forgotten.add(toIno(5));
  clock.advance(600);
  forgotten.add(toIno(3));
  clock.advance(399);
  forgotten.add(toIno(4));
  t.deepEqual(messages, []);
  clock.advance(1);
  t.deepEqual(messages, [[toIno(5), toIno(3), toIno(4)]]);
  clock.advance(60_000);
  t.is(messages.length, 1, "nothing is sent when there is nothing");
  forgotten.add(toIno(6));
  clock.advance(999);
  t.is(messages.length, 1);
  clock.advance(1);
  t.deepEqual(messages[1], [toIno(6)]);
});

test("a full batch does not wait, and the time begins anew with what comes after it", (t) => {
  const { clock, forgotten, messages } = world();
  clock.advance(500);
  for (let i = 1; i < limits.leaseNewsMax; i++) forgotten.add(toIno(i));
  clock.advance(900);
  t.deepEqual(messages, []);
  forgotten.add(toIno(limits.leaseNewsMax));
  t.deepEqual(
    messages.map((inos) => inos.length),
    [limits.leaseNewsMax],
  );
  forgotten.add(toIno(1));
  clock.advance(999);
  t.is(messages.length, 1);
  clock.advance(1);
  t.deepEqual(messages[1], [toIno(1)]);
});

test("nothing is told of an inode without a lease, or while none is believed, and no timer started", (t) => {
  const { clock, leases, forgotten, messages, unrefs } = world();
  forgotten.add(toIno(1_000_000));
  leases.recalled({ ino: toIno(7), number: 9_999, to: "none", drop: [{ kind: "everything" }] });
  forgotten.add(toIno(7));
  leases.trust(0);
  forgotten.add(toIno(8));
  clock.advance(60_000);
  t.deepEqual(messages, []);
  t.deepEqual(unrefs, []);
});

test("the timer keeps no process alive", (t) => {
  const { forgotten, unrefs } = world();
  forgotten.add(toIno(1));
  forgotten.add(toIno(2));
  t.deepEqual(unrefs, [true]);
});

test("an inode that the kernel forgets is told of when nothing has it open any more", async (t) => {
  const clock = new ManualClock();
  const { operations, server } = await fakeMount({ clock });
  const made = await operations.create(from(), toIno(1), name("file"), { mode: 0o644, umask: 0 }, 0);
  const { ino } = made.entry.attributes;
  const told = (): unknown[] => server.leases.news.filter(({ kind }) => kind === "forgotten");
  operations.forget(ino, 1);
  clock.advance(1_000);
  t.deepEqual(told(), []);
  await operations.release(from(), ino, made.opened.handle, undefined);
  clock.advance(1_000);
  t.deepEqual(told(), [{ kind: "forgotten", ino }]);
  t.is((await lookup(operations, "file")).attributes.ino, ino);
});
