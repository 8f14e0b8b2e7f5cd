/** Search in a list of intervals that is in order and without overlaps. */
interface Interval {
  readonly offset: number;
  readonly length: number;
}

/** Index of the first interval that ends after `position`; the list's length if none does. */
export function firstEndingAfter(intervals: readonly Interval[], position: number): number {
  let low = 0;
  let high = intervals.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const interval = intervals[middle];
    if (interval !== undefined && interval.offset + interval.length <= position) low = middle + 1;
    else high = middle;
  }
  return low;
}
