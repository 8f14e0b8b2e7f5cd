/**
 * Making the kernel forget, in an order in which it cannot learn again what it just forgot: it digests a reply later than
 * a notification that was written behind it.
 *
 * - A name: INVAL_ENTRY waits for the lock of the directory, so for the lookups and listings that are being digested.
 * - Attributes: INVAL_INODE makes an inode that the kernel has deaf to replies of questions asked before. One that it does
 *   not have yet is about to be learned by a reply that was written: a no-op INVAL_ENTRY on the directory waits for it.
 * - A directory's own name is not dropped by INVAL_ENTRY, which would break getcwd below it: INC_EPOCH makes all names be
 *   asked again.
 *
 * What excludes deadlock: while a change of names is unanswered the kernel holds that directory's lock, and the change
 * may wait for us. Then, or when a lock is not had in time, INC_EPOCH takes the place of INVAL_ENTRY: it takes no lock.
 * Pages that an unanswered WRITE may keep locked are not up to date, and count as dropped after a while.
 */
import { sleep, type Clock } from "../base/clock.ts";
import type { Ino } from "../base/ids.ts";
import { limits } from "../base/limits.ts";
import type { Name } from "../base/name.ts";
import type { Notifier } from "../fuse/operations.ts";
import type { Inode } from "./inode.ts";
import { aroundPages } from "./page-pieces.ts";

export interface ForgottenName {
  readonly name: Name;
  /** A directory, or unknown. */
  readonly mayBeDirectory: boolean;
}

export interface KernelCaches {
  /** Names of a directory, present or absent, with its listing and attributes. */
  forgetNames(directory: Inode, names: readonly ForgottenName[]): Promise<void>;
  /** All names of a directory, its listing and attributes. */
  forgetDirectory(directory: Inode): Promise<void>;
  /** The listing of a directory, also one that it is just taking in. */
  forgetListing(directory: Inode): Promise<void>;
  forgetAttributes(inode: Inode): Promise<void>;
  /** Pages of a range, and attributes. */
  forgetData(inode: Inode, offset: number, length: number): Promise<void>;
}

/** A name that nobody has: INVAL_ENTRY of it only waits for the directory's lock. */
const noName = "\u0001.dfs-barrier" as Name;
const lockMillisMax = 5;
const lockedPageMillis = 20;

export function createKernelCaches(parts: {
  readonly notifier: Notifier;
  readonly clock: Clock;
  readonly inodeOf: (ino: Ino) => Inode | undefined;
}): KernelCaches {
  const { notifier, clock, inodeOf } = parts;

  const forgetAllNames = (): Promise<unknown> =>
    notifier.canInvalidateAllEntries ? notifier.invalidateAllEntries() : sleep(clock, limits.kernelNameValidityMillis);

  /** Names dropped by entries, or a barrier where there are none; all names when the directory's lock is not to be had. */
  const inDirectory = async (directory: Inode, names: readonly Name[]): Promise<void> => {
    if (directory.changesUnanswered > 0) {
      await forgetAllNames();
      return;
    }
    const entries = names.length === 0 ? [noName] : names;
    const dropped = Promise.all(entries.map((name) => notifier.invalidateEntry(directory.ino, name)));
    if (!(await inTime(clock, lockMillisMax, dropped))) await forgetAllNames();
  };

  const dropListing = (directory: Inode): Promise<unknown> =>
    directory.pagesSince >= 0
      ? notifier.invalidateData(directory.ino, 0, 0)
      : notifier.invalidateAttributes(directory.ino);

  return {
    async forgetNames(directory, names) {
      if (names.some(({ mayBeDirectory }) => mayBeDirectory)) await forgetAllNames();
      const files = names.filter(({ mayBeDirectory }) => !mayBeDirectory);
      await inDirectory(
        directory,
        files.map(({ name }) => name),
      );
      await dropListing(directory);
    },
    async forgetDirectory(directory) {
      await forgetAllNames();
      await inDirectory(directory, []);
      await dropListing(directory);
    },
    async forgetListing(directory) {
      await notifier.invalidateEntry(directory.ino, noName);
      await dropListing(directory);
    },
    async forgetAttributes(inode) {
      const isKnown = await notifier.invalidateAttributes(inode.ino);
      if (isKnown || inode.lookups === 0) return;
      const directory = inode.seenIn === undefined ? undefined : inodeOf(inode.seenIn);
      if (directory !== undefined) await inDirectory(directory, []);
      await notifier.invalidateAttributes(inode.ino);
    },
    async forgetData(inode, offset, length) {
      await this.forgetAttributes(inode);
      if (inode.pagesSince < 0 && inode.opens === 0) return;
      const { free, locked } = aroundPages({ offset, length }, inode.writesUnanswered ?? []);
      const drop = ({ offset: at, length: bytes }: { offset: number; length: number }): Promise<unknown> =>
        notifier.invalidateData(inode.ino, at, bytes);
      await Promise.all(free.map(drop));
      // Behind the others: few threads write notifications, and these may wait for long.
      if (locked.length > 0) await inTime(clock, lockedPageMillis, Promise.all(locked.map(drop)));
    },
  };
}

/** Whether it was done within the time. What comes later is not waited for; it does not go unheard. */
async function inTime(clock: Clock, millis: number, done: Promise<unknown>): Promise<boolean> {
  const late = new AbortController();
  const slept = sleep(clock, millis, late.signal).then(
    () => false,
    () => true,
  );
  const finished = done.then(() => true);
  try {
    return await Promise.race([finished, slept]);
  } finally {
    finished.catch(() => undefined);
    late.abort(new Error("done"));
  }
}
