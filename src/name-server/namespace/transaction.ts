/**
 * The changes of one operation over the state that it found. Reads see its own changes; nothing reaches the store until
 * whoever owns the transaction applies `changes()`: an operation that throws leaves no trace.
 * Bounded: the operations keep below `limits.transactionKeysMax` and `transactionBytesMax`; `changes` asserts it.
 */
import { assert } from "../../base/assert.ts";
import { limits } from "../../base/limits.ts";
import type { Change, Key, MetadataReader } from "../../metadata-store/types.ts";

interface Bounds {
  gte: Key;
  lt: Key;
  reverse?: boolean;
  limit?: number;
}

export class Transaction implements MetadataReader {
  readonly #base: MetadataReader;
  readonly #own = new Map<Key, Buffer | null>();
  /** The own keys in order; kept only from the first `range` on. */
  #sorted: Key[] | undefined;
  #bytes = 0;

  constructor(base: MetadataReader) {
    this.#base = base;
  }

  /** How many keys are changed. */
  get keys(): number {
    return this.#own.size;
  }

  /** Bytes of the changed keys and values. */
  get bytes(): number {
    return this.#bytes;
  }

  get(key: Key): Buffer | undefined {
    const own = this.#own.get(key);
    if (own === undefined) return this.#base.get(key);
    return own ?? undefined;
  }

  /** Takes the buffer. */
  put(key: Key, value: Buffer): void {
    this.#change(key, value);
  }

  remove(key: Key): void {
    this.#change(key, null);
  }

  changes(): Change[] {
    assert(this.#own.size <= limits.transactionKeysMax, "a transaction changes too many keys");
    assert(this.#bytes <= limits.transactionBytesMax, "a transaction changes too many bytes");
    return [...this.#own];
  }

  /** Forgets its changes: after they were applied. */
  clear(): void {
    this.#own.clear();
    this.#sorted = undefined;
    this.#bytes = 0;
  }

  range(bounds: Bounds): Iterable<readonly [Key, Buffer]> {
    if (this.#own.size === 0) return this.#base.range(bounds);
    const sorted = (this.#sorted ??= [...this.#own.keys()].sort(compare));
    const from = position(sorted, bounds.gte);
    const to = position(sorted, bounds.lt);
    if (from >= to) return this.#base.range(bounds);
    return this.#merged(bounds, sorted.slice(from, to));
  }

  #change(key: Key, value: Buffer | null): void {
    const before = this.#own.get(key);
    if (before === undefined) {
      this.#bytes += key.length;
      if (this.#sorted !== undefined) this.#sorted.splice(position(this.#sorted, key), 0, key);
    } else if (before !== null) this.#bytes -= before.length;
    if (value !== null) this.#bytes += value.length;
    this.#own.set(key, value);
  }

  *#merged(bounds: Bounds, own: Key[]): Generator<readonly [Key, Buffer]> {
    const reverse = bounds.reverse === true;
    if (reverse) own.reverse();
    let left = bounds.limit ?? Infinity;
    // Each own key hides at most one of the base, so this many of the base are always enough.
    const baseBounds = bounds.limit === undefined ? bounds : { ...bounds, limit: bounds.limit + own.length };
    let at = 0;
    for (const pair of this.#base.range(baseBounds)) {
      for (; at < own.length; at++) {
        const key = own[at] as Key;
        if (key === pair[0] || key > pair[0] !== reverse) break;
        const value = this.#own.get(key);
        if (value === undefined || value === null) continue;
        if (left-- <= 0) return;
        yield [key, value];
      }
      if (own[at] === pair[0]) continue; // the own one stands for it: at the next turn
      if (left-- <= 0) return;
      yield pair;
    }
    for (; at < own.length; at++) {
      const key = own[at] as Key;
      const value = this.#own.get(key);
      if (value === undefined || value === null) continue;
      if (left-- <= 0) return;
      yield [key, value];
    }
  }
}

function compare(a: Key, b: Key): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** The index of the first key that is greater than or equal to `key`. */
function position(sorted: readonly Key[], key: Key): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((sorted[middle] as Key) < key) low = middle + 1;
    else high = middle;
  }
  return low;
}
