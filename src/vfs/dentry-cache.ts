/**
 * Names that this client knows, by directory: which inode they have, or that they are absent. Only filled and asked while
 * caching is allowed (coherence.ts), so what is here is true.
 *
 * - A complete directory has all its names here: one that is not here is absent. It stays complete as long as every
 *   change of its names is told here; who becomes unsure about a name deletes it, and the directory is complete no longer.
 * - Bounded: the directory used least recently goes as a whole; the last one gives its oldest names, and completeness.
 */
import type { Ino } from "../base/ids.ts";
import type { Name } from "../base/name.ts";

export interface DentryCache {
  /** Undefined: not known; null: known to be absent. */
  get(parent: Ino, name: Name): Ino | null | undefined;
  set(parent: Ino, name: Name, ino: Ino | null): void;
  /** Nothing is known of the name any longer. */
  delete(parent: Ino, name: Name): void;
  /** All names of the directory are going to be set. The caller knows that no name changes without being set. */
  beginListing(parent: Ino): Listing;
  isComplete(parent: Ino): boolean;
  /** Known to have no names. */
  isEmpty(parent: Ino): boolean;
  /** The inodes of its names, as far as they are known. */
  children(parent: Ino): IterableIterator<Ino>;
  /** The directory is gone. */
  forget(parent: Ino): void;
  clear(): void;
  /** Names. */
  readonly size: number;
}

export interface Listing {
  /** Whether nothing of the directory was lost since the listing began: what is known of a name is then its newest state. */
  readonly isWhole: boolean;
  /** All names are set: the directory is complete, if the listing is whole. */
  complete(): void;
}

interface Directory {
  readonly ino: Ino;
  readonly names: Map<Name, Ino | null>;
  complete: boolean;
  /** How many names were lost: a listing under way has a gap then. */
  losses: number;
}

export function createDentryCache(namesMax: number): DentryCache {
  /** The one used last comes last. */
  const directories = new Map<Ino, Directory>();
  let latest: Directory | undefined;
  let size = 0;

  const find = (ino: Ino): Directory | undefined => {
    if (latest?.ino === ino) return latest;
    const found = directories.get(ino);
    if (found === undefined) return undefined;
    directories.delete(ino);
    directories.set(ino, found);
    return (latest = found);
  };

  const findOrAdd = (ino: Ino): Directory => {
    const found = find(ino);
    if (found !== undefined) return found;
    latest = { ino, names: new Map(), complete: false, losses: 0 };
    directories.set(ino, latest);
    return latest;
  };

  const forget = (directory: Directory): void => {
    directories.delete(directory.ino);
    size -= directory.names.size;
    if (latest === directory) latest = undefined;
  };

  const shrink = (): void => {
    while (size > namesMax || directories.size > namesMax) {
      const oldest = first(directories.values());
      if (oldest === undefined) return;
      if (oldest !== latest) forget(oldest);
      else dropOldestName(oldest);
    }
  };

  const dropOldestName = (directory: Directory): void => {
    const oldest = first(directory.names.keys());
    if (oldest === undefined) {
      forget(directory);
      return;
    }
    lose(directory, oldest);
  };

  const lose = (directory: Directory, name: Name): void => {
    remove(directory, name);
    directory.complete = false;
    directory.losses++;
  };

  const remove = (directory: Directory, name: Name): void => {
    if (directory.names.delete(name)) size--;
  };

  return {
    get(parent, name) {
      const directory = find(parent);
      if (directory === undefined) return undefined;
      const found = directory.names.get(name);
      return found === undefined && directory.complete ? null : found;
    },
    set(parent, name, ino) {
      const directory = findOrAdd(parent);
      remove(directory, name);
      if (ino === null && directory.complete) return;
      directory.names.set(name, ino);
      size++;
      shrink();
    },
    delete(parent, name) {
      const directory = find(parent);
      if (directory === undefined) return;
      lose(directory, name);
      if (directory.names.size === 0) forget(directory);
    },
    beginListing(parent) {
      const directory = findOrAdd(parent);
      const { losses } = directory;
      shrink();
      const isWhole = (): boolean => directories.get(parent) === directory && directory.losses === losses;
      return {
        get isWhole() {
          return isWhole();
        },
        complete() {
          if (isWhole()) directory.complete = true;
        },
      };
    },
    isComplete: (parent) => directories.get(parent)?.complete === true,
    isEmpty(parent) {
      const directory = directories.get(parent);
      if (directory?.complete !== true) return false;
      for (const ino of directory.names.values()) if (ino !== null) return false;
      return true;
    },
    *children(parent) {
      for (const ino of directories.get(parent)?.names.values() ?? []) if (ino !== null) yield ino;
    },
    forget(parent) {
      const directory = directories.get(parent);
      if (directory !== undefined) forget(directory);
    },
    clear() {
      directories.clear();
      latest = undefined;
      size = 0;
    },
    get size() {
      return size;
    },
  };
}

function first<T>(items: Iterable<T>): T | undefined {
  for (const item of items) return item;
  return undefined;
}
