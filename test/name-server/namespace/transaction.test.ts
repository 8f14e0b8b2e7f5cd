import test from "ava";
import { limits } from "../../../src/base/limits.ts";
import { seededRandom } from "../../../src/base/random.ts";
import { Transaction } from "../../../src/name-server/namespace/index.ts";
import { MemoryReader } from "./support.ts";

test("a transaction reads its own changes over the store and leaves the store alone", (t) => {
  const store = new MemoryReader();
  store.apply([
    ["a", Buffer.from("1")],
    ["b", Buffer.from("2")],
  ]);
  const transaction = new Transaction(store);
  transaction.put("a", Buffer.from("changed"));
  transaction.remove("b");
  transaction.put("c", Buffer.from("3"));
  t.is(transaction.get("a")?.toString(), "changed");
  t.is(transaction.get("b"), undefined);
  t.deepEqual(
    [...transaction.range({ gte: "a", lt: "z" })].map(([key]) => key),
    ["a", "c"],
  );
  t.is(store.get("a")?.toString(), "1");
  t.is(transaction.keys, 3);
  t.is(transaction.bytes, 3 + 7 + 1);
  t.deepEqual(
    transaction.changes().map(([key, value]) => [key, value?.toString() ?? null]),
    [
      ["a", "changed"],
      ["b", null],
      ["c", "3"],
    ],
  );
  transaction.clear();
  t.is(transaction.keys, 0);
  t.is(transaction.get("b")?.toString(), "2");
});

test("ranges merge both layers in both directions under any limit", (t) => {
  const seed = 7;
  t.log(`seed ${String(seed)}`);
  const random = seededRandom(seed);
  const key = (): string => String.fromCharCode(97 + random.below(26)) + String.fromCharCode(97 + random.below(3));
  for (let round = 0; round < 1_000; round++) {
    const store = new MemoryReader();
    const expected = new Map<string, string>();
    for (let i = random.below(15); i > 0; i--) {
      const [name, value] = [key(), String(random.below(100))];
      store.apply([[name, Buffer.from(value)]]);
      expected.set(name, value);
    }
    const transaction = new Transaction(store);
    for (let i = random.below(15); i > 0; i--) {
      const name = key();
      // Ranges in between, so that the order of own keys is kept up to date.
      if (random.below(3) === 0) Array.from(transaction.range({ gte: "a", lt: "{" }));
      if (random.below(2) === 0) {
        transaction.remove(name);
        expected.delete(name);
      } else {
        transaction.put(name, Buffer.from(String(i)));
        expected.set(name, String(i));
      }
    }
    const [gte, lt, reverse, limit] = [key(), key(), random.below(2) === 0, random.below(8)];
    const bounds = random.below(2) === 0 ? { gte, lt, reverse } : { gte, lt, reverse, limit };
    const all = [...expected].filter(([name]) => name >= gte && name < lt).sort(([a], [b]) => (a < b ? -1 : 1));
    if (reverse) all.reverse();
    const wanted = "limit" in bounds ? all.slice(0, limit) : all;
    t.deepEqual(
      [...transaction.range(bounds)].map(([name, value]) => [name, value.toString()]),
      wanted,
    );
  }
});

test("a range that is being read is not disturbed by what is removed meanwhile", (t) => {
  const transaction = new Transaction(new MemoryReader());
  for (const key of ["a", "b", "c"]) transaction.put(key, Buffer.from(key));
  const seen: string[] = [];
  for (const [key] of transaction.range({ gte: "a", lt: "z" })) {
    seen.push(key);
    transaction.remove(key);
  }
  t.deepEqual(seen, ["a", "b", "c"]);
  t.deepEqual([...transaction.range({ gte: "a", lt: "z" })], []);
});

test("too many keys or bytes are a programmer's error, never applied", (t) => {
  const transaction = new Transaction(new MemoryReader());
  for (let i = 0; i < limits.transactionKeysMax; i++) transaction.put(`k${String(i)}`, Buffer.alloc(1));
  t.is(transaction.changes().length, limits.transactionKeysMax);
  transaction.put("one more", Buffer.alloc(1));
  t.throws(() => transaction.changes(), { message: /too many keys/ });
  transaction.clear();
  for (let i = 0; i < 300; i++) transaction.put(`k${String(i)}`, Buffer.alloc(16_000));
  t.throws(() => transaction.changes(), { message: /too many bytes/ });
});
