import test from "ava";
import fc from "fast-check";
import type { Ino, SessionId } from "../../src/base/ids.ts";
import { limits } from "../../src/base/limits.ts";
import { createLockTable, type LockTable } from "../../src/name-server/locks.ts";
import type { Lock } from "../../src/protocol/types.ts";

const ino = 7 as Ino;
const [a, b, c] = ["000000000000000a", "000000000000000b", "000000000000000c"] as [SessionId, SessionId, SessionId];
const end = 2n ** 63n - 1n;

function lock(type: Lock["type"], start = 0, last?: number, more: Partial<Lock> = {}): Lock {
  return {
    kind: "posix",
    type,
    start: BigInt(start),
    end: last === undefined ? end : BigInt(last),
    owner: 1n,
    pid: 1,
    ...more,
  };
}
const flock = (type: Lock["type"], owner = 1n): Lock => lock(type, 0, undefined, { kind: "flock", owner });

/** Waits and records when granted. */
function waiting(table: LockTable, session: SessionId, wanted: Lock, log: string[], name: string, of = ino): void {
  if (table.take(of, session, wanted)) throw new Error(`${name} did not have to wait`);
  table.wait(of, session, wanted, () => log.push(name));
}

test("read locks share, write locks exclude, an owner never excludes itself", (t) => {
  const table = createLockTable();
  t.true(table.take(ino, a, lock("read", 0, 9)));
  t.true(table.take(ino, b, lock("read", 5, 14)));
  t.false(table.take(ino, c, lock("write", 9, 9)));
  t.true(table.take(ino, a, lock("write", 0, 4)));
  t.false(table.take(ino, a, lock("write", 0, 9)));
  t.true(table.take(ino, c, lock("write", 15, 20)));
});

test("getLock shows the first lock in the way", (t) => {
  const table = createLockTable();
  table.take(ino, a, lock("write", 10, 19, { pid: 42 }));
  table.take(ino, a, lock("write", 30, 39, { pid: 42 }));
  t.deepEqual(table.conflict(ino, b, lock("read", 0)), lock("write", 10, 19, { pid: 42 }));
  t.is(table.conflict(ino, b, lock("read", 20, 29)), undefined);
  t.is(table.conflict(ino, a, lock("read", 0)), undefined);
});

test("unlocking the middle splits, converting the middle splits in three, and equal neighbours join", (t) => {
  const table = createLockTable();
  table.take(ino, a, lock("write", 0, 99));
  table.take(ino, a, lock("unlock", 40, 59));
  t.is(table.statistics.held, 2);
  t.true(table.take(ino, b, lock("write", 40, 59)));
  table.take(ino, b, lock("unlock", 40, 59));
  table.take(ino, a, lock("write", 40, 59));
  t.is(table.statistics.held, 1);
  table.take(ino, a, lock("read", 40, 59));
  t.is(table.statistics.held, 3);
  t.true(table.take(ino, b, lock("read", 45, 50)));
  t.false(table.take(ino, b, lock("read", 39, 50)));
});

test("locks of two owners of one session, and of equal owners of two sessions, exclude each other", (t) => {
  const table = createLockTable();
  table.take(ino, a, lock("write", 0, 9, { owner: 1n }));
  t.false(table.take(ino, a, lock("write", 0, 9, { owner: 2n })));
  t.false(table.take(ino, b, lock("write", 0, 9, { owner: 1n })));
});

test("waiters are granted in the order of their coming as far as what is held allows", (t) => {
  const table = createLockTable();
  const log: string[] = [];
  table.take(ino, a, lock("write", 0, 9));
  waiting(table, b, lock("write", 0, 4), log, "first");
  waiting(table, c, lock("read", 0, 9), log, "second");
  waiting(table, c, lock("read", 5, 9, { owner: 2n }), log, "third");
  table.take(ino, a, lock("unlock", 0, 9));
  t.deepEqual(log, ["first", "third"]);
  table.release(ino, b, 1n, "posix");
  t.deepEqual(log, ["first", "third", "second"]);
});

test("a downgrade wakes readers", (t) => {
  const table = createLockTable();
  const log: string[] = [];
  table.take(ino, a, lock("write", 0, 9));
  waiting(table, b, lock("read", 0, 9), log, "reader");
  table.take(ino, a, lock("read", 0, 9));
  t.deepEqual(log, ["reader"]);
});

test("a cancelled waiter is not granted", (t) => {
  const table = createLockTable();
  const log: string[] = [];
  table.take(ino, a, lock("write"));
  table.take(ino, b, lock("read"));
  const waiter = table.wait(ino, b, lock("read"), () => log.push("granted"));
  t.true(table.cancel(waiter));
  t.false(table.cancel(waiter));
  table.release(ino, a, 1n, "posix");
  t.deepEqual(log, []);
  t.deepEqual(table.statistics, { inodes: 0, held: 0, waiting: 0 });
});

test("two owners that would wait for each other: the second is told EDEADLK", (t) => {
  const table = createLockTable();
  table.take(ino, a, lock("write", 0, 0));
  table.take(ino, b, lock("write", 1, 1));
  waiting(table, a, lock("write", 1, 1), [], "a");
  t.throws(() => table.wait(ino, b, lock("write", 0, 0), () => undefined), { message: /EDEADLK/ });
});

test("EDEADLK is found over three owners and three inodes", (t) => {
  const table = createLockTable();
  const [x, y, z] = [1 as Ino, 2 as Ino, 3 as Ino];
  table.take(x, a, lock("write"));
  table.take(y, b, lock("write"));
  table.take(z, c, lock("write"));
  waiting(table, a, lock("write"), [], "a", y);
  waiting(table, b, lock("write"), [], "b", z);
  t.throws(() => table.wait(x, c, lock("read"), () => undefined), { message: /EDEADLK/ });
});

test("waiting for somebody who waits for a third is no deadlock", (t) => {
  const table = createLockTable();
  table.take(1 as Ino, a, lock("write"));
  table.take(2 as Ino, b, lock("write"));
  waiting(table, b, lock("write"), [], "b", 1 as Ino);
  t.notThrows(() => table.wait(2 as Ino, c, lock("write"), () => undefined));
});

test("flock locks cover the whole file, know nothing of fcntl locks, and are not checked for deadlock", (t) => {
  const table = createLockTable();
  t.true(table.take(ino, a, flock("write")));
  t.true(table.take(ino, b, lock("write")));
  t.false(table.take(ino, b, flock("read")));
  t.true(table.take(8 as Ino, b, flock("write")));
  waiting(table, a, flock("write"), [], "a", 8 as Ino);
  t.notThrows(() => table.wait(ino, b, flock("write"), () => undefined));
});

test("a flock conversion that is refused has given the old lock away, as on a local disk", (t) => {
  const table = createLockTable();
  const log: string[] = [];
  table.take(ino, a, flock("read"));
  table.take(ino, b, flock("read"));
  waiting(table, c, flock("write"), log, "writer");
  t.false(table.take(ino, a, flock("write")));
  table.release(ino, b, 1n, "flock");
  t.deepEqual(log, ["writer"]);
});

test("the end of a session frees its locks and forgets its waiters", (t) => {
  const table = createLockTable();
  const log: string[] = [];
  table.take(ino, a, lock("write"));
  table.take(8 as Ino, b, lock("write"));
  waiting(table, b, lock("read"), log, "b");
  waiting(table, a, lock("read", 0, undefined, { owner: 2n }), log, "a", 8 as Ino);
  table.releaseSession(a);
  t.deepEqual(log, ["b"]);
  table.releaseSession(b);
  t.deepEqual(table.statistics, { inodes: 0, held: 0, waiting: 0 });
});

test("locks and waiters of one session are bounded", (t) => {
  const table = createLockTable();
  for (let i = 0; i < limits.locksPerSessionMax; i++) table.take(i as Ino, a, lock("read", 0, 0));
  t.throws(() => table.take(ino, a, lock("read", 5, 5)), { message: /ENOLCK/ });
  table.take(ino, b, lock("write", 100));
  for (let i = 0; i < limits.lockWaitersPerSessionMax; i++) table.wait(ino, c, lock("write", 100), () => undefined);
  t.throws(() => table.wait(ino, c, lock("write", 100), () => undefined), { message: /ENOLCK/ });
});

/** The naive model: what each owner holds of each byte, and waiters in a list. */
const bytes = 12;
const owners = [a, b, c].flatMap((session) => [1n, 2n].map((owner) => ({ session, owner })));
interface Step {
  readonly who: number;
  readonly kind: Lock["kind"];
  readonly type: Lock["type"];
  readonly start: number;
  readonly length: number;
  readonly action: "take" | "wait" | "releaseOwner" | "endSession";
}

class Model {
  readonly held = new Map<string, ("read" | "write" | undefined)[]>();
  waiters: { readonly who: number; readonly wanted: Lock; readonly id: number }[] = [];
  granted: number[] = [];

  row(who: number, kind: Lock["kind"]): ("read" | "write" | undefined)[] {
    const key = `${String(who)}/${kind}`;
    let row = this.held.get(key);
    if (row === undefined) this.held.set(key, (row = new Array<undefined>(bytes).fill(undefined)));
    return row;
  }

  range({ kind, start, end: last }: Lock): [number, number] {
    return kind === "flock" ? [0, bytes - 1] : [Number(start), Math.min(Number(last), bytes - 1)];
  }

  isFree(who: number, wanted: Lock): boolean {
    const [from, to] = this.range(wanted);
    return owners.every((_, other) => {
      if (other === who) return true;
      const row = this.row(other, wanted.kind);
      for (let i = from; i <= to; i++) {
        if (row[i] === "write" || (row[i] === "read" && wanted.type === "write")) return false;
      }
      return true;
    });
  }

  put(who: number, wanted: Lock): void {
    const [from, to] = this.range(wanted);
    this.row(who, wanted.kind).fill(wanted.type === "unlock" ? undefined : wanted.type, from, to + 1);
  }

  take(who: number, wanted: Lock): boolean {
    const isFree = wanted.type === "unlock" || this.isFree(who, wanted);
    if (isFree) this.put(who, wanted);
    else if (wanted.kind === "flock") this.put(who, { ...wanted, type: "unlock" });
    this.wake();
    return isFree;
  }

  wake(): void {
    for (;;) {
      const index = this.waiters.findIndex(({ who, wanted }) => this.isFree(who, wanted));
      const [waiter] = index < 0 ? [] : this.waiters.splice(index, 1);
      if (waiter === undefined) return;
      this.put(waiter.who, waiter.wanted);
      this.granted.push(waiter.id);
    }
  }
}

const step: fc.Arbitrary<Step> = fc.record({
  who: fc.nat(owners.length - 1),
  kind: fc.constantFrom("posix", "posix", "posix", "flock"),
  type: fc.constantFrom("read", "write", "unlock"),
  start: fc.nat(bytes - 1),
  length: fc.integer({ min: 1, max: bytes }),
  action: fc.constantFrom("take", "take", "take", "wait", "wait", "releaseOwner", "endSession"),
});

test("any sequence of requests gives what a naive model of single bytes gives", (t) => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const table = createLockTable();
      const model = new Model();
      const granted: number[] = [];
      steps.forEach(({ who, kind, type, start, length, action }, id) => {
        const owner = owners[who] as (typeof owners)[number];
        const wanted = lock(type, start, Math.min(start + length - 1, bytes - 1), { kind, owner: owner.owner });
        if (action === "releaseOwner") {
          table.release(ino, owner.session, owner.owner, kind);
          model.row(who, kind).fill(undefined);
          model.wake();
        } else if (action === "endSession") {
          table.releaseSession(owner.session);
          owners.forEach((other, index) => {
            if (other.session !== owner.session) return;
            for (const each of ["posix", "flock"] as const) model.row(index, each).fill(undefined);
          });
          model.waiters = model.waiters.filter((waiter) => owners[waiter.who]?.session !== owner.session);
          model.wake();
        } else {
          t.is(table.take(ino, owner.session, wanted), model.take(who, wanted));
          if (action === "wait" && type !== "unlock" && !model.isFree(who, wanted)) {
            try {
              table.wait(ino, owner.session, wanted, () => granted.push(id));
              model.waiters.push({ who, wanted, id });
            } catch {
              // EDEADLK: has tests of its own.
            }
          }
        }
        t.deepEqual(granted, model.granted);
        owners.forEach((other, index) => {
          for (let i = 0; i < bytes; i++) {
            for (const each of ["posix", "flock"] as const) {
              const probe = lock("write", i, i, { kind: each, owner: other.owner });
              t.is(table.conflict(ino, other.session, probe) === undefined, model.isFree(index, probe));
            }
          }
        });
      });
      for (const { session } of owners) table.releaseSession(session);
      t.deepEqual(table.statistics, { inodes: 0, held: 0, waiting: 0 });
    }),
    { numRuns: 150 },
  );
});
