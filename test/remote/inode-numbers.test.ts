/** Inode numbers at hand: reserved before they are needed, each given once, ended with the session. */
import test from "ava";
import { FsError } from "../../src/base/errno.ts";
import { toIno } from "../../src/base/ids.ts";
import { limits } from "../../src/base/limits.ts";
import { silentLog } from "../../src/base/log.ts";
import { ReservedInodes } from "../../src/remote/inode-numbers.ts";
import { turns } from "../vfs/mount.ts";

interface Asked {
  readonly count: number;
  readonly give: (first: number, count?: number) => void;
  readonly refuse: () => void;
}

function reserving(): { numbers: ReservedInodes; asked: Asked[] } {
  const asked: Asked[] = [];
  const numbers = new ReservedInodes(
    (count) =>
      new Promise((resolve, reject) => {
        asked.push({
          count,
          give: (first, given = count) => {
            resolve({ first, count: given });
          },
          refuse: () => {
            reject(new FsError("ENOSPC", "nothing may grow"));
          },
        });
      }),
    silentLog,
  );
  return { numbers, asked };
}

function at(asked: readonly Asked[], index: number): Asked {
  const one = asked[index];
  if (one === undefined) throw new Error(`${String(asked.length)} were asked`);
  return one;
}

test("the first taker gets none, and has some asked for, once", async (t) => {
  const { numbers, asked } = reserving();
  t.is(numbers.take(), undefined);
  t.is(numbers.take(), undefined);
  t.is(asked.length, 1);
  t.true(at(asked, 0).count <= limits.reservedInodesMax);
  at(asked, 0).give(100);
  await turns();
  t.is(numbers.take(), toIno(100));
  t.is(numbers.take(), toIno(101));
});

test("each is given once, also over ranges, and more are asked for before the last is gone", async (t) => {
  const { numbers, asked } = reserving();
  numbers.take();
  const { count } = at(asked, 0);
  at(asked, 0).give(100);
  await turns();
  const taken: (number | undefined)[] = [];
  while (asked.length === 1) taken.push(numbers.take());
  t.true(taken.length > 0 && taken.length < count);
  at(asked, 1).give(1_000_000);
  await turns();
  for (let i = taken.length; i < count + 10; i++) taken.push(numbers.take());
  t.false(taken.includes(undefined));
  t.is(new Set(taken).size, count + 10);
  t.is(taken[count], toIno(1_000_000));
});

test("what the server gives counts, though it is less than was asked for", async (t) => {
  const { numbers, asked } = reserving();
  numbers.take();
  at(asked, 0).give(100, 2);
  await turns();
  t.deepEqual([numbers.take(), numbers.take(), numbers.take()], [toIno(100), toIno(101), undefined]);
});

test("after a refusal they are asked for again at the next need", async (t) => {
  const { numbers, asked } = reserving();
  numbers.take();
  at(asked, 0).refuse();
  await turns();
  t.is(asked.length, 1);
  t.is(numbers.take(), undefined);
  t.is(asked.length, 2);
  at(asked, 1).give(50);
  await turns();
  t.is(numbers.take(), toIno(50));
});

test("numbers of a session that is over are not given, whether they were here or on their way", async (t) => {
  const { numbers, asked } = reserving();
  numbers.take();
  at(asked, 0).give(100, 10);
  await turns();
  t.is(numbers.take(), toIno(100));
  t.is(asked.length, 2);
  numbers.clear();
  t.is(numbers.take(), undefined);
  at(asked, 1).give(200);
  await turns();
  t.is(numbers.take(), undefined);
  t.is(asked.length, 3);
  at(asked, 2).give(300);
  await turns();
  t.is(numbers.take(), toIno(300));
});
