/** The map and the list do what the built-in ones do. */
import test from "ava";
import fc from "fast-check";
import { List, NumberMap, type Listed } from "../../../src/name-server/leases/collections.ts";

test("the map of numbers is a map", (t) => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.constantFrom("set", "delete"), fc.nat(1_100))), (steps) => {
      const map = new NumberMap<number, string>();
      const expected = new Map<number, string>();
      for (const [step, key] of steps) {
        if (step === "set") map.set(key, `${String(key)} ${String(expected.size)}`);
        else map.delete(key);
        if (step === "set") expected.set(key, `${String(key)} ${String(expected.size)}`);
        else expected.delete(key);
      }
      t.is(map.size, expected.size);
      t.deepEqual([...map.values()].sort(), [...expected.values()].sort());
      for (const [, key] of steps) t.is(map.get(key), expected.get(key));
    }),
    { numRuns: 100 },
  );
});

interface Item extends Listed<Item> {
  readonly name: number;
}

test("an item is in one list at a time, and a list is in the order of adding", (t) => {
  fc.assert(
    fc.property(fc.array(fc.record({ to: fc.constantFrom(0, 1, undefined), item: fc.nat(5) })), (steps) => {
      const lists = [new List<Item>(), new List<Item>()] as const;
      const items = Array.from({ length: 6 }, (_, name): Item => ({
        name,
        list: undefined,
        before: undefined,
        after: undefined,
      }));
      const expected: [number[], number[]] = [[], []];
      for (const { to, item } of steps) {
        const moved = items[item] as Item;
        const was = moved.list;
        const without = (names: number[]): number[] => names.filter((name) => name !== item);
        expected[0] = without(expected[0]);
        expected[1] = without(expected[1]);
        if (to === undefined) t.is(was?.delete(moved) ?? false, was !== undefined);
        else lists[to].add(moved);
        if (to !== undefined) expected[to].push(item);
      }
      for (const index of [0, 1] as const) {
        const found: number[] = [];
        for (let item = lists[index].first; item !== undefined; item = item.after) found.push(item.name);
        t.deepEqual(found, expected[index]);
        t.is(lists[index].size, found.length);
      }
    }),
    { numRuns: 200 },
  );
});
