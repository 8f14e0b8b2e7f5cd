import test from "ava";
import { limits } from "../../../src/base/limits.ts";
import { silentLog } from "../../../src/base/log.ts";
import { createBackground } from "../../../src/name-server/background.ts";
import { createMetadataScrub } from "../../../src/name-server/scrub/metadata-scrub.ts";
import { SimulatedClock } from "../../support/simulated-clock.ts";

const pageBytes = 256 * 1024;
const pages = 64;

function world() {
  const clock = new SimulatedClock();
  const background = createBackground(silentLog);
  const seen = { passes: 0, pages: 0 };
  const store = {
    async verify(pause: (bytes: number) => Promise<void> = () => Promise.resolve()): Promise<void> {
      seen.passes += 1;
      for (let page = 0; page < pages; page++) {
        seen.pages += 1;
        await pause(pageBytes);
      }
    },
  };
  const scrub = createMetadataScrub({ store, clock, log: silentLog, background });
  const passSeconds = async (seconds: number): Promise<void> => {
    for (let i = 0; i < seconds * 10; i++) {
      scrub.tick();
      await clock.advance(100);
    }
  };
  return { clock, background, seen, scrub, passSeconds };
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
