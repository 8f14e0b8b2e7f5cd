/**
 * Power loss and process end at every kind of moment, from a seed. After recovery the state is that after some batch, not
 * before the last one that was said to be durable; and the store goes on from there.
 */
import test, { type ExecutionContext } from "ava";
import { seededRandom, type Random } from "../../src/base/random.ts";
import { openMemoryStore, openMetadataStore, type Store, type StoreOptions } from "../../src/metadata-store/open.ts";
import type { Change } from "../../src/metadata-store/types.ts";
import { FaultyDisk } from "../support/faulty-disk.ts";
import { SimulatedClock } from "../support/simulated-clock.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";
import { contentOf } from "./support.ts";

const rounds = 6;

for (const seeds of [range(0, 20), range(20, 40), range(40, 60)]) {
  test(`memory: every acknowledged batch survives crashes, seeds ${String(seeds[0])} and on`, async (t) => {
    for (const seed of seeds) await survive(t, seed, openMemoryStore, "/proc/nowhere");
  });
}

test("LMDB: every acknowledged batch survives crashes, with a base that is behind", async (t) => {
  for (const seed of range(100, 112)) await survive(t, seed, openMetadataStore, await temporaryFolder(t));
});

async function survive(
  t: ExecutionContext,
  seed: number,
  open: (options: StoreOptions) => Promise<Store>,
  root: string,
): Promise<void> {
  const random = seededRandom(seed);
  let disk = new FaultyDisk(random, root);
  /** The whole state after each batch, by index. */
  const states: ReadonlyMap<string, string>[] = [new Map()];
  let acknowledged = 0;
  let epoch = 0;
  for (let round = 0; round < rounds; round++) {
    disk.crashAfter(1 + random.below(round % 2 === 0 ? 60 : 400));
    const store = await openDespiteCrashes(disk, random, open);
    disk = store.disk;
    const { lastIndex } = store.store;
    const label = `seed ${String(seed)}, round ${String(round)}`;
    t.true(store.store.epoch > epoch, `${label}: the epoch rises`);
    epoch = store.store.epoch;
    t.true(
      lastIndex >= acknowledged,
      `${label}: batch ${String(acknowledged)} was acknowledged, ${String(lastIndex)} found`,
    );
    t.true(lastIndex < states.length, `${label}: nothing from nowhere`);
    states.length = lastIndex + 1;
    t.deepEqual(contentOf(store.store), sorted(states[lastIndex] ?? new Map()), `${label}: a prefix`);
    acknowledged = Math.max(lastIndex, await work(store.store, random, states));
    await store.store.close().catch(() => undefined);
    disk = random.below(3) === 0 ? disk.kill() : disk.crash();
  }
}

/** Opening is cut as well: then it is tried again on what is left. */
async function openDespiteCrashes(
  start: FaultyDisk,
  random: Random,
  open: (options: StoreOptions) => Promise<Store>,
): Promise<{ store: Store; disk: FaultyDisk }> {
  let disk = start;
  for (;;) {
    try {
      const clock = new SimulatedClock();
      const sizes = { journalFileBytes: 64 * 1024, overlayBytesMax: 20_000, snapshotJournalBytes: 240_000 };
      return { store: await open({ disk, clock, ...sizes, lmdbMapBytes: 64 * 1024 * 1024 }), disk };
    } catch (error) {
      if (!disk.isDead) throw error;
      disk = disk.crash();
      disk.crashAfter(1 + random.below(200));
    }
  }
}

/** Random batches until the disk dies or enough is done; returns the highest index said to be durable. */
async function work(store: Store, random: Random, states: ReadonlyMap<string, string>[]): Promise<number> {
  let durable = 0;
  const acknowledge = (index: number): void => {
    durable = Math.max(durable, index);
  };
  try {
    for (let i = 0; i < 150; i++) {
      const changes = randomChanges(random);
      const state = new Map(states.at(-1));
      for (const [key, value] of changes) {
        if (value === null) state.delete(key);
        else state.set(key, value.toString("latin1"));
      }
      store.apply(changes);
      states.push(state);
      const index = store.lastIndex;
      if (random.below(4) === 0)
        await store.durable().then(() => {
          acknowledge(index);
        });
      else
        void store.durable().then(
          () => {
            acknowledge(index);
          },
          () => undefined,
        );
      if (random.below(10) === 0) await store.room();
      if (random.below(60) === 0) await store.snapshot();
    }
    await store.durable();
  } catch (error) {
    if (!(error instanceof Error && error.name === "FsError")) throw error;
  }
  return durable;
}

function randomChanges(random: Random): Change[] {
  return Array.from({ length: 1 + random.below(4) }, () => {
    const key = "idx".charAt(random.below(3)) + String.fromCharCode(random.below(256)).repeat(1 + random.below(3));
    return [key, random.below(4) === 0 ? null : random.bytes(random.below(700))] as const;
  });
}

function sorted(state: ReadonlyMap<string, string>): [string, string][] {
  return [...state].sort(([a], [b]) => (a < b ? -1 : 1));
}

function range(from: number, to: number): number[] {
  return Array.from({ length: to - from }, (_, i) => from + i);
}
