import test from "ava";
import { limits } from "../../src/base/limits.ts";
import { watchDriver } from "../../src/cli/driver-watch.ts";
import { manualClock } from "../fuse/manual-clock.ts";

function scene() {
  const clock = manualClock();
  const silences: number[] = [];
  const watch = watchDriver(clock, (millis) => void silences.push(millis));
  /** Second by second, as for a process that runs. */
  const live = (seconds: number, each: () => void = () => undefined): void => {
    for (let i = 0; i < seconds; i++) {
      clock.advance(1_000);
      each();
    }
  };
  const standStill = (seconds: number): void => {
    clock.advance(seconds * 1_000);
  };
  return { clock, watch, silences, live, standStill };
}

test("a driver that is heard every second lives", (t) => {
  const { live, watch, silences } = scene();
  live(600, () => watch.heard());
  t.deepEqual(silences, []);
});

test("a driver that is heard for the last time is killed 15 s later, once", (t) => {
  const { live, watch, silences } = scene();
  live(5, () => watch.heard());
  live(14);
  t.deepEqual(silences, []);
  live(60);
  t.deepEqual(silences, [limits.driverSilentMillis]);
});

test("one that never says anything is killed, too: its start has hung", (t) => {
  const { live, silences } = scene();
  live(15);
  t.deepEqual(silences, [15_000]);
});

test("one that is late but comes is not killed", (t) => {
  const { live, watch, silences } = scene();
  for (let i = 0; i < 10; i++) {
    live(14);
    watch.heard();
  }
  t.deepEqual(silences, []);
});

test("after its own standstill the supervisor listens before it judges", (t) => {
  const { live, standStill, watch, silences } = scene();
  live(3, () => watch.heard());
  standStill(3_600);
  t.deepEqual(silences, []);
  live(1);
  watch.heard();
  live(14);
  t.deepEqual(silences, []);
});

test("a driver that stays silent after the supervisor's standstill gets a few seconds, not another 15", (t) => {
  const { live, standStill, silences } = scene();
  standStill(16);
  live(2);
  t.deepEqual(silences, []);
  live(1);
  t.deepEqual(silences, [19_000]);
});

test("a standstill in the middle of a silence does not begin it anew", (t) => {
  const { live, standStill, silences } = scene();
  live(5);
  standStill(6);
  live(4);
  t.deepEqual(silences, [15_000]);
});

test("repeated standstills of the supervisor put the judgement off only while they last", (t) => {
  const { live, standStill, silences } = scene();
  for (let i = 0; i < 10; i++) standStill(5);
  t.deepEqual(silences, []);
  live(3);
  t.deepEqual(silences, [53_000]);
});

test("a watch that is closed judges nobody", (t) => {
  const { clock, live, watch, silences } = scene();
  live(14);
  watch.close();
  live(60);
  t.deepEqual(silences, []);
  t.is(clock.pending(), 0);
});
