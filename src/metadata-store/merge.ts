/** One ordered view of several layers: of equal keys the newest layer's wins, and a tombstone hides what lies below. */
import type { Entry } from "./ordered-map.ts";
import type { Key } from "./types.ts";

/** @param layers newest first, each in the order that `reverse` says, without a key twice */
export function* mergeLayers(
  layers: readonly Iterable<Entry>[],
  options: { readonly reverse: boolean; readonly limit: number },
): Generator<readonly [Key, Buffer], undefined> {
  if (options.limit <= 0) return;
  let left = options.limit;
  const iterators: Iterator<Entry>[] = [];
  try {
    const heads: (Entry | undefined)[] = [];
    for (const layer of layers) {
      const iterator = layer[Symbol.iterator]();
      iterators.push(iterator);
      heads.push(nextOf(iterator));
    }
    for (;;) {
      const winner = firstHead(heads, options.reverse);
      if (winner === undefined) return;
      const [key, value] = winner;
      if (value !== null) {
        yield [key, value];
        if (--left === 0) return;
      }
      for (let i = 0; i < heads.length; i++) {
        if (heads[i]?.[0] === key) heads[i] = nextOf(iterators[i] as Iterator<Entry>);
      }
    }
  } finally {
    for (const iterator of iterators) iterator.return?.();
  }
}

function firstHead(heads: readonly (Entry | undefined)[], reverse: boolean): Entry | undefined {
  let best: Entry | undefined;
  for (const head of heads) {
    if (head === undefined) continue;
    if (best === undefined || (reverse ? head[0] > best[0] : head[0] < best[0])) best = head;
  }
  return best;
}

function nextOf(iterator: Iterator<Entry>): Entry | undefined {
  const step = iterator.next();
  return step.done === true ? undefined : step.value;
}
