/**
 * Removed inodes that the name server keeps for this client, on their way to be released: in batches, one request at a
 * time, behind everybody's back. Removals wait when too many are queued.
 */
import { limits } from "../base/limits.ts";
import type { Ino } from "../base/ids.ts";
import type { NameServer } from "../remote/types.ts";
import type { Background } from "./background.ts";

export interface Orphans {
  release(ino: Ino): void;
  /** Undefined while there is room; else resolves when there is again. */
  room(): Promise<void> | undefined;
  /** The session is gone, and with it what it kept. */
  clear(): void;
}

/** As many as one releaseOrphans request takes. */
const batchMax = 1_024;

export function createOrphans(nameServer: NameServer, background: Background): Orphans {
  let queue: Ino[] = [];
  let sending: Promise<void> | undefined;

  const send = async (): Promise<void> => {
    try {
      while (queue.length > 0) {
        const inos = queue.splice(0, batchMax);
        await nameServer.change("releaseOrphans", { inos });
      }
    } finally {
      sending = undefined;
    }
  };

  const start = (): void => {
    // A turn later, so that a burst of removals becomes one request.
    sending = Promise.resolve().then(send);
    background.run("release removed inodes", sending);
  };

  return {
    release(ino) {
      queue.push(ino);
      if (sending === undefined) start();
    },
    room() {
      return queue.length < limits.clientOrphansMax ? undefined : sending?.catch(() => undefined);
    },
    clear() {
      queue = [];
    },
  };
}
