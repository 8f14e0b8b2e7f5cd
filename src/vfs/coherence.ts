/**
 * May I cache? The one place of that rule. Now: yes while this session is the only one (the name server says so); later
 * leases take its place.
 *
 * Moments order what was asked and what has changed: a counter that rises at every change that makes older answers
 * doubtful. An answer asked for at moment m is good for something that changed at c if m >= c. The rule may have changed
 * at `switchedAt`: nothing asked before is believed, and the kernel may believe nothing of it either.
 *
 * While caching is off: validities are 0, opened files bypass the page cache, and what reads or writes put into the
 * kernel's pages (files opened before, mappings) is dropped as soon as it was answered.
 *
 * `forbid` switches at once, in the turn of the notice; then it resolves when unflushed data is at the servers and the
 * kernel has forgotten everything. The kernel digests a reply later than a notification that was written behind it, so
 * the order is: names (INC_EPOCH, or on kernels before 6.16 the end of their short validity), then one no-op INVAL_ENTRY per directory, which waits for the lookups and listings of
 * it that are being digested, then every inode. No lock of this process is held meanwhile, and nothing that the kernel
 * waits for waits for us: requests are answered during it.
 */
import { sleep, type Clock } from "../base/clock.ts";
import { limits } from "../base/limits.ts";
import type { Name } from "../base/name.ts";
import type { Contents } from "../cache/types.ts";
import type { Notifier, Opened } from "../fuse/operations.ts";
import type { Background } from "./background.ts";
import type { DentryCache } from "./dentry-cache.ts";
import type { Inode } from "./inode.ts";
import type { Invalidations } from "./invalidations.ts";

export interface Coherence {
  readonly caching: boolean;
  /** The present moment: note it before asking. */
  readonly moment: number;
  /** Something changes now: answers asked for before are doubtful. */
  nextMoment(): number;
  /** Whether the inode's attributes may be shown without asking. */
  trusts(inode: Inode): boolean;
  /** Whether names of a directory that were asked for at `since` may be remembered. */
  trustsNames(directory: Inode | undefined, since: number): boolean;
  /** For how long the kernel may believe attributes that were asked for at `since`, in milliseconds. */
  validMillis(since: number): number;
  /** The same for names. Shorter where the kernel cannot be told to forget names: then they have to run out. */
  nameValidMillis(since: number): number;
  /** How a file is opened. `appending`: its writes go where the end is. */
  openFlags(inode: Inode, appending: boolean): Omit<Opened, "handle">;
  openDirectoryFlags(inode: Inode): Omit<Opened, "handle">;
  /** The kernel may have put this range into its page cache by an answered READ or WRITE. */
  transferred(inode: Inode, offset: number, length: number): void;
  /** What to make forgetful; before this there is nothing to forget. */
  connect(parts: CoherenceParts): void;
  start(notifier: Notifier): void;
  allow(): Promise<void>;
  forbid(): Promise<void>;
  /** The session was lost: as `forbid` for kernel and names, but without flushing. */
  forgetEverything(): Promise<void>;
}

interface CoherenceParts {
  readonly contents: Contents;
  readonly inodes: () => Iterable<Inode>;
  readonly dentries: DentryCache;
  readonly forgetForeseen: () => void;
  readonly invalidations: Invalidations;
  readonly background: Background;
}

/** A name that nobody has: INVAL_ENTRY of it only waits for the directory's lock. */
const noName = "\u0001.dfs-barrier" as Name;

export function createCoherence(clock: Clock): Coherence {
  let caching = false;
  let moment = 1;
  let switchedAt = 1;
  let parts: CoherenceParts | undefined;
  let notifier: Notifier | undefined;
  let contentsSwitched: Promise<void> = Promise.resolve();

  const canForgetNames = (): boolean => notifier?.canInvalidateAllEntries === true;

  const switchTo = (allowed: boolean): void => {
    caching = allowed;
    switchedAt = ++moment;
    parts?.dentries.clear();
    parts?.forgetForeseen();
  };

  /** Contents hear of switches one after the other: each takes its time, and the last one counts. */
  const switchContents = (): Promise<void> => {
    const allowed = caching;
    contentsSwitched = contentsSwitched.catch(() => undefined).then(() => parts?.contents.setCaching(allowed));
    return contentsSwitched;
  };

  const forgetInKernel = async (): Promise<void> => {
    if (parts === undefined || notifier === undefined) return;
    const kernel = notifier;
    if (canForgetNames()) await kernel.invalidateAllEntries();
    else await sleep(clock, limits.kernelNameValidityMillis);
    await inParallel(parts.inodes(), (inode) =>
      inode.directory ? kernel.invalidateEntry(inode.ino, noName) : undefined,
    );
    await inParallel(parts.inodes(), (inode) =>
      inode.pagesSince >= 0 ? kernel.invalidateData(inode.ino, 0, 0) : kernel.invalidateAttributes(inode.ino),
    );
  };

  return {
    get caching() {
      return caching;
    },
    get moment() {
      return moment;
    },
    nextMoment: () => ++moment,
    trusts: (inode) =>
      caching && inode.attributes !== undefined && inode.learnedAt >= inode.staleAt && inode.learnedAt >= switchedAt,
    trustsNames: (directory, since) =>
      caching && directory !== undefined && since >= switchedAt && since >= directory.namesChangedAt,
    validMillis: (since) => (caching && since >= switchedAt ? limits.kernelValidityMillis : 0),
    nameValidMillis(since) {
      if (!caching || since < switchedAt) return 0;
      return canForgetNames() ? limits.kernelValidityMillis : limits.kernelNameValidityMillis;
    },
    openFlags(inode, appending) {
      if (!caching) return { directIo: true };
      const keepCache = inode.pagesSince >= switchedAt;
      inode.pagesSince = moment;
      return { keepCache, directIo: appending };
    },
    openDirectoryFlags(inode) {
      if (!caching) return {};
      const keepCache = inode.pagesSince >= switchedAt;
      inode.pagesSince = moment;
      return { keepCache, cacheDirectory: true };
    },
    transferred(inode, offset, length) {
      if (!caching && length > 0) parts?.invalidations.add(inode.ino, offset, length);
    },
    connect(given) {
      parts = given;
      given.background.run("tell the contents whether they may cache", switchContents());
    },
    start(given) {
      notifier = given;
    },
    async allow() {
      if (caching) return;
      switchTo(true);
      if (parts === undefined) return;
      // Mappings kept pages while others could write.
      const kernel = notifier;
      await Promise.all([
        switchContents(),
        inParallel(parts.inodes(), (inode) =>
          inode.opens > 0 && kernel !== undefined ? kernel.invalidateData(inode.ino, 0, 0) : undefined,
        ),
      ]);
    },
    async forbid() {
      switchTo(false);
      await Promise.all([switchContents(), forgetInKernel()]);
    },
    async forgetEverything() {
      switchTo(caching);
      await forgetInKernel();
    },
  };
}

/** Runs `each` for all, a bounded number at a time. */
async function inParallel(inodes: Iterable<Inode>, each: (inode: Inode) => Promise<void> | undefined): Promise<void> {
  const queue = inodes[Symbol.iterator]();
  const worker = async (): Promise<void> => {
    for (let next = queue.next(); next.done !== true; next = queue.next()) await each(next.value);
  };
  await Promise.all(Array.from({ length: limits.kernelNotificationsMax }, worker));
}
