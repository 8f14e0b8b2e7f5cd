/** `Materialised` in memory, for simulation and tests: what LMDB would hold, gone with the process. */
import { assert } from "../base/assert.ts";
import type { Materialised } from "./materialised.ts";
import { OrderedMap, type Entry } from "./ordered-map.ts";
import { origin, type Position } from "../journal/position.ts";
import { TableSums } from "./table-sums.ts";
import type { Key, PinnedState } from "./types.ts";
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
    const map = new OrderedMap();
    for (const [key, value] of this.#map.entries()) map.set(key, value);
    return {
      position: this.#position,
      sums: this.sums.encode(),
      page: (after, bytes) => {
        const page: (readonly [Key, Buffer])[] = [];
        let size = 0;
        for (const [key, value] of map.range({ gte: after, lt: beyondAll })) {
          if (key === after || value === null) continue;
          page.push([key, value]);
          size += key.length + value.length;
          if (size >= bytes) break;
        }
        return page;
      },
      get: (key) => map.get(key) ?? undefined,
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

const beyondAll = "\u0100";
