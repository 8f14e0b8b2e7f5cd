/**
 * Real runs of both stores on the real disk, recorded; then the power is lost at every moment of them. What was acknowledged
 * is there, and nothing is there that never was. DFS_SEED=3 does other work, DFS_LONG=1 replays each moment several times.
 */
import test, { type ExecutionContext } from "ava";
import { systemClock } from "../../src/base/clock.ts";
import { seededRandom, type Random } from "../../src/base/random.ts";
import { openSystemDisk } from "../../src/base/system-disk.ts";
import { memoryBackend } from "../../src/block-store/memory-backend.ts";
import type { BlockStore } from "../../src/block-store/types.ts";
import { openMemoryStore, type Store } from "../../src/metadata-store/open.ts";
import type { Change } from "../../src/metadata-store/types.ts";
import { holds, id, MiB, openStore, put } from "../block-store/support.ts";
import { contentOf } from "../metadata-store/support.ts";
import { Recorder } from "../support/recorder.ts";
import { SimulatedClock } from "../support/simulated-clock.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";

const seed = Number(process.env["DFS_SEED"] ?? "1");
const replaysPerMoment = process.env["DFS_LONG"] === undefined ? 1 : 10;
/** Moments of the block store's run that are looked at: each copies megabytes. */
const blockMomentsMax = process.env["DFS_LONG"] === undefined ? 120 : Infinity;

test("metadata store: no moment of a run loses a batch that was acknowledged", async (t) => {
  const random = seededRandom(seed);
  const recorder = new Recorder(await openSystemDisk(await temporaryFolder(t)));
  // Files are closed and recycled, snapshots taken, the journal trimmed.
  const sizes = { journalFileBytes: 16 * 1024, overlayBytesMax: 20_000, snapshotJournalBytes: 40_000 };
  const store = await openMemoryStore({ disk: recorder.disk, clock: systemClock, ...sizes });
  const { states, acknowledged } = await changeMuch(store, random, recorder);
  await store.close();
  t.log(`${String(recorder.moment)} moments, ${String(states.length - 1)} batches`);
  t.true(acknowledged.length > 50 && recorder.count("rename") > 5, "files are recycled, and snapshots taken");
  for (let moment = 1; moment <= recorder.moment; moment++) {
    const sure = Math.max(0, ...acknowledged.filter((ack) => ack.moment <= moment).map(({ index }) => index));
    for (let i = 0; i < replaysPerMoment; i++) {
      const { disk } = await recorder.replay(moment, seededRandom(moment * 1_000 + i));
      const label = `seed ${String(seed)}, moment ${String(moment)}.${String(i)}`;
      const recovered = await openMemoryStore({ disk, clock: new SimulatedClock(), ...sizes });
      const { lastIndex } = recovered;
      if (lastIndex < sure)
        t.fail(`${label}: batch ${String(sure)} was acknowledged, ${String(lastIndex)} is the last`);
      const expected = [...(states[lastIndex] ?? new Map<string, string>())].sort(([a], [b]) => (a < b ? -1 : 1));
      if (JSON.stringify(contentOf(recovered)) !== JSON.stringify(expected))
        t.fail(`${label}: no state that was there`);
      await recovered.close();
    }
  }
});

interface Acknowledged {
  readonly moment: number;
  readonly index: number;
}

async function changeMuch(
  store: Store,
  random: Random,
  recorder: Recorder,
): Promise<{ states: ReadonlyMap<string, string>[]; acknowledged: Acknowledged[] }> {
  const states: ReadonlyMap<string, string>[] = [new Map()];
  const acknowledged: Acknowledged[] = [];
  const waiting: Promise<void>[] = [];
  for (let i = 0; i < 120; i++) {
    const state = new Map(states.at(-1));
    const changes = Array.from({ length: 1 + random.below(4) }, (): Change => {
      const key = "idx".charAt(random.below(3)) + String.fromCharCode(random.below(256));
      const value = random.below(4) === 0 ? null : random.bytes(random.below(700));
      if (value === null) state.delete(key);
      else state.set(key, value.toString("latin1"));
      return [key, value];
    });
    store.apply(changes);
    states.push(state);
    const index = store.lastIndex;
    const durable = store.durable().then(() => {
      acknowledged.push({ moment: recorder.moment, index });
    });
    waiting.push(durable);
    if (random.below(3) === 0) await durable;
    if (random.below(40) === 0) await store.snapshot();
    await store.room();
  }
  await Promise.all(waiting);
  return { states, acknowledged };
}

interface Life {
  readonly length: number;
  /** The moments at which that was answered, or begun. */
  stored: number;
  removing: number;
  removed: number;
}

test("block store: no moment of a run with compaction loses a block, or brings one back", async (t) => {
  const random = seededRandom(seed);
  const recorder = new Recorder(await openSystemDisk(await temporaryFolder(t)));
  const capacityBytes = 40 * MiB;
  const store = await openStore(recorder.disk, { capacityBytes, backend: recorder.index(memoryBackend()) });
  const blocks = await storeMuch(store, random, recorder);
  const { segments } = store.statistics;
  await store.close();
  t.log(`${String(recorder.moment)} moments, ${String(blocks.length)} blocks, ${String(segments)} segments left`);
  t.true(recorder.count("remove") > 0, "a segment was compacted");
  const every = Math.max(1, Math.ceil(recorder.moment / blockMomentsMax));
  for (let moment = 1; moment <= recorder.moment; moment += every) {
    const { disk, index } = await recorder.replay(moment, seededRandom(moment));
    const recovered = await openStore(disk, { capacityBytes, backend: index, clock: new SimulatedClock() });
    for (const [number, block] of blocks.entries()) {
      await checkBlock(t, recovered, number, block, moment);
    }
    await recovered.close();
  }
});

async function storeMuch(store: BlockStore, random: Random, recorder: Recorder): Promise<Life[]> {
  const blocks: Life[] = [];
  for (let i = 0; i < 45; i++) {
    const begun: Promise<void>[] = [];
    for (let count = 1 + random.below(3); count > 0; count--) {
      const block: Life = {
        length: 1 + random.below(300_000),
        stored: Infinity,
        removing: Infinity,
        removed: Infinity,
      };
      const number = blocks.push(block) - 1;
      begun.push(
        put(store, number, block.length).then(() => {
          block.stored = recorder.moment;
        }),
      );
    }
    if (random.below(3) === 0) {
      const victims = [...blocks.entries()].filter(
        ([, { stored, removing }]) => stored !== Infinity && removing === Infinity && random.below(4) > 0,
      );
      for (const [, block] of victims) block.removing = recorder.moment;
      await store.remove(victims.map(([number]) => id(number)));
      for (const [, block] of victims) block.removed = recorder.moment;
    }
    await Promise.all(begun);
  }
  return blocks;
}

async function checkBlock(
  t: ExecutionContext,
  store: BlockStore,
  number: number,
  { length, stored, removing, removed }: Life,
  moment: number,
): Promise<void> {
  const label = `seed ${String(seed)}, moment ${String(moment)}, block ${String(number)}`;
  const isThere = store.has(id(number));
  if (stored <= moment && moment <= removing && !isThere) t.fail(`${label} was acknowledged and is missing`);
  if (removed <= moment && isThere) t.fail(`${label} is back`);
  if (isThere && !(await holds(store, number, length))) t.fail(`${label} holds something else`);
}
