/** A check finds nothing where nothing is wrong: after random operations, and while they go on. */
import test from "ava";
import { silentLog } from "../../../src/base/log.ts";
import { openMemoryStore } from "../../../src/metadata-store/open.ts";
import { keys } from "../../../src/metadata-store/keys.ts";
import { encodeSession } from "../../../src/metadata-store/records.ts";
import { seededRandom } from "../../../src/base/random.ts";
import { startFsck } from "../../../src/name-server/fsck/fsck.ts";
import type { LeaseService } from "../../../src/name-server/lease-service.ts";
import type { Change } from "../../../src/metadata-store/types.ts";
import type { Found, FsckSummary } from "../../../src/protocol/check-methods.ts";
import { FaultyDisk } from "../../support/faulty-disk.ts";
import { SimulatedClock } from "../../support/simulated-clock.ts";
import { RandomRun } from "../namespace/random-operations.ts";
import { handOut, noNodes, session } from "./support.ts";

const seeds = Number(process.env["FSCK_SEEDS"] ?? 6);

test("random operations leave nothing that a check would find, before, while and after it runs", async (t) => {
  const first = Number(process.env["FSCK_SEED"] ?? 1);
  for (let seed = first; seed < first + seeds; seed++) {
    const run = new RandomRun(seed);
    handOut(run.namespace.store, 1_000_000);
    run.namespace.store.apply([[keys.session(session), encodeSession({ opened: 1n, clientName: "test" })]]);
    for (let step = 0; step < 300; step++) run.step();
    const clock = new SimulatedClock();
    const store = await openMemoryStore({ disk: new FaultyDisk(seededRandom(seed)), clock });
    store.apply([...run.namespace.store.range({ gte: "\0", lt: "\u00ff" })]);
    // From here on both change alike, in the middle of checks too.
    const apply = run.namespace.store.apply.bind(run.namespace.store);
    run.namespace.store.apply = (changes: readonly Change[]) => {
      apply(changes);
      store.apply(changes);
    };
    let summary: FsckSummary | undefined;
    const found: Found[] = [];
    for (let round = 0; round < 3; round++) {
      const check = startFsck(
        {
          ...{ store, clock, log: silentLog, stretch: 5 },
          copies: noNodes,
          hasDeparted: () => true,
          leases: {} as LeaseService,
          makeContext: () => {
            throw new Error("nothing is to be repaired");
          },
        },
        { repair: false, data: false, path: [] },
      );
      const state = { isOver: false };
      void check.over.then(() => (state.isOver = true));
      while (!state.isOver) {
        run.step();
        await new Promise(setImmediate);
      }
      for (summary = undefined; summary === undefined;) {
        const said = await check.outlet.next();
        found.push(...said.found);
        summary = said.end ?? undefined;
      }
      check.outlet.close();
    }
    t.deepEqual(found, [], `FSCK_SEED=${String(seed)}`);
    t.true((summary?.inodes ?? 0) > 3);
    await store.close();
  }
});
