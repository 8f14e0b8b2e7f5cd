/** What a verification finds when the pages of the store below it are not what they should be. */
import test from "ava";
import { origin } from "../../src/journal/position.ts";
import { TableSums } from "../../src/metadata-store/table-sums.ts";
import type { Key, PinnedState } from "../../src/metadata-store/types.ts";
import { valueChecksum } from "../../src/metadata-store/value-checksum.ts";
import { verifyState, verifyTable } from "../../src/metadata-store/verify.ts";

type Pair = readonly [Key, Buffer];

const pairs: readonly Pair[] = ["c", "d", "i", "\u00ff"].flatMap((table) =>
  Array.from({ length: 300 }, (_, i): Pair => [
    i === 0 ? table : `${table}${String(i).padStart(3, "0")}`,
    Buffer.alloc(50, i),
  ]),
);

/** A state with the sums of `pairs`: `walked` is what a walk gives, `found` what a search does. */
function stateOf(walked = pairs, found = walked): PinnedState {
  const sums = new TableSums();
  for (const [key, value] of pairs) sums.add(key, valueChecksum(key, value));
  return {
    position: origin,
    sums: sums.encode(),
    page: (after) => {
      const start = walked.findIndex(([key]) => key > after);
      return start === -1 ? [] : walked.slice(start, start + 70);
    },
    get: (wanted) => found.find(([key]) => key === wanted)?.[1],
    release: () => undefined,
  };
}

const nothing = (): Promise<void> => Promise.resolve();
const without = (at: number): Pair[] => pairs.toSpliced(at, 1);
const wrong = pairs.with(400, ["d100", Buffer.alloc(50, 1)]);

test("a state that is as it should be passes, table by table", async (t) => {
  let read = 0;
  await verifyState(stateOf(), (bytes) => {
    read += bytes;
    return nothing();
  });
  t.is(
    read,
    pairs.reduce((sum, [key, value]) => sum + key.length + value.length, 0),
  );
  const tables: (number | undefined)[] = [];
  for (let next: number | undefined = 0; next !== undefined;) {
    next = await verifyTable(stateOf(), next, nothing);
    tables.push(next);
  }
  t.deepEqual(tables, [0x64, 0x65, 0x6a, undefined]);
});

for (const [what, state] of [
  ["the first key is missing", stateOf(without(0))],
  ["a key is missing", stateOf(without(400))],
  ["the last key is missing", stateOf(without(pairs.length - 1))],
  ["a whole table is missing", stateOf(pairs.filter(([key]) => !key.startsWith("d")))],
  ["everything is missing", stateOf([])],
  ["a search does not find a key", stateOf(pairs, without(400))],
  ["a key is there that was removed", stateOf(pairs.toSpliced(400, 0, ["d0995", Buffer.alloc(1)]))],
  ["a table is there that was removed", stateOf(pairs.toSpliced(600, 0, ["e", Buffer.alloc(1)]))],
  ["a value is another one", stateOf(wrong)],
  ["keys are out of order", stateOf(pairs.toSpliced(400, 2, pairs[401] as Pair, pairs[400] as Pair))],
] as const) {
  test(`found: ${what}`, async (t) => {
    await t.throwsAsync(verifyState(state, nothing), { message: /EIO.*the materialised store is damaged/ });
  });
}

test("a table that was verified before is not read again", async (t) => {
  t.is(await verifyTable(stateOf(without(0)), 0x64, nothing), 0x65);
  await t.throwsAsync(verifyTable(stateOf(without(400)), 0x64, nothing), { message: /damaged/ });
});
