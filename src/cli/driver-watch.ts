/**
 * Whether a driver stands still, judged by when it was last heard. Its silence counts only while this process listens:
 * after a standstill of this process what came meanwhile is read first, for a few beats' time. That adds to the time that
 * the driver may be silent only if the standstill lasted almost as long: what the kernel keeps has to be dropped in time
 * whoever stood still.
 */
import type { Clock, Timer } from "../base/clock.ts";
import { limits } from "../base/limits.ts";

export interface DriverWatch {
  heard(): void;
  close(): void;
}

const lookMillis = 1_000;
/** A look that comes later than due by this: this process stood still. */
const standstillMillis = 1_000;
const listenMillis = 3 * limits.driverBeatMillis;

/** @param onSilent called once, with for how long nothing was heard */
export function watchDriver(clock: Clock, onSilent: (millis: number) => void): DriverWatch {
  let heardAt = clock.monotonicMillis();
  let lookedAt = heardAt;
  let listensUntil = heardAt;
  let timer: Timer;

  const look = (): void => {
    const now = clock.monotonicMillis();
    if (now - lookedAt > lookMillis + standstillMillis) listensUntil = now + listenMillis;
    lookedAt = now;
    const silentMillis = now - heardAt;
    if (silentMillis >= limits.driverSilentMillis && now >= listensUntil) onSilent(silentMillis);
    else timer = clock.after(lookMillis, look);
  };

  timer = clock.after(lookMillis, look);
  return {
    heard() {
      heardAt = clock.monotonicMillis();
    },
    close() {
      timer.cancel();
    },
  };
}
