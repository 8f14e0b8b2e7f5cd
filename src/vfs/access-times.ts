/**
 * Access times, by the relatime rule: a read sets atime only if it is not above mtime or ctime, or older than a day. It
 * shows here at once and reaches the server lazily, also when the kernel forgets the inode meanwhile; what the server
 * never hears of (a crash) is lost, as the kernel's own lazy times are. Nobody is recalled for them. While too many wait
 * reads set none.
 */
import type { Clock, Timer } from "../base/clock.ts";
import { errnoOf } from "../base/errno.ts";
import type { Ino } from "../base/ids.ts";
import { limits } from "../base/limits.ts";
import type { Log } from "../base/log.ts";
import type { NameServer } from "../remote/types.ts";
import type { Background } from "./background.ts";
import { superuser } from "./identity.ts";
import type { InodeTable } from "./inode-table.ts";
import type { Inode } from "./inode.ts";
import { visibleAttributes } from "./visible-attributes.ts";

export interface AccessTimes {
  /** It was read. Cheap when nothing is to be done. */
  read(inode: Inode): void;
  /** Its atime is set otherwise. */
  drop(inode: Inode): void;
  /** Sends all that wait. */
  flush(): Promise<void>;
}

export interface AccessTimesParts {
  readonly nameServer: NameServer;
  readonly inodes: () => InodeTable;
  readonly clock: Clock;
  readonly background: Background;
  readonly log: Log;
  readonly enabled: boolean;
}

const dayNanos = 86_400_000_000_000n;
const parallel = 4;

export function createAccessTimes({
  nameServer,
  inodes,
  clock,
  background,
  log,
  enabled,
}: AccessTimesParts): AccessTimes {
  const waiting = new Set<Ino>();
  let sending = 0;
  let timer: Timer | undefined;

  const send = async (ino: Ino): Promise<void> => {
    const inode = inodes().get(ino);
    if (inode === undefined) return;
    await store(inode);
    // It was kept for this.
    inodes().dropIfUnused(inode);
  };

  const store = async (inode: Inode): Promise<void> => {
    const { ino, accessTime: atime, attributes } = inode;
    if (atime === undefined || attributes === undefined || inode.removed) return;
    try {
      await nameServer.change("setattr", { caller: superuser, ino, atime, ctime: attributes.ctime });
      // Unless it was set otherwise meanwhile.
      if (inode.accessTime === atime) inodes().accessTimeStored(inode, atime);
    } catch (error) {
      inode.accessTime = undefined;
      log.debug({ ino, errno: errnoOf(error) }, "an access time was not stored");
    }
  };

  const flush = async (): Promise<void> => {
    timer?.cancel();
    timer = undefined;
    const queue = [...waiting];
    waiting.clear();
    sending += queue.length;
    const worker = async (): Promise<void> => {
      for (let ino = queue.pop(); ino !== undefined; ino = queue.pop()) {
        await send(ino);
        sending--;
      }
    };
    await Promise.all(Array.from({ length: parallel }, worker));
  };

  const add = (ino: Ino): void => {
    waiting.add(ino);
    timer ??= clock.after(
      limits.clientAccessTimeDelayMillis,
      () => {
        background.run("store access times", flush());
      },
      { unref: true },
    );
  };

  return {
    read(inode) {
      if (!enabled || inode.accessTimeSettled || inode.attributes === undefined) return;
      inode.accessTimeSettled = true;
      if (waiting.size + sending >= limits.clientAccessTimesMax) return;
      const { atime, mtime, ctime } = visibleAttributes(inode);
      const now = nameServer.nowNanos();
      if (atime > mtime && atime > ctime && now - atime < dayNanos) return;
      if (now <= atime) return;
      inode.accessTime = now;
      if (!inode.removed) add(inode.ino);
    },
    drop(inode) {
      inode.accessTime = undefined;
      inode.accessTimeStored = undefined;
      waiting.delete(inode.ino);
    },
    flush,
  };
}
