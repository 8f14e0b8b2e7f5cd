import test from "ava";
import { limits } from "../../../src/base/limits.ts";
import { silentLog } from "../../../src/base/log.ts";
import { createBackground } from "../../../src/name-server/background.ts";
import type { MetadataStore } from "../../../src/metadata-store/types.ts";
import { createMetadataScrub } from "../../../src/name-server/scrub/metadata-scrub.ts";
import { FaultyDisk } from "../../support/faulty-disk.ts";
import { SimulatedClock } from "../../support/simulated-clock.ts";

const pageBytes = 256 * 1024;
const pages = 64;

const tables = 4;

function world(disk = new FaultyDisk()) {
  const clock = new SimulatedClock();
  const background = createBackground(silentLog);
  const seen = { passes: 0, pages: 0, from: [] as number[] };
  const store: Pick<MetadataStore, "verify"> = {
    async verify({ from = 0, onTable, pause } = {}): Promise<void> {
      seen.passes += 1;
      seen.from.push(from);
      for (let table = from; table < tables; table++) {
        for (let page = 0; page < pages / tables; page++) {
          seen.pages += 1;
          await pause?.(pageBytes);
        }
        if (table < tables - 1) await onTable?.(table + 1);
      }
    },
  };
  const scrub = createMetadataScrub({ store, disk, clock, log: silentLog, background });
  const passSeconds = async (seconds: number): Promise<void> => {
    for (let i = 0; i < seconds * 10; i++) {
      scrub.tick();
      await clock.advance(100);
    }
  };
  return { clock, background, seen, scrub, passSeconds, disk };
}

test("all metadata are verified some minutes after the start and once a day, at the set rate", async (t) => {
  const { seen, scrub, clock, passSeconds } = world();
  await passSeconds(1);
  t.is(seen.passes, 0);
  t.deepEqual(scrub.status(), { verifiedBytes: 0, verifiedMillisAgo: null });
  await clock.advance(limits.metadataScrubAfterMillis);
  const seconds = (pages * pageBytes) / limits.metadataScrubBytesPerSecond;
  await passSeconds(seconds / 2);
  t.is(seen.passes, 1);
  t.true(seen.pages > pages / 4 && seen.pages < (pages * 3) / 4, `${String(seen.pages)} pages in half of the time`);
  await passSeconds(seconds);
  t.is(seen.pages, pages);
  t.is(scrub.status().verifiedBytes, pages * pageBytes);
  t.true((scrub.status().verifiedMillisAgo ?? Infinity) <= seconds * 1000);
  await passSeconds(10);
  t.is(seen.passes, 1);
  await clock.advance(limits.metadataScrubMillis);
  await passSeconds(2 * seconds);
  t.is(seen.passes, 2);
  t.is(seen.pages, 2 * pages);
});

test("a server that stops does not wait for the end of a pass", async (t) => {
  const { seen, scrub, clock, background, passSeconds } = world();
  await clock.advance(limits.metadataScrubAfterMillis);
  await passSeconds(0.2);
  const closing = background.close();
  for (let i = 0; i < 10; i++) await clock.advance(100);
  await closing;
  t.true(seen.pages < pages / 2);
  t.is(scrub.status().verifiedMillisAgo, null);
});

test("a restart goes on with the table at which a pass was cut off, and counts what was verified before", async (t) => {
  const first = world();
  const seconds = (pages * pageBytes) / limits.metadataScrubBytesPerSecond;
  await first.passSeconds(0.2);
  await first.clock.advance(limits.metadataScrubAfterMillis);
  await first.passSeconds(seconds * 0.6);
  const closing = first.background.close();
  for (let i = 0; i < 10; i++) await first.clock.advance(100);
  await closing;
  const second = world(first.disk.kill());
  await second.passSeconds(0.2);
  t.is(second.scrub.status().verifiedMillisAgo, null);
  await second.clock.advance(limits.metadataScrubAfterMillis);
  await second.passSeconds(seconds);
  t.deepEqual(second.seen.from, [2]);
  t.is(second.seen.pages, pages / 2);
  t.is(second.scrub.status().verifiedBytes, pages * pageBytes);
  // Nor is it done again with each start.
  const third = world(second.disk.kill());
  await third.passSeconds(0.2);
  t.is(third.scrub.status().verifiedBytes, pages * pageBytes);
  await third.clock.advance(limits.metadataScrubAfterMillis * 2);
  await third.passSeconds(1);
  t.is(third.seen.passes, 0);
  await third.clock.advance(limits.metadataScrubMillis);
  await third.passSeconds(2 * seconds);
  t.deepEqual(third.seen.from, [0]);
});

test("a damaged position costs beginning again", async (t) => {
  const first = world();
  await first.passSeconds(0.2);
  await first.clock.advance(limits.metadataScrubAfterMillis);
  await first.passSeconds(3);
  t.is(first.seen.passes, 1);
  const disk = first.disk.kill();
  disk.flip("scrub.json", 40);
  const second = world(disk);
  await second.passSeconds(0.2);
  t.is(second.scrub.status().verifiedMillisAgo, null);
  await second.clock.advance(limits.metadataScrubAfterMillis);
  await second.passSeconds(3);
  t.deepEqual(second.seen.from, [0]);
});
