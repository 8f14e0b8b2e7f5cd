import test from "ava";
import type { Clock } from "../../src/base/clock.ts";
import { Pace } from "../../src/base/pace.ts";

/** A disk whose operations take `millis` each, and how many of them ran on the calling thread. */
function disk(): { millis: number; pace: Pace; attempts: (count: number) => number } {
  let now = 0;
  const clock = { monotonicMillis: () => now } as Clock;
  const made = {
    millis: 0.1,
    pace: new Pace(clock),
    attempts: (count: number) => {
      let here = 0;
      for (let i = 0; i < count; i++) if (made.pace.attempt(() => (now += made.millis)) !== undefined) here++;
      return here;
    },
  };
  return made;
}

test("what is quick runs here, every time", (t) => {
  t.is(disk().attempts(1_000), 1_000);
});

test("what is slow goes away after a few, but for one in 50; and comes back when the disk is quick again", (t) => {
  const slow = disk();
  slow.millis = 8;
  t.is(slow.attempts(1_003), 3 + 20);
  slow.millis = 0.1;
  slow.attempts(50 * 40);
  t.is(slow.attempts(100), 100);
});

test("one stall changes nothing for long", (t) => {
  const stalling = disk();
  stalling.attempts(100);
  stalling.millis = 10_000;
  stalling.attempts(1);
  stalling.millis = 0.1;
  t.is(stalling.attempts(400), 400);
});

test("errors pass through", (t) => {
  t.throws(
    () =>
      disk().pace.attempt(() => {
        throw new Error("no space");
      }),
    { message: "no space" },
  );
});
