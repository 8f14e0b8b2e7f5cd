import test from "ava";
import { toGroupId, type GroupId } from "../../../src/base/ids.ts";
import { seededRandom } from "../../../src/base/random.ts";
import { keys } from "../../../src/metadata-store/keys.ts";
import { openMemoryStore, type Store } from "../../../src/metadata-store/open.ts";
import { encodeBlock } from "../../../src/metadata-store/records.ts";
import type { Key, MetadataReader } from "../../../src/metadata-store/types.ts";
import { createSizes } from "../../../src/name-server/repair/sizes.ts";
import { FaultyDisk } from "../../support/faulty-disk.ts";
import { SimulatedClock } from "../../support/simulated-clock.ts";

const [a, b, empty] = [toGroupId(1), toGroupId(2), toGroupId(3)];
const groups = [a, b, empty];
const minuteMillis = 60_000;

/** So many blocks of 100 bytes in a group, after those that it has. */
function fill(store: Store, group: GroupId, first: number, count: number): void {
  const record = encodeBlock({ length: 100, references: 1, liveBytes: 100, owner: 0 });
  for (let at = 0; at < count; at += 1_000)
    store.apply(
      Array.from({ length: Math.min(1_000, count - at) }, (_, i) => [
        keys.block({ group, number: first + at + i }),
        record,
      ]),
    );
}

async function play(): Promise<{ store: Store; clock: SimulatedClock; reader: MetadataReader; read: () => number }> {
  const clock = new SimulatedClock();
  const store = await openMemoryStore({ disk: new FaultyDisk(seededRandom(1)), clock });
  let looked = 0;
  const reader: MetadataReader = {
    get: (key) => store.get(key),
    *range(bounds: Parameters<MetadataReader["range"]>[0]): IterableIterator<readonly [Key, Buffer]> {
      for (const pair of store.range(bounds)) {
        looked++;
        yield pair;
      }
    },
  };
  const read = (): number => {
    const last = looked;
    looked = 0;
    return last;
  };
  return { store, clock, reader, read };
}

test("groups are counted piece by piece, those that are asked for first, all after a minute, and again after each", async (t) => {
  const { store, clock, reader, read } = await play();
  fill(store, a, 1, 9_000);
  fill(store, b, 1, 10);
  const sizes = createSizes(reader, clock);
  const tick = (...first: GroupId[]): number => {
    sizes.tick(groups, first);
    return read();
  };
  const all = (): (number | undefined)[] => groups.map((group) => sizes.of(group));
  t.is(tick(), 0, "there is more urgent work after a start");
  t.is(tick(a), 4_000);
  t.deepEqual(all(), [undefined, undefined, undefined], "half of it is not told");
  t.is(tick(a), 4_000);
  t.is(tick(a), 1_000);
  t.deepEqual(all(), [900_000, undefined, undefined]);
  t.is(tick(a), 0, "what is known is not counted again before its time");
  t.false(sizes.isComplete);
  await clock.advance(minuteMillis);
  for (let i = 0; i < 4; i++) t.true(tick() <= 4_000);
  t.deepEqual(all(), [900_000, 1_000, 0]);
  t.true(sizes.isComplete);
  fill(store, b, 11, 20);
  t.is(tick(), 0);
  t.deepEqual(all(), [900_000, 1_000, 0]);
  await clock.advance(minuteMillis);
  for (let i = 0; i < 4; i++) tick();
  t.deepEqual(all(), [900_000, 3_000, 0]);
  await store.close();
});

test("a group that ends with a piece is counted whole, and so is one that grows meanwhile", async (t) => {
  const { store, clock, reader } = await play();
  fill(store, a, 1, 4_000);
  const sizes = createSizes(reader, clock);
  sizes.tick(groups, [a]);
  t.is(sizes.of(a), undefined);
  fill(store, a, 4_001, 1_000);
  sizes.tick(groups, [a]);
  t.is(sizes.of(a), 500_000);
  await store.close();
});
