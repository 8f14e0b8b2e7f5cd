/**
 * Names that this client knows: which inode they have, or that they are absent. Bounded; the least recently used goes.
 * Only filled and asked while caching is allowed (coherence.ts), so what is here is true.
 */
import type { Ino } from "../base/ids.ts";
import type { Name } from "../base/name.ts";

export interface DentryCache {
  /** Undefined: not known; null: known to be absent. */
  get(parent: Ino, name: Name): Ino | null | undefined;
  set(parent: Ino, name: Name, ino: Ino | null): void;
  delete(parent: Ino, name: Name): void;
  clear(): void;
  readonly size: number;
}

export function createDentryCache(entriesMax: number): DentryCache {
  const entries = new Map<string, Ino | null>();
  // A name has no slash, so the key tells parent and name apart.
  const keyOf = (parent: Ino, name: Name): string => `${String(parent)}/${name}`;
  return {
    get(parent, name) {
      const key = keyOf(parent, name);
      const found = entries.get(key);
      if (found === undefined) return undefined;
      entries.delete(key);
      entries.set(key, found);
      return found;
    },
    set(parent, name, ino) {
      const key = keyOf(parent, name);
      entries.delete(key);
      entries.set(key, ino);
      if (entries.size <= entriesMax) return;
      for (const oldest of entries.keys()) {
        entries.delete(oldest);
        break;
      }
    },
    delete(parent, name) {
      entries.delete(keyOf(parent, name));
    },
    clear() {
      entries.clear();
    },
    get size() {
      return entries.size;
    },
  };
}
