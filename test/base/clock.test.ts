import test from "ava";
import { wallClock } from "../../src/base/clock.ts";

/** Both clocks of one machine, the monotonic one `phase` nanoseconds away from the edges of the milliseconds. */
function machine(phase: bigint): { now: bigint; millis: () => number; nanos: () => bigint } {
  const self = {
    now: 1_700_000_000_000_000_000n,
    millis: () => Number(self.now / 1_000_000n),
    nanos: () => self.now - 1_699_000_000_000_000_000n + phase,
  };
  return self;
}

test("the wall clock never goes back while the milliseconds change in the middle of the monotonic clock's", (t) => {
  for (const phase of [0n, 1n, 300_000n, 999_999n]) {
    const clocks = machine(phase);
    const clock = wallClock(clocks.millis, clocks.nanos);
    let last = 0n;
    for (let i = 0; i < 1_000; i++) {
      clocks.now += 37_000n;
      const shown = clock();
      t.true(shown > last);
      t.true(shown >= BigInt(clocks.millis()) * 1_000_000n);
      t.true(shown <= clocks.now + 1_000_000n);
      last = shown;
    }
  }
});

test("a wall clock that is set is followed, forward and back", (t) => {
  const clocks = machine(5n);
  let set = 0;
  const clock = wallClock(() => clocks.millis() + set, clocks.nanos);
  for (const step of [1_000, -5_000, 3_600_000, 0]) {
    set = step;
    clocks.now += 10_000_000n;
    const apart = clock() - (clocks.now + BigInt(step) * 1_000_000n);
    t.true(apart >= -1_000_000n && apart <= 1_000_000n, String(apart));
  }
});

test("a thread that stands still between the two clocks does not move the time", (t) => {
  const clocks = machine(5n);
  let stall = 0n;
  const clock = wallClock(clocks.millis, () => {
    clocks.now += stall;
    stall = 0n;
    return clocks.nanos();
  });
  const before = clock();
  stall = 200_000_000n;
  t.is(clock(), before + 200_000_000n);
  clocks.now += 1_000n;
  t.is(clock(), before + 200_001_000n);
});
