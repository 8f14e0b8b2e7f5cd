/**
 * Inode numbers at hand for changes that run ahead: reserved at the name server in ranges, before they are needed. A
 * session's numbers end with it.
 */
import { errnoOf } from "../base/errno.ts";
import { toIno, type Ino } from "../base/ids.ts";
import { limits } from "../base/limits.ts";
import type { Log } from "../base/log.ts";

export interface InodeNumbers {
  /** Undefined: none is at hand now; some have been asked for. */
  take(): Ino | undefined;
}

/** So many are asked for at once, and again when half of them are left. */
const rangeCount = limits.reservedInodesMax / 2;

export class ReservedInodes implements InodeNumbers {
  readonly #reserve: (count: number) => Promise<{ readonly first: number; readonly count: number }>;
  readonly #log: Log;
  #ranges: { next: number; readonly end: number }[] = [];
  #left = 0;
  #asking = false;
  #era = 0;

  constructor(reserve: (count: number) => Promise<{ readonly first: number; readonly count: number }>, log: Log) {
    this.#reserve = reserve;
    this.#log = log;
  }

  take(): Ino | undefined {
    if (this.#left < rangeCount / 2) this.#ask();
    const [range] = this.#ranges;
    if (range === undefined) return undefined;
    const ino = range.next++;
    this.#left--;
    if (range.next === range.end) this.#ranges.shift();
    return toIno(ino);
  }

  /** The session is over. */
  clear(): void {
    this.#ranges = [];
    this.#left = 0;
    this.#era++;
  }

  #ask(): void {
    if (this.#asking) return;
    this.#asking = true;
    const era = this.#era;
    this.#reserve(rangeCount)
      .then(
        ({ first, count }) => {
          if (era !== this.#era) return;
          this.#ranges.push({ next: first, end: first + count });
          this.#left += count;
        },
        (error: unknown) => {
          this.#log.debug({ errno: errnoOf(error) }, "no inode numbers were reserved; changes are asked one by one");
        },
      )
      .finally(() => {
        this.#asking = false;
      });
  }
}
