/** Forgetting as a whole: when a session was lost, or may be over. */
import { limits } from "../base/limits.ts";
import type { Core } from "./core.ts";
import type { Inode } from "./inode.ts";

/** Names, attributes and pages, here and in the kernel. */
export async function forgetEverything(core: Core): Promise<void> {
  core.coherence.nextMoment();
  core.dentries.clear();
  core.inodes.forgetForeseen();
  for (const inode of core.inodes.all()) {
    core.inodes.markStale(inode);
    core.contents.forget(inode.ino);
  }
  const kernel = core.kernelCaches;
  if (kernel === undefined) return;
  await inParallel(core.inodes.all(), (inode) =>
    inode.directory ? kernel.forgetDirectory(inode) : kernel.forgetData(inode, 0, 0),
  );
}

/** What the kernel keeps without an end: pages of files, listings and links. */
export async function forgetPages(core: Core): Promise<void> {
  const { notifier } = core;
  if (notifier === undefined) return;
  const paged = Array.from(core.inodes.all()).filter(({ pagesSince, opens }) => pagesSince >= 0 || opens > 0);
  for (const inode of paged) inode.pagesSince = -1;
  // A page that an unanswered request keeps locked would keep the notifications behind it waiting.
  const mayWait = ({ readsUnanswered, writesUnanswered }: Inode): boolean =>
    readsUnanswered > 0 || (writesUnanswered?.size ?? 0) > 0;
  const drop = ({ ino }: Inode): Promise<unknown> => notifier.invalidateData(ino, 0, 0);
  await inParallel(
    paged.filter((inode) => !mayWait(inode)),
    drop,
  );
  await inParallel(paged.filter(mayWait), drop);
}

/** Runs `each` for all, a bounded number at a time. */
async function inParallel(inodes: Iterable<Inode>, each: (inode: Inode) => Promise<unknown>): Promise<void> {
  const queue = inodes[Symbol.iterator]();
  const worker = async (): Promise<void> => {
    for (let next = queue.next(); next.done !== true; next = queue.next()) await each(next.value);
  };
  await Promise.all(Array.from({ length: limits.kernelNotificationsMax }, worker));
}
