/**
 * A map and a list for keys that come and go again and again among very many others. The built-in Map and Set keep dead
 * entries in the chain of their hash until they are rebuilt, which a large one seldom is: one busy key among 100,000
 * makes each step of itself cost 50 us.
 */

/** Many small maps instead of a large one. Keys are integers. */
export class NumberMap<K extends number, V> {
  readonly #shards: (Map<K, V> | undefined)[] = [];
  #size = 0;

  get size(): number {
    return this.#size;
  }

  get(key: K): V | undefined {
    return this.#shards[key % shards]?.get(key);
  }

  set(key: K, value: V): void {
    const shard = (this.#shards[key % shards] ??= new Map<K, V>());
    const before = shard.size;
    shard.set(key, value);
    this.#size += shard.size - before;
  }

  delete(key: K): void {
    if (this.#shards[key % shards]?.delete(key) === true) this.#size--;
  }

  *values(): Generator<V, void> {
    for (const shard of this.#shards) if (shard !== undefined) yield* shard.values();
  }
}

const shards = 509;

/** What may be in one list at a time. */
export interface Listed<T extends Listed<T>> {
  list: List<T> | undefined;
  before: T | undefined;
  after: T | undefined;
}

/** In the order of adding; taking out of the middle costs nothing. */
export class List<T extends Listed<T>> {
  first: T | undefined;
  #last: T | undefined;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** Puts it at the end of this list, and takes it out of any other. */
  add(item: T): void {
    item.list?.delete(item);
    item.list = this;
    item.before = this.#last;
    if (this.#last === undefined) this.first = item;
    else this.#last.after = item;
    this.#last = item;
    this.#size++;
  }

  /** False: it was not in this list. */
  delete(item: T): boolean {
    if (item.list !== this) return false;
    if (item.before === undefined) this.first = item.after;
    else item.before.after = item.after;
    if (item.after === undefined) this.#last = item.before;
    else item.after.before = item.before;
    item.list = item.before = item.after = undefined;
    this.#size--;
    return true;
  }
}
