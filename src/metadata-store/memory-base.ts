/** `Materialised` in memory, for simulation and tests: what LMDB would hold, gone with the process. */
import { assert } from "../base/assert.ts";
import type { Materialised, PinnedState } from "./materialised.ts";
import { OrderedMap, type Entry } from "./ordered-map.ts";
import { origin, type Position } from "../journal/position.ts";
import { TableSums } from "./table-sums.ts";
import type { Key } from "./types.ts";
import { valueChecksum } from "./value-checksum.ts";

export class MemoryBase implements Materialised {
  readonly sums = new TableSums();
  readonly #map = new OrderedMap();
  #position: Position = origin;

  get position(): Position {
    return this.#position;
  }

  get(key: Key): Buffer | undefined {
    return this.#map.get(key) ?? undefined;
  }

  range(bounds: { gte: Key; lt: Key; reverse?: boolean }): Iterable<readonly [Key, Buffer]> {
    // There are no tombstones at the bottom.
    return this.#map.range(bounds) as Iterable<readonly [Key, Buffer]>;
  }

  apply(changes: Iterable<Entry>, to: Position): Promise<void> {
    assert(to.index >= this.#position.index, "a position goes forward");
    for (const [key, value] of changes) {
      const previous = this.get(key);
      if (previous !== undefined) this.sums.subtract(key, valueChecksum(key, previous));
      if (value === null) this.#map.delete(key);
      else {
        this.sums.add(key, valueChecksum(key, value));
        this.#map.set(key, value);
      }
    }
    this.#position = to;
    return Promise.resolve();
  }

  pin(): PinnedState {
    const entries = [...this.#map.entries()] as (readonly [Key, Buffer])[];
    let next = 0;
    return {
      position: this.#position,
      sums: this.sums.encode(),
      page: (_after, bytes) => {
        const start = next;
        for (let size = 0; next < entries.length && size < bytes; next++) size += entries[next]?.[1].length ?? 0;
        return entries.slice(start, next);
      },
      release: () => undefined,
    };
  }

  condemn(): void {
    // Nothing of it outlives the process.
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}
