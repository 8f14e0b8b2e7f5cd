/**
 * May I cache? The one place of that rule: what is believed here, what the kernel may believe and for how long, and how
 * files are opened. It rests on leases (cache/leases.ts), and on moments for what this client changes itself: an answer
 * asked for at moment m is good for something that changed at c if m >= c.
 *
 * Without a lease validities are 0, files that are opened bypass the page cache, and what reads or writes put into the
 * kernel's pages all the same (files opened before, mappings) is dropped as soon as it was answered.
 */
import type { Ino } from "../base/ids.ts";
import { limits } from "../base/limits.ts";
import type { Leases } from "../cache/leases.ts";
import type { Notifier, Opened } from "../fuse/operations.ts";
import type { ByteRange, Inode } from "./inode.ts";
import type { Invalidations } from "./invalidations.ts";

export interface Coherence {
  /** The present moment: note it before asking. */
  readonly moment: number;
  /** Something changes now: answers asked for before are doubtful. */
  nextMoment(): number;
  /** Whether the inode's attributes may be shown without asking. */
  trusts(inode: Inode): boolean;
  /** Whether what was asked for at `since` may be kept. */
  holds(ino: Ino, since: number): boolean;
  /** Whether names remembered of a directory (DentryCache) are true. */
  knowsNames(directory: Ino): boolean;
  /** Whether names of a directory that were asked for at `since` may be remembered. */
  trustsNames(directory: Inode | undefined, since: number): boolean;
  /** Whether content may be changed here and sent later. */
  mayBuffer(inode: Inode): boolean;
  /** For how long the kernel may believe what is known of the inode, milliseconds. */
  attributesValidMillis(inode: Inode): number;
  /**
   * The same for names of a directory that were asked for at `since`. Shorter where the kernel cannot be told to forget
   * all names: then they have to run out.
   */
  nameValidMillis(directory: Ino, since: number): number;
  /** How a file is opened. `appending`: its writes go where the end is. */
  openFlags(inode: Inode, appending: boolean): Omit<Opened, "handle">;
  openDirectoryFlags(inode: Inode): Omit<Opened, "handle">;
  /** The kernel may have put this range into its page cache by an answered READ or WRITE that came at `since`. */
  transferred(inode: Inode, range: ByteRange, since: number): void;
  start(notifier: Notifier): void;
}

export function createCoherence(leases: Leases, invalidations: Invalidations): Coherence {
  let nameValidMillisMax = 0;

  const trusts = (inode: Inode): boolean =>
    inode.attributes !== undefined && inode.learnedAt >= inode.staleAt && leases.holds(inode.ino, inode.learnedAt);
  const hasLease = (ino: Ino): boolean => leases.level(ino) !== "none";
  /** Whether the kernel's pages of it are still right. */
  const keepsPages = (inode: Inode): boolean => {
    const keeps = inode.pagesSince >= 0 && leases.holds(inode.ino, inode.pagesSince);
    inode.pagesSince = leases.moment;
    return keeps;
  };

  return {
    get moment() {
      return leases.moment;
    },
    nextMoment: () => leases.nextMoment(),
    trusts,
    holds: (ino, since) => leases.holds(ino, since),
    knowsNames: hasLease,
    trustsNames: (directory, since) =>
      directory !== undefined && since >= directory.namesChangedAt && leases.holds(directory.ino, since),
    mayBuffer: (inode) => trusts(inode) && leases.level(inode.ino) === "exclusive",
    attributesValidMillis: (inode) => (trusts(inode) ? leases.validMillis() : 0),
    nameValidMillis: (directory, since) =>
      leases.holds(directory, since) ? Math.min(nameValidMillisMax, leases.validMillis()) : 0,
    openFlags(inode, appending) {
      if (!hasLease(inode.ino)) return { directIo: true };
      return { keepCache: keepsPages(inode), directIo: appending };
    },
    openDirectoryFlags(inode) {
      if (!hasLease(inode.ino)) return {};
      return { keepCache: keepsPages(inode), cacheDirectory: true };
    },
    transferred({ ino }, { offset, length }, since) {
      if (length > 0 && !leases.holds(ino, since)) invalidations.add(ino, offset, length);
    },
    start(notifier) {
      nameValidMillisMax = notifier.canInvalidateAllEntries
        ? limits.kernelValidityMillis
        : limits.kernelNameValidityMillis;
    },
  };
}
