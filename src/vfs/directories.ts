/**
 * OPENDIR, READDIR(PLUS), RELEASEDIR, FSYNCDIR. Each open directory keeps the last page that the server gave; the page
 * counts as long as this client changed no name in the directory and may believe what it asked before, else the rest
 * is asked anew from where the reader is. READDIRPLUS makes names and attributes known to the kernel, so it may never
 * show an entry of an old page.
 */
import { FsError } from "../base/errno.ts";
import { fileType } from "../base/attributes.ts";
import { rootIno } from "../base/ids.ts";
import { limits } from "../base/limits.ts";
import type { DirectorySink, Entry, Operations, RequestContext } from "../fuse/operations.ts";
import { inodeOf, type Core } from "./core.ts";
import type { OpenDirectory } from "./handles.ts";
import type { Inode } from "./inode.ts";
import { dotCookie, dotDotCookie, takenTwins, type ListedEntry, type ListingPage } from "./listing.ts";
import { openFlag } from "./open-flags.ts";
import { seenAt } from "./places.ts";
import { letGo } from "./use.ts";
import { entryReply } from "./visible-attributes.ts";

type DirectoryOperations = Pick<Operations, "opendir" | "readdir" | "releasedir" | "fsyncdir">;

export function directoryOperations(core: Core): DirectoryOperations {
  const { coherence, handles } = core;

  return {
    opendir(_request, ino, flags) {
      // The kernel has checked the permission by attributes that it may believe.
      const inode = inodeOf(core, ino);
      const directory = handles.openDirectory(inode, flags);
      return { handle: directory.handle, ...coherence.openDirectoryFlags(inode) };
    },
    readdir(request, _ino, handle, cookie, plus, sink) {
      const directory = handles.directory(handle);
      if ((directory.flags & openFlag.noAccessTime) === 0) core.accessTimes.read(directory.inode);
      const page = usablePage(core, directory, cookie, plus);
      if (page !== undefined && give(core, directory, page, plus, sink)) return;
      const { moment } = coherence;
      return readPages(core, request, directory, page, cookie, plus, sink).finally(() => {
        listed(core, directory.inode, moment);
      });
    },
    releasedir(_request, _ino, handle) {
      const directory = handles.closeDirectory(handle);
      if (directory !== undefined) letGo(core, directory.inode);
    },
    fsyncdir(_request, ino, handle) {
      handles.directory(handle);
      const { ahead } = core.nameServer;
      // `dfs umount` has no other way to say: everything.
      if (ino === rootIno) return core.contents.flushAll().then(() => ahead.flush());
      return ahead.size === 0 ? undefined : ahead.flush();
    },
  };
}

/**
 * The kernel keeps listings of directories that were opened under a lease. One that was asked for at `since`, and that
 * the lease has not outlived, it may not keep: it is dropped when the kernel has taken it.
 */
function listed({ coherence, kernelCaches, background }: Core, directory: Inode, since: number): void {
  if (directory.pagesSince < 0 || kernelCaches === undefined || coherence.holds(directory.ino, since)) return;
  background.run("drop a listing that may be old", kernelCaches.forgetListing(directory));
}

/**
 * The page at hand, if it is where the reader is and still true. One with attributes serves READDIR too: the kernel asks
 * for the end of a directory by that, after having got the entries by READDIRPLUS.
 */
function usablePage(core: Core, directory: OpenDirectory, cookie: number, plus: boolean): ListingPage | undefined {
  const page = directory.page;
  if (page === undefined || page.cookie !== cookie || cookie < dotDotCookie) return undefined;
  if (plus && !page.plus) return undefined;
  return core.coherence.trustsNames(directory.inode, page.since) ? page : undefined;
}

/** Goes through pages until the sink is full or the directory ends. */
async function readPages(
  core: Core,
  request: RequestContext,
  directory: OpenDirectory,
  usable: ListingPage | undefined,
  cookie: number,
  plus: boolean,
  sink: DirectorySink,
): Promise<void> {
  const { inode } = directory;
  if (inode.removed) return;
  const old = directory.page;
  // Between entries of equal hash a page that is no longer true: the equal ones again, without those already taken.
  const twins = usable === undefined && old?.cookie === cookie ? takenTwins(old) : [];
  let after = usable === undefined ? cookie : usable.cookie;
  let skip = twins.length > 0 ? twins : undefined;
  if (skip !== undefined) after--;
  for (;;) {
    const page = await fetchPage(core, request, directory, after, plus);
    if (page === undefined) return;
    if (skip !== undefined) page.taken = page.entries.findIndex((entry) => skip?.includes(entry.name) !== true);
    if (page.taken < 0) page.taken = page.entries.length;
    skip = undefined;
    directory.page = page;
    if (cookie < dotDotCookie && after === cookie && !giveDots(inode, page, cookie, sink)) return;
    if (give(core, directory, page, plus, sink)) return;
    after = page.cookie;
  }
}

async function fetchPage(
  core: Core,
  request: RequestContext,
  directory: OpenDirectory,
  after: number,
  plus: boolean,
): Promise<ListingPage | undefined> {
  const { inode } = directory;
  const since = core.coherence.moment;
  const cookie = after <= dotDotCookie ? 0 : after;
  try {
    const { entries, parent, end } = await core.nameServer.ask(
      "readdir",
      { ino: inode.ino, cookie, bytesMax: limits.directoryPageBytes, plus },
      { signal: request.signal },
    );
    const page = { entries, parent, end, plus, since, after, taken: 0, cookie: after };
    rememberNames(core, directory, page, cookie);
    return page;
  } catch (error) {
    // Removed while open: a directory without entries, not even dots.
    if (error instanceof FsError && (error.errno === "ENOENT" || error.errno === "ESTALE")) return undefined;
    throw error;
  }
}

/** `cookie`: what the page follows. When the last page is in and no name has changed since the first, all names are known. */
function rememberNames(core: Core, directory: OpenDirectory, page: ListingPage, cookie: number): void {
  const { coherence, dentries } = core;
  const { ino } = directory.inode;
  if (!coherence.trustsNames(directory.inode, page.since)) {
    directory.wholeListing = undefined;
    return;
  }
  if (cookie === 0) directory.wholeListing = { since: page.since, next: 0, names: dentries.beginListing(ino) };
  else if (directory.wholeListing?.next !== cookie) directory.wholeListing = undefined;
  for (const entry of page.entries) dentries.set(ino, entry.name, entry.ino);
  const listing = directory.wholeListing;
  if (listing === undefined) return;
  listing.next = page.entries.at(-1)?.cookie ?? cookie;
  if (page.end && coherence.trustsNames(directory.inode, listing.since)) listing.names.complete();
}

/** `.` and `..` after `cookie`; false when the sink is full. */
function giveDots(inode: Inode, page: ListingPage, cookie: number, sink: DirectorySink): boolean {
  const type = fileType.directory;
  if (cookie < dotCookie && !sink({ name: ".", ino: inode.ino, type, cookie: dotCookie })) return false;
  page.cookie = dotCookie;
  if (!sink({ name: "..", ino: page.parent, type, cookie: dotDotCookie })) return false;
  page.cookie = dotDotCookie;
  return true;
}

/** Offers what is left of a page; true when the reader has enough or everything. */
function give(core: Core, directory: OpenDirectory, page: ListingPage, plus: boolean, sink: DirectorySink): boolean {
  const trusted = core.coherence.trustsNames(directory.inode, page.since);
  for (let entry = page.entries[page.taken]; entry !== undefined; entry = page.entries[page.taken]) {
    const done = plus
      ? giveEntry(core, directory, page, entry, trusted, sink)
      : sink({ name: entry.name, ino: entry.ino, type: entry.type, cookie: entry.cookie });
    if (!done) return true;
    page.taken++;
    page.cookie = entry.cookie;
  }
  return page.end;
}

function giveEntry(
  core: Core,
  directory: OpenDirectory,
  page: ListingPage,
  listed: ListedEntry,
  trusted: boolean,
  sink: DirectorySink,
): boolean {
  const { name, ino, type, cookie, attributes } = listed;
  if (attributes === undefined) return sink({ name, ino, type, cookie });
  // A name changed while the page was on its way: the kernel may learn it from a lookup only.
  if (core.coherence.knowsNames(directory.inode.ino) && !trusted) return sink({ name, ino, type, cookie });
  const inode = core.inodes.enter(attributes, page.since);
  const entry: Entry = entryReply(core.coherence, inode, directory.inode.ino, page.since);
  if (!sink({ name, ino, type, cookie, entry })) {
    core.inodes.forget(ino, 1);
    return false;
  }
  seenAt(core, inode, directory.inode.ino, name);
  return true;
}
