/**
 * Time during which the name server was listening: the measure of everybody else's silence. While this process stood
 * still (stopped, swapped out, suspended) the others spoke and nobody heard, so such time does not count.
 *
 * Invariants: `now` never goes back, and never runs ahead of the clock; a standstill adds at most one tick.
 */
import type { Clock, Timer } from "../base/clock.ts";

export const tickMillis = 500;
/** A tick that comes later than this after its time means that the process stood still. */
const stallMillis = 1_000;

export interface ListeningTime {
  /** Milliseconds spent listening since the start. */
  now(): number;
  close(): void;
}

/** @param onTick called twice a second, after the time has been moved: the place to look for who is overdue */
export function startListeningTime(clock: Clock, onTick: () => void, onStall: (millis: number) => void): ListeningTime {
  let listened = 0;
  let lastTick = clock.monotonicMillis();
  let timer: Timer = clock.after(tickMillis, tick);

  function tick(): void {
    const elapsed = clock.monotonicMillis() - lastTick;
    const stalled = elapsed > tickMillis + stallMillis;
    listened += stalled ? tickMillis : elapsed;
    lastTick += elapsed;
    timer = clock.after(tickMillis, tick);
    if (stalled) onStall(elapsed);
    // After a standstill the input that waited comes first: who is overdue is decided a tick later.
    else onTick();
  }

  return {
    now: () => listened + Math.min(clock.monotonicMillis() - lastTick, tickMillis),
    close: () => {
      timer.cancel();
    },
  };
}
