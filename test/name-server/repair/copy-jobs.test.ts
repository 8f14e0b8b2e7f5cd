import test from "ava";
import { FsError } from "../../../src/base/errno.ts";
import { toGroupId, type NodeId } from "../../../src/base/ids.ts";
import { silentLog } from "../../../src/base/log.ts";
import { seededRandom } from "../../../src/base/random.ts";
import { openMemoryStore } from "../../../src/metadata-store/open.ts";
import type { CopierParts } from "../../../src/name-server/repair/copier.ts";
import { createCopyJobs } from "../../../src/name-server/repair/copy-jobs.ts";
import { FaultyDisk } from "../../support/faulty-disk.ts";
import { settle, SimulatedClock } from "../../support/simulated-clock.ts";

test("a copy whose end cannot be committed is tried again after a pause, not in the same turn", async (t) => {
  const clock = new SimulatedClock();
  const store = await openMemoryStore({ disk: new FaultyDisk(seededRandom(1)), clock });
  const source = "1111111111111111" as NodeId;
  const target = "2222222222222222" as NodeId;
  // Nothing is named in it: the whole run is promise reactions.
  const group = { group: toGroupId(1), epoch: 1, nodes: [source, target], copying: [target] };
  let commits = 0;
  const maps = {
    groups: [group],
    group: () => group,
    async changeMembers() {
      commits += 1;
      // What would never end is to be seen as more than one.
      if (commits === 10) await new Promise(() => undefined);
      throw new FsError("EIO", "the journal cannot be written");
    },
  } as unknown as CopierParts["maps"];
  const nodes = { get: () => ({ state: "up" }) } as unknown as CopierParts["nodes"];
  const unused = {} as never;
  const jobs = createCopyJobs({
    ...{ store, maps, nodes, clock, log: silentLog },
    ...{ orders: unused, pace: unused, sizes: unused, discard: unused, lost: unused },
  });
  jobs.start();
  await settle();
  t.is(commits, 1);
  await clock.advance(1_000);
  jobs.start();
  await settle();
  t.is(commits, 2);
  // Longer after each that failed.
  await clock.advance(1_000);
  jobs.start();
  await settle();
  t.is(commits, 2);
  await jobs.close();
  await store.close();
});
