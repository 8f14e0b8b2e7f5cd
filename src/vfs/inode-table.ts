/**
 * The inodes that the kernel, an open file or unflushed data still needs: attributes, lookup counts, who has them open.
 *
 * - An inode is here while its lookup count is above zero, it is open, its content is dirty, or its access time is to be
 *   sent; the root always. Others are foreseen: their attributes came with a listing, and wait for a lookup. Those are
 *   bounded, the oldest go.
 * - `attributes` are what the server told last. Whether they may be believed is decided by moments (see coherence.ts):
 *   they were asked for at `learnedAt`, and must not be older than `staleAt`.
 * - An older answer never replaces a newer one while attributes are believed: an inode's ctime only grows. Nor does one
 *   that was asked for before they were known (`knownAt`), believed or not, unless its ctime is newer.
 * - Attributes of idle inodes are bounded: beyond `attributesMax` those that were not used lately are let go.
 */
import { isDirectory, type Attributes, type Nanos } from "../base/attributes.ts";
import { rootIno, type Ino } from "../base/ids.ts";
import { RecentMoments } from "../cache/recent-moments.ts";
import type { Coherence } from "./coherence.ts";
import { newInode, type Inode } from "./inode.ts";

export interface InodeTable {
  get(ino: Ino): Inode | undefined;
  /** What the server told, asked at `since`; counts one lookup. */
  enter(attributes: Attributes, since: number): Inode;
  /** The kernel looks up an inode that is here; counts that. */
  lookedUp(inode: Inode): void;
  /** What a listing told, asked at `since`: kept for a lookup that may come; counts nothing. */
  foresee(attributes: Attributes, since: number): void;
  /** Nothing foreseen may be believed any longer. */
  forgetForeseen(): void;
  /** The same for an inode that may be here already; counts nothing. */
  update(attributes: Attributes, since: number): Inode | undefined;
  /** As `update`, after a change asked for at `since`: answers that were asked for before its end are doubtful. */
  changed(attributes: Attributes, since: number): Inode | undefined;
  /** It was changed here, and nobody else may have changed it. */
  changedHere(inode: Inode, attributes: Attributes): void;
  /** The server has this access time. What else was changed meanwhile stays. */
  accessTimeStored(inode: Inode, atime: Nanos): void;
  /** What ran ahead is at the server: sizes in blocks and of directories are known only there. */
  settled(attributes: readonly Attributes[]): void;
  /** Attributes have to be asked anew. */
  markStale(inode: Inode): void;
  forget(ino: Ino, count: number): void;
  /** Removes it if nothing needs it any longer. */
  dropIfUnused(inode: Inode): void;
  /** Every lookup count is zero: the kernel is gone. */
  forgetAll(): void;
  all(): IterableIterator<Inode>;
  readonly size: number;
  readonly attributesCount: number;
}

export interface InodeTableOptions {
  readonly coherence: Coherence;
  readonly attributesMax: number;
  readonly foreseenMax: number;
  /** Nothing needs it but its content, if it has any: close that, then call dropIfUnused. */
  readonly unused: (inode: Inode) => void;
  /** It is not here any more. */
  readonly gone: (ino: Ino) => void;
}

/** Inodes that are gone of which it is remembered one by one when they were changed. */
const goneMax = 16_384;

export function createInodeTable(options: InodeTableOptions): InodeTable {
  const { coherence, attributesMax, foreseenMax, unused, gone } = options;
  const inodes = new Map<Ino, Inode>();
  const foreseen = new Set<Inode>();
  /** When inodes that are here no longer were last changed: what was asked for before may be older than that. */
  const goneChangedAt = new RecentMoments(goneMax);
  let attributesCount = 0;
  let hand = inodes.values();

  /**
   * A flush keeps the ctime of a change before it. So of two answers with one ctime the flush's is the newer, and an
   * answer that was asked for before it, and is handled after it, would take the flushed size back.
   */
  const isOlder = (inode: Inode, attributes: Attributes, since: number): boolean => {
    const known = inode.attributes;
    if (known === undefined) return false;
    if (attributes.ctime <= known.ctime && since < inode.knownAt) return true;
    return attributes.ctime < known.ctime && (inode.removed || coherence.trusts(inode));
  };

  /** What was asked for before is doubtful, what is known stays. */
  const overtake = (inode: Inode): void => {
    const trusted = coherence.trusts(inode);
    inode.staleAt = inode.knownAt = coherence.nextMoment();
    if (trusted) inode.learnedAt = inode.staleAt;
  };

  /** `asked`: when they were asked for; `since`: from when on they are right. */
  const accept = (inode: Inode, told: Attributes, asked: number, since = asked): void => {
    const attributes = withAccessTime(inode, told, asked);
    inode.recentlyUsed = true;
    const known = inode.attributes;
    if (inode.removed && attributes.nlink > 0) revive(inode);
    if (known === undefined) attributesCount++;
    inode.attributes = attributes;
    inode.knownAt = since;
    // Without a lease now, a later one does not make it true: it may have changed in between.
    inode.learnedAt = coherence.holds(inode.ino, since) ? since : -1;
    inode.accessTimeSettled = false;
    if (known?.ctime !== attributes.ctime) inode.xattrs = undefined;
    if (inode.accessTime !== undefined && inode.accessTime <= attributes.atime) inode.accessTime = undefined;
    inode.content?.serverSize(attributes.size);
    if (attributesCount > attributesMax) sweep();
  };

  /** Second chance: two rounds without use and the attributes go. One call looks at a few inodes only. */
  const sweep = (): void => {
    for (let looked = 0; looked < 8 && attributesCount > attributesMax; looked++) {
      let next = hand.next();
      if (next.done === true) {
        hand = inodes.values();
        next = hand.next();
        if (next.done === true) return;
      }
      const inode = next.value;
      if (foreseen.has(inode)) remove(inode);
      else if (inode.recentlyUsed) inode.recentlyUsed = false;
      else if (inode.attributes !== undefined && isIdle(inode)) {
        inode.attributes = undefined;
        inode.xattrs = undefined;
        attributesCount--;
      }
    }
  };

  const dropIfUnused = (inode: Inode): void => {
    if (inode.lookups > 0 || inode.opens > 0 || inode.ino === rootIno) return;
    if (inode.accessTime !== undefined && !inode.removed) return;
    if (inode.content !== undefined) {
      unused(inode);
      return;
    }
    if (inodes.get(inode.ino) === inode && (inode.removed || !foreseen.has(inode))) remove(inode);
  };

  const remove = (inode: Inode): void => {
    inodes.delete(inode.ino);
    foreseen.delete(inode);
    const changedAt = Math.max(inode.staleAt, inode.accessTimeStored?.since ?? 0);
    if (changedAt > 0) goneChangedAt.note(inode.ino, changedAt);
    if (inode.attributes !== undefined) attributesCount--;
    gone(inode.ino);
  };

  const lookedUp = (inode: Inode): void => {
    if (inode.lookups === 0) foreseen.delete(inode);
    if (inode.ino !== rootIno) inode.lookups++;
  };

  const root = newInode(rootIno, true);
  root.lookups = 1;
  inodes.set(rootIno, root);

  return {
    get: (ino) => inodes.get(ino),
    enter(attributes, since) {
      let inode = inodes.get(attributes.ino);
      if (inode === undefined) {
        inode = newInode(attributes.ino, isDirectory(attributes.mode));
        inode.staleAt = goneChangedAt.of(attributes.ino);
        inodes.set(attributes.ino, inode);
      }
      lookedUp(inode);
      if (!isOlder(inode, attributes, since)) accept(inode, attributes, since);
      return inode;
    },
    lookedUp,
    foresee(attributes, since) {
      const known = inodes.get(attributes.ino);
      if (known !== undefined) {
        const wanted = !known.removed && !coherence.trusts(known) && since >= known.staleAt;
        if (wanted && !isOlder(known, attributes, since)) accept(known, attributes, since);
        return;
      }
      if (since < goneChangedAt.of(attributes.ino)) return;
      const inode = newInode(attributes.ino, isDirectory(attributes.mode));
      inodes.set(inode.ino, inode);
      foreseen.add(inode);
      accept(inode, attributes, since);
      if (foreseen.size <= foreseenMax) return;
      for (const oldest of foreseen) {
        remove(oldest);
        break;
      }
    },
    forgetForeseen() {
      for (const inode of foreseen) remove(inode);
    },
    update(attributes, since) {
      const inode = inodes.get(attributes.ino);
      if (inode !== undefined && !isOlder(inode, attributes, since)) accept(inode, attributes, since);
      return inode;
    },
    changed(attributes, since) {
      const inode = inodes.get(attributes.ino);
      if (inode === undefined) {
        goneChangedAt.note(attributes.ino, coherence.nextMoment());
        return undefined;
      }
      if (isOlder(inode, attributes, since)) {
        overtake(inode);
        return inode;
      }
      const now = coherence.nextMoment();
      inode.staleAt = now;
      accept(inode, attributes, since, coherence.holds(inode.ino, since) ? now : since);
      inode.knownAt = now;
      return inode;
    },
    changedHere(inode, attributes) {
      const now = coherence.nextMoment();
      inode.staleAt = now;
      // The answer of the flush under way will be older than this change, and is not taken then.
      const written = inode.content?.dirtyTime;
      accept(inode, written === undefined ? attributes : { ...attributes, mtime: written }, now);
    },
    accessTimeStored(inode, atime) {
      inode.accessTime = undefined;
      inode.accessTimeStored = { atime, since: coherence.nextMoment() };
      if (inode.attributes !== undefined) inode.attributes = withAccessTime(inode, inode.attributes, -1);
    },
    settled(all) {
      for (const { ino, size, blocks } of all) {
        const inode = inodes.get(ino);
        if (inode?.attributes === undefined || !coherence.trusts(inode)) continue;
        const { attributes } = inode;
        // Names may have been added behind what is told of.
        if (inode.directory && blocks === 0) continue;
        if (attributes.size !== size || attributes.blocks !== blocks)
          inode.attributes = { ...attributes, size, blocks };
      }
    },
    markStale(inode) {
      inode.staleAt = coherence.nextMoment();
    },
    forget(ino, count) {
      const inode = inodes.get(ino);
      if (inode === undefined || ino === rootIno) return;
      inode.lookups = Math.max(0, inode.lookups - count);
      dropIfUnused(inode);
    },
    dropIfUnused,
    forgetAll() {
      for (const inode of foreseen) remove(inode);
      for (const inode of inodes.values()) {
        if (inode.ino !== rootIno) inode.lookups = 0;
        dropIfUnused(inode);
      }
    },
    all: () => inodes.values(),
    get size() {
      return inodes.size;
    },
    get attributesCount() {
      return attributesCount;
    },
  };
}

/** The attributes, asked for at `since`, with the access time that was stored meanwhile. */
function withAccessTime(inode: Inode, attributes: Attributes, since: number): Attributes {
  const stored = inode.accessTimeStored;
  if (stored === undefined) return attributes;
  if (since >= stored.since) inode.accessTimeStored = undefined;
  else if (attributes.atime < stored.atime) return { ...attributes, atime: stored.atime };
  return attributes;
}

function isIdle(inode: Inode): boolean {
  return inode.opens === 0 && inode.content === undefined && !inode.removed && inode.accessTime === undefined;
}

function revive(inode: Inode): void {
  inode.removed = false;
  inode.orphan = false;
}
