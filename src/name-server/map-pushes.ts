/** Tells every connected client about a changed cluster map; changes of one moment travel together. */
import type { Clock, Timer } from "../base/clock.ts";
import type { ClusterMap } from "../protocol/types.ts";
import type { Sessions } from "./sessions.ts";

export interface MapPushes {
  changed(): void;
  close(): void;
}

export function createMapPushes(parts: { clock: Clock; sessions: Sessions; current: () => ClusterMap }): MapPushes {
  const { clock, sessions, current } = parts;
  let timer: Timer | undefined;
  return {
    changed() {
      timer ??= clock.after(0, () => {
        timer = undefined;
        for (const { peer, callable } of sessions.all()) if (callable) peer?.notify("mapChanged", { map: current() });
      });
    },
    close() {
      timer?.cancel();
    },
  };
}
