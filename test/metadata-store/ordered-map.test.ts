import test from "ava";
import fc from "fast-check";
import { mergeLayers } from "../../src/metadata-store/merge.ts";
import { OrderedMap } from "../../src/metadata-store/ordered-map.ts";

const key = fc.string({
  unit: fc.integer({ min: 0, max: 255 }).map((code) => String.fromCharCode(code)),
  minLength: 1,
  maxLength: 3,
});
const step = fc.record({ key, kind: fc.constantFrom("set", "remove", "delete") });

test("an ordered map does what a sorted Map does, in both directions and within bounds", (t) => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 1_500 }), key, key, (steps, gte, lt) => {
      const map = new OrderedMap();
      const model = new Map<string, Buffer | null>();
      steps.forEach(({ key, kind }, i) => {
        const value = kind === "set" ? Buffer.from(String(i)) : null;
        if (kind === "delete") {
          map.delete(key);
          model.delete(key);
        } else {
          map.set(key, value);
          model.set(key, value);
        }
      });
      const sorted = [...model].sort(([a], [b]) => (a < b ? -1 : 1));
      const within = sorted.filter(([k]) => k >= gte && k < lt);
      t.is(map.size, model.size);
      t.deepEqual([...map.entries()], sorted);
      t.deepEqual([...map.range({ gte, lt })], within);
      t.deepEqual([...map.range({ gte, lt, reverse: true })], within.reverse());
      for (const [k] of sorted) map.delete(k);
      t.is(map.bytes, 0);
      t.deepEqual([...map.entries()], []);
    }),
    { numRuns: 60 },
  );
});

test("100,000 keys in random and in ascending order come back sorted", (t) => {
  for (const order of [(i: number) => (i * 7919) % 100_003, (i: number) => i]) {
    const map = new OrderedMap();
    for (let i = 0; i < 100_000; i++) map.set(`i${String(order(i)).padStart(8, "0")}`, null);
    let previous = "";
    let count = 0;
    for (const [k] of map.entries()) {
      if (k <= previous) t.fail(`${k} after ${previous}`);
      previous = k;
      count++;
    }
    t.is(count, 100_000);
  }
});

test("a map may change under a range, forwards and backwards", (t) => {
  const map = new OrderedMap();
  for (const k of ["b", "d", "f"]) map.set(k, null);
  const forwards: string[] = [];
  for (const [k] of map.range({ gte: "a", lt: "z" })) {
    forwards.push(k);
    if (k === "b") map.set("c", null);
    if (k === "d") map.delete("d");
  }
  t.deepEqual(forwards, ["b", "c", "d", "f"]);
  const backwards: string[] = [];
  for (const [k] of map.range({ gte: "a", lt: "z", reverse: true })) {
    backwards.push(k);
    if (k === "f") map.set("e", null);
    if (k === "c") map.delete("c");
  }
  t.deepEqual(backwards, ["f", "e", "c", "b"]);
});

test("merged layers show the newest value of each key and hide what is removed", (t) => {
  const newest = [
    ["a", null],
    ["c", Buffer.from("3")],
  ] as const;
  const oldest = [
    ["a", Buffer.from("1")],
    ["b", Buffer.from("2")],
    ["c", Buffer.from("old")],
  ] as const;
  const text = (reverse: boolean, limit: number): string[] =>
    [...mergeLayers(reverse ? [newest.toReversed(), oldest.toReversed()] : [newest, oldest], { reverse, limit })].map(
      ([k, value]) => k + value.toString(),
    );
  t.deepEqual(text(false, Infinity), ["b2", "c3"]);
  t.deepEqual(text(true, Infinity), ["c3", "b2"]);
  t.deepEqual(text(false, 1), ["b2"]);
  t.deepEqual(text(false, 0), []);
});
