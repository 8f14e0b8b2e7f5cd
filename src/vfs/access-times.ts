/**
 * Access times, by the relatime rule: a read sets atime only if it is not above mtime or ctime, or older than a day. It
 * shows here at once and reaches the server lazily; what the server never hears of (a crash, too many) is lost, as the
 * kernel's own lazy times are. Nobody is recalled for them.
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
  let timer: Timer | undefined;

  const send = async (ino: Ino): Promise<void> => {
    const inode = inodes().get(ino);
    const atime = inode?.accessTime;
    if (inode === undefined || atime === undefined || inode.removed || inode.attributes === undefined) return;
    try {
      const { ctime } = inode.attributes;
      await nameServer.change("setattr", { caller: superuser, ino, atime, ctime });
      // Unless it was set otherwise meanwhile.
      if (inode.accessTime === atime) inodes().accessTimeStored(inode, atime);
    } catch (error) {
      inode.accessTime = undefined;
      log.debug({ ino, errno: errnoOf(error) }, "an access time was not stored");
    }
    inodes().dropIfUnused(inode);
  };

  const flush = async (): Promise<void> => {
    timer?.cancel();
    timer = undefined;
    const queue = [...waiting];
    waiting.clear();
    const worker = async (): Promise<void> => {
      for (let ino = queue.pop(); ino !== undefined; ino = queue.pop()) await send(ino);
    };
    await Promise.all(Array.from({ length: parallel }, worker));
  };

  const add = (ino: Ino): void => {
    if (waiting.size >= limits.clientAccessTimesMax) return;
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
