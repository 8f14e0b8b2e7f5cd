/** Which stretches (by number) are known: disjoint intervals in order, neighbours joined. The end may be Infinity. */
interface Interval {
  start: number;
  end: number;
}

export class KnownStretches {
  #intervals: Interval[] = [];

  /** Whether all of [start, end) is known. */
  has(start: number, end: number): boolean {
    return this.firstMissing(start) >= end;
  }

  /** The first one at or after `start` that is not known. */
  firstMissing(start: number): number {
    for (const interval of this.#intervals) {
      if (interval.start > start) break;
      if (interval.end > start) return interval.end;
    }
    return start;
  }

  add(start: number, end: number): void {
    if (this.has(start, end) || end <= start) return;
    const rest = this.#intervals.filter((interval) => interval.end < start || interval.start > end);
    const touching = this.#intervals.filter((interval) => interval.end >= start && interval.start <= end);
    const joined = {
      start: Math.min(start, ...touching.map((interval) => interval.start)),
      end: Math.max(end, ...touching.map((interval) => interval.end)),
    };
    this.#intervals = [...rest, joined].sort((a, b) => a.start - b.start);
  }

  clear(): void {
    this.#intervals = [];
  }
}
