import test from "ava";
import fc from "fast-check";
import { seededRandom } from "../../src/base/random.ts";
import { createBackOff } from "../../src/remote/back-off.ts";
import { createServerClock } from "../../src/remote/server-clock.ts";
import { SimulatedClock } from "../support/simulated-clock.ts";

const second = 1_000_000_000n;

test("a reply's time is that of the middle of its round trip", (t) => {
  const clock = new SimulatedClock();
  const server = createServerClock(clock);
  const sent = clock.monotonicMillis();
  clock.stall(10);
  server.learn(100n * second, sent);
  t.is(server.nowNanos(), 100n * second + 5_000_000n);
  clock.stall(0.5);
  t.is(server.nowNanos(), 100n * second + 5_500_000n);
});

test("a slow reply that agrees does not spoil a better estimate, an old estimate gives way", (t) => {
  const clock = new SimulatedClock();
  const server = createServerClock(clock);
  server.learn(100n * second, clock.monotonicMillis());
  const sent = clock.monotonicMillis();
  clock.stall(1_000);
  server.learn(100n * second + 900_000_000n, sent);
  t.is(server.nowNanos(), 101n * second);
  const later = clock.monotonicMillis();
  clock.stall(2);
  server.learn(101n * second + 3_000_000n, later);
  t.is(server.nowNanos(), 101n * second + 4_000_000n);
});

test("when the server's clock was set back, time goes on at half speed until it has been caught up with", (t) => {
  const clock = new SimulatedClock();
  const server = createServerClock(clock);
  server.learn(100n * second, clock.monotonicMillis());
  server.learn(90n * second, clock.monotonicMillis());
  t.is(server.nowNanos(), 100n * second);
  clock.stall(4_000);
  t.is(server.nowNanos(), 102n * second);
  clock.stall(26_000);
  t.is(server.nowNanos(), 120n * second);
});

test("the server's time never goes back here, whatever the replies say", (t) => {
  const step = fc.record({ pass: fc.nat(10_000), trip: fc.nat(500), skew: fc.integer({ min: -5_000, max: 5_000 }) });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const clock = new SimulatedClock();
      const server = createServerClock(clock);
      server.learn(clock.wallNanos(), clock.monotonicMillis());
      let last = 0n;
      for (const { pass, trip, skew } of steps) {
        clock.stall(pass);
        const now = server.nowNanos();
        t.true(now >= last);
        last = now;
        const sent = clock.monotonicMillis();
        clock.stall(trip);
        server.learn(clock.wallNanos() + BigInt(skew) * 1_000_000n, sent);
      }
    }),
    { numRuns: 100 },
  );
});

test("pauses begin with none, double up to the maximum, vary, and begin again", (t) => {
  const backOff = createBackOff(seededRandom(3), { firstMillis: 50, maxMillis: 1_000 });
  const pauses = Array.from({ length: 12 }, () => backOff.next());
  t.is(pauses[0], 0);
  pauses.slice(1).forEach((pause, i) => {
    const full = Math.min(50 * 2 ** i, 1_000);
    t.true(pause >= full / 2 && pause <= full, `pause ${String(i)}: ${String(pause)}`);
  });
  t.true(new Set(pauses.slice(6)).size > 2);
  backOff.reset();
  t.is(backOff.next(), 0);
});
