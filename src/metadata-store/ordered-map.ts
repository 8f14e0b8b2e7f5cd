/**
 * An ordered map of latin1 keys: a hash map for points, sorted chunks of keys for ranges. The overlay consists of it,
 * and in simulation the whole store. A null value is a tombstone: "removed, whatever lies below says".
 *
 * Invariants: every key of `values` is in exactly one chunk; chunks are non-empty (but for the only one of an empty map),
 * sorted inside and among each other, and at most `chunkKeysMax` long. `bytes` estimates all memory held.
 */
import type { Key } from "./types.ts";

export type Entry = readonly [key: Key, value: Buffer | null];
export interface Bounds {
  readonly gte: Key;
  readonly lt: Key;
  readonly reverse?: boolean;
}

export class OrderedMap {
  readonly #values = new Map<Key, Buffer | null>();
  readonly #chunks: Key[][] = [[]];
  #version = 0;
  #bytes = 0;

  get size(): number {
    return this.#values.size;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Undefined: not here. Null: a tombstone. */
  get(key: Key): Buffer | null | undefined {
    return this.#values.get(key);
  }

  /** Takes `value`. */
  set(key: Key, value: Buffer | null): void {
    const previous = this.#values.get(key);
    this.#values.set(key, value);
    this.#bytes += (value?.length ?? 0) - (previous?.length ?? 0);
    if (previous !== undefined) return;
    this.#bytes += key.length + entryOverheadBytes;
    this.#insert(key);
    this.#version++;
  }

  delete(key: Key): void {
    const previous = this.#values.get(key);
    if (previous === undefined) return;
    this.#values.delete(key);
    this.#bytes -= (previous?.length ?? 0) + key.length + entryOverheadBytes;
    const at = this.#chunkOf(key);
    const chunk = this.#chunks[at] as Key[];
    chunk.splice(lowerBound(chunk, key), 1);
    if (chunk.length === 0 && this.#chunks.length > 1) this.#chunks.splice(at, 1);
    this.#version++;
  }

  /** In byte order (or against it); the map may change while it runs: what is then added ahead of it is met. */
  *range(bounds: Bounds): Generator<Entry, undefined> {
    if (this.#values.size === 0) return;
    const step = bounds.reverse === true ? -1 : 1;
    let place = step === 1 ? this.#seek(bounds.gte) : this.#before(this.#seek(bounds.lt));
    for (;;) {
      const key = this.#chunks[place.chunk]?.[place.at];
      if (key === undefined || (step === 1 ? key >= bounds.lt : key < bounds.gte)) return;
      const version = this.#version;
      yield [key, this.#values.get(key) as Buffer | null];
      if (version === this.#version) place = step === 1 ? this.#after(place) : this.#before(place);
      else if (step === -1) place = this.#before(this.#seek(key));
      else place = this.#values.has(key) ? this.#after(this.#seek(key)) : this.#seek(key);
    }
  }

  entries(): Generator<Entry, undefined> {
    return this.range({ gte: "", lt: "\u0100" });
  }

  #insert(key: Key): void {
    const at = this.#chunkOf(key);
    const chunk = this.#chunks[at] as Key[];
    const last = chunk.at(-1);
    if (last === undefined || last < key) {
      // Keys often arrive in order: a full last chunk then stays full, instead of two half empty ones.
      if (chunk.length >= chunkKeysMax && at === this.#chunks.length - 1) this.#chunks.push([key]);
      else chunk.push(key);
    } else chunk.splice(lowerBound(chunk, key), 0, key);
    if (chunk.length > chunkKeysMax) this.#chunks.splice(at + 1, 0, chunk.splice(chunk.length >>> 1));
  }

  /** The chunk that holds `key`, or would: the last one that begins at or below it. */
  #chunkOf(key: Key): number {
    let low = 0;
    let high = this.#chunks.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >>> 1;
      if (((this.#chunks[middle] as Key[])[0] as Key) <= key) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  #seek(key: Key): Place {
    const chunk = this.#chunkOf(key);
    const keys = this.#chunks[chunk] as Key[];
    const at = lowerBound(keys, key);
    return at < keys.length ? { chunk, at } : { chunk: chunk + 1, at: 0 };
  }

  #after(place: Place): Place {
    const keys = this.#chunks[place.chunk] as Key[];
    return place.at + 1 < keys.length ? { chunk: place.chunk, at: place.at + 1 } : { chunk: place.chunk + 1, at: 0 };
  }

  #before(place: Place): Place {
    if (place.at > 0) return { chunk: place.chunk, at: place.at - 1 };
    return { chunk: place.chunk - 1, at: (this.#chunks[place.chunk - 1]?.length ?? 0) - 1 };
  }
}

interface Place {
  readonly chunk: number;
  readonly at: number;
}

const chunkKeysMax = 256;
/** Hash slot, place in a chunk, string and Buffer objects: measured as 170 to 210 bytes. */
const entryOverheadBytes = 200;

function lowerBound(keys: readonly Key[], key: Key): number {
  let low = 0;
  let high = keys.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((keys[middle] as Key) < key) low = middle + 1;
    else high = middle;
  }
  return low;
}
