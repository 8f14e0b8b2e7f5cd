import test from "ava";
import { toGroupId, type NodeId } from "../../../src/base/ids.ts";
import { silentLog } from "../../../src/base/log.ts";
import { sleep } from "../../../src/base/clock.ts";
import { mendCopy, type MendCopiesParts } from "../../../src/name-server/fsck/mend-copies.ts";
import type { Foreground } from "../../../src/name-server/repair/foreground.ts";
import { createPace } from "../../../src/name-server/repair/pace.ts";
import { settle, SimulatedClock } from "../../support/simulated-clock.ts";

const node = "1111111111111111" as NodeId;
const copyMillis = 1_000;

/** How long the copy of one block took with what follows it; the node saw so many requests of clients meanwhile. */
async function mend(foreground: number, stopAt = Infinity): Promise<number> {
  const clock = new SimulatedClock();
  const quiet = { requests: 0, onWait: () => undefined } as unknown as Foreground;
  const parts = {
    ...{ log: silentLog, pace: createPace(clock, quiet), suspect: () => undefined },
    maps: { group: () => ({ nodes: [node], copying: [] }) },
    orders: {
      async copy() {
        await sleep(clock, copyMillis);
        return { copied: [], failed: [], foreground };
      },
    },
  } as unknown as MendCopiesParts;
  const stopping = new AbortController();
  const mending = mendCopy(
    parts,
    { node, block: { group: toGroupId(1), number: 1 }, length: 1, problem: "is missing" },
    stopping.signal,
  );
  const over = mending.then(() => clock.monotonicMillis());
  const begin = clock.monotonicMillis();
  await settle();
  for (let took = 0; took < 10_000; took += 100) {
    if (took >= stopAt) stopping.abort();
    await clock.advance(100);
  }
  return (await over) - begin;
}

test("a bad copy is replaced as fast as repair would, while clients do something", async (t) => {
  t.is(await mend(0), copyMillis);
  t.true((await mend(1)) > copyMillis, "it pauses");
  t.is(await mend(1, copyMillis), copyMillis, "not for a check that is over");
});
