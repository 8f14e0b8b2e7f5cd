/**
 * Time during which the name server was listening: the measure of everybody else's silence. While this process stood
 * still (stopped, swapped out, suspended) the others spoke and nobody heard, so such time does not count.
 *
 * Invariants: `now` never goes back, and never runs ahead of the clock; a standstill adds at most one tick.
 */
import type { Clock, Timer } from "../base/clock.ts";

const tickMillis = 500;
/** A tick that comes later than this after its time means that the process stood still. */
const stallMillis = 1_000;

export interface ListeningTime {
  /** Milliseconds spent listening since the start. */
  now(): number;
  start(hooks: ListeningHooks): void;
  close(): void;
}

interface ListeningHooks {
  /** Twice a second, after the time has been moved: the place to look for who is overdue. */
  onTick(): void;
  onStall(millis: number): void;
}

export function createListeningTime(clock: Clock): ListeningTime {
  let listened = 0;
  let lastTick = clock.monotonicMillis();
  let timer: Timer | undefined;

  function tick(hooks: ListeningHooks): void {
    const elapsed = clock.monotonicMillis() - lastTick;
    const stalled = elapsed > tickMillis + stallMillis;
    listened += stalled ? tickMillis : elapsed;
    lastTick += elapsed;
    next(hooks);
    // After a standstill the input that waited comes first: who is overdue is decided a tick later.
    if (stalled) hooks.onStall(elapsed);
    else hooks.onTick();
  }

  function next(hooks: ListeningHooks): void {
    timer = clock.after(tickMillis, () => {
      tick(hooks);
    });
  }

  return {
    now: () => listened + Math.min(clock.monotonicMillis() - lastTick, tickMillis),
    start(hooks) {
      lastTick = clock.monotonicMillis();
      next(hooks);
    },
    close: () => {
      timer?.cancel();
    },
  };
}
