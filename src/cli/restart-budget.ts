/** How often drivers of one mount may die: one that dies again and again would keep its programs waiting for nothing. */
import type { Clock } from "../base/clock.ts";
import { limits } from "../base/limits.ts";

/** Further restarts within the time wait a little, for what may pass. */
const pauseMillis = 500;

export interface RestartBudget {
  /** Milliseconds to wait before the next start; undefined: too many have died. */
  next(): number | undefined;
}

export function createRestartBudget(clock: Clock): RestartBudget {
  let recent: number[] = [];
  return {
    next() {
      const now = clock.monotonicMillis();
      recent = recent.filter((at) => now - at < limits.driverRestartsMillis);
      if (recent.length >= limits.driverRestartsMax) return undefined;
      recent.push(now);
      return (recent.length - 1) * pauseMillis;
    },
  };
}
