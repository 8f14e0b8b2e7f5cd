/**
 * Tells the server which leased inodes are not remembered here any more: the first to be taken back when there are too
 * many. In batches, behind everybody's back; what is lost with a connection costs nothing but a worse choice.
 */
import type { Clock, Timer } from "../base/clock.ts";
import type { Ino } from "../base/ids.ts";
import { limits } from "../base/limits.ts";
import type { Leases } from "../cache/leases.ts";
import type { NameServer } from "../remote/types.ts";

export interface Forgotten {
  add(ino: Ino): void;
}

const waitMillis = 1_000;

export function createForgotten(parts: {
  readonly nameServer: NameServer;
  readonly leases: Leases;
  readonly clock: Clock;
}): Forgotten {
  const { nameServer, leases, clock } = parts;
  let waiting: Ino[] = [];
  let timer: Timer | undefined;

  const send = (): void => {
    timer?.cancel();
    timer = undefined;
    const news = waiting.map((ino) => ({ kind: "forgotten", ino }) as const);
    waiting = [];
    nameServer.tell(news);
  };

  return {
    add(ino) {
      if (leases.level(ino) === "none") return;
      waiting.push(ino);
      if (waiting.length >= limits.leaseNewsMax) send();
      else timer ??= clock.after(waitMillis, send, { unref: true });
    },
  };
}
