/**
 * The inode numbers that one session reserved and has not given to an inode yet. Each is given once.
 *
 * Bounded: a session has at hand, on its way and asked for no more than three times `reservedInodesMax`; of one that
 * reserves more, the oldest numbers are forgotten, and nobody gets them.
 */
import { limits } from "../../base/limits.ts";
import type { NumberRange } from "../../metadata-store/records.ts";

const unusedMax = 4 * limits.reservedInodesMax;
const rangesMax = 256;

interface Range {
  first: number;
  count: number;
  /** Given before `first` was. */
  readonly used: Set<number>;
}

export class InodeNumbers {
  #ranges: Range[] = [];
  #unused = 0;

  static from(ranges: readonly NumberRange[]): InodeNumbers {
    const numbers = new InodeNumbers();
    for (const { first, count, used } of ranges) {
      numbers.add(first, count);
      for (let index = 0; index < used.length * 8; index++) {
        if (((used[index >>> 3] ?? 0) & (1 << (index & 7))) !== 0) numbers.use(first + index);
      }
    }
    return numbers;
  }

  add(first: number, count: number): void {
    this.#ranges.push({ first, count, used: new Set() });
    this.#unused += count;
    while (this.#unused > unusedMax || this.#ranges.length > rangesMax) {
      const oldest = this.#ranges.shift();
      if (oldest === undefined) return;
      this.#unused -= oldest.count - oldest.used.size;
    }
  }

  has(number: number): boolean {
    const range = this.#rangeOf(number);
    return range !== undefined && !range.used.has(number);
  }

  /** It belongs to an inode from now on. */
  use(number: number): void {
    const range = this.#rangeOf(number);
    if (range === undefined || range.used.has(number)) return;
    this.#unused--;
    range.used.add(number);
    while (range.count > 0 && range.used.delete(range.first)) {
      range.first++;
      range.count--;
    }
    if (range.count === 0) this.#ranges = this.#ranges.filter((other) => other !== range);
  }

  get ranges(): readonly NumberRange[] {
    return this.#ranges.map(({ first, count, used }) => ({ first, count, used: bits(first, used) }));
  }

  #rangeOf(number: number): Range | undefined {
    return this.#ranges.find(({ first, count }) => number >= first && number < first + count);
  }
}

function bits(first: number, used: ReadonlySet<number>): Buffer {
  let last = -1;
  for (const number of used) last = Math.max(last, number - first);
  const out = Buffer.alloc(Math.ceil((last + 1) / 8));
  for (const number of used) {
    const index = number - first;
    out[index >>> 3] = (out[index >>> 3] ?? 0) | (1 << (index & 7));
  }
  return out;
}
