/**
 * Lists a directory ahead of the lookups to come: who asks for several names of it mostly asks for more. Begins at the
 * second name that had to be asked for, or later in a large directory, so that at most `namesPerMiss` names are listed for
 * each name that was asked for. Names are remembered, attributes foreseen; none of it counts as a lookup.
 *
 * Only under a lease on the directory. Names may change here while a page is on its way (rm of many names does nothing else):
 * what is known of a name is then newer than the page, so a page adds only names of which nothing is known.
 * One listing per directory at a time; lookups that come meanwhile wait for its pages.
 */
import type { Inode } from "./inode.ts";
import { limits } from "../base/limits.ts";
import type { NameServer } from "../remote/types.ts";
import type { Background } from "./background.ts";
import type { Coherence } from "./coherence.ts";
import type { DentryCache, Listing } from "./dentry-cache.ts";
import type { InodeTable } from "./inode-table.ts";

export interface ListAhead {
  /** A name of the directory has to be asked for. */
  missed(directory: Inode): void;
  /** Its children are going to be changed: lists it for leases under which that can run ahead. */
  claim(directory: Inode): void;
}

export interface ListAheadParts {
  readonly nameServer: NameServer;
  readonly coherence: Coherence;
  readonly inodes: InodeTable;
  readonly dentries: DentryCache;
  readonly background: Background;
  /** Larger directories are not listed. */
  readonly namesMax: number;
}

const namesPerMiss = 128;
const missesMin = 2;
/** What a short name adds to the size of its directory: an estimate is enough. */
const bytesPerName = 28;

export function createListAhead(parts: ListAheadParts): ListAhead {
  const { nameServer, coherence, inodes, dentries, background, namesMax } = parts;

  /** Asks for the names after `cookie` and remembers them. Undefined: it ends here, for whatever reason. */
  const takePage = async (
    directory: Inode,
    listing: Listing,
    cookie: number,
    exclusive: boolean,
  ): Promise<{ names: number; last: number; end: boolean } | undefined> => {
    const since = coherence.moment;
    const request = { ino: directory.ino, cookie, bytesMax: limits.directoryPageBytes, plus: true, exclusive };
    const { entries, end } = await nameServer.ask("readdir", request);
    if (inodes.get(directory.ino) !== directory || !listing.isWhole) return undefined;
    if (!coherence.holds(directory.ino, since)) return undefined;
    for (const { name, ino, attributes } of entries) {
      const known = dentries.get(directory.ino, name);
      if (known === undefined) dentries.set(directory.ino, name, ino);
      else if (known !== ino) continue;
      if (attributes !== undefined) inodes.foresee(attributes, since);
    }
    return { names: entries.length, last: entries.at(-1)?.cookie ?? cookie, end };
  };

  const list = async (directory: Inode, exclusive: boolean): Promise<void> => {
    const listing = dentries.beginListing(directory.ino);
    let names = 0;
    let cookie = 0;
    try {
      for (;;) {
        const coming = takePage(directory, listing, cookie, exclusive);
        directory.namesComing = coming.catch(() => undefined);
        const page = await coming;
        if (page === undefined) return;
        if (page.end) {
          listing.complete();
          return;
        }
        names += page.names;
        cookie = page.last;
        if (names >= namesMax) {
          // Too large: not tried again while the kernel keeps the directory.
          directory.lookupsMissed = -Infinity;
          return;
        }
      }
    } finally {
      directory.namesComing = undefined;
    }
  };

  return {
    missed(directory) {
      const misses = ++directory.lookupsMissed;
      if (misses < missesMin || !coherence.knowsNames(directory.ino) || directory.removed) return;
      const estimate = (directory.attributes?.size ?? 0) / bytesPerName;
      if (estimate > namesMax || misses < estimate / namesPerMiss) return;
      directory.lookupsMissed = 0;
      background.run("list a directory ahead", list(directory, false));
    },
    claim(directory) {
      if (directory.namesComing !== undefined || !coherence.knowsNames(directory.ino) || directory.removed) return;
      background.run("claim the children of a directory", list(directory, true));
    },
  };
}
