/**
 * An index backend in memory: what was committed stays with the factory, as it would stay on a disk. Opening it again
 * ends whoever had it open: the commits of a process that is dead never return.
 */
import { FsError } from "../base/errno.ts";
import type { IndexBackend, IndexBackendFactory } from "./index-backend.ts";

export function memoryBackend(): IndexBackendFactory {
  const values = new Map<string, Buffer>();
  let sorted: string[] | undefined;
  let isTrusted = true;
  let generation = 0;
  return {
    async open(check): Promise<IndexBackend> {
      if (!isTrusted) throw new FsError("EIO", "a damaged value was met in the index");
      const mine = ++generation;
      const opened: IndexBackend = {
        get: (key) => values.get(key.toString("latin1")),
        *range(gte, lt) {
          sorted ??= [...values.keys()].sort();
          const end = lt.toString("latin1");
          const keys = sorted;
          for (let i = firstFrom(keys, gte.toString("latin1")); i < keys.length; i++) {
            const key = keys[i] as string;
            if (key >= end) return;
            const value = values.get(key);
            if (value !== undefined) yield [Buffer.from(key, "latin1"), Buffer.from(value)] as const;
          }
        },
        commit(changes) {
          if (generation !== mine) return new Promise<never>(() => undefined);
          for (const [key, value] of changes) {
            if (value === null) values.delete(key.toString("latin1"));
            else values.set(key.toString("latin1"), value);
          }
          sorted = undefined;
          return Promise.resolve();
        },
        close: () => Promise.resolve(),
      };
      check(opened);
      return Promise.resolve(opened);
    },
    distrust() {
      isTrusted = false;
      return Promise.resolve();
    },
    discard() {
      values.clear();
      isTrusted = true;
      sorted = undefined;
      return Promise.resolve();
    },
  };
}

function firstFrom(keys: readonly string[], key: string): number {
  let low = 0;
  let high = keys.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((keys[middle] as string) < key) low = middle + 1;
    else high = middle;
  }
  return low;
}
