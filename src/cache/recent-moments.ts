/**
 * When something happened last to each inode. Bounded: of the latest ones it is known one by one, of all others only when
 * it was at the latest.
 */
import type { Ino } from "../base/ids.ts";

export class RecentMoments {
  readonly #max: number;
  /** The one noted last at the end. */
  readonly #moments = new Map<Ino, number>();
  #earlier = 0;

  constructor(max: number) {
    this.#max = max;
  }

  note(ino: Ino, moment: number): void {
    const before = this.#moments.get(ino) ?? 0;
    this.#moments.delete(ino);
    this.#moments.set(ino, Math.max(before, moment));
    if (this.#moments.size <= this.#max) return;
    for (const [oldest, at] of this.#moments) {
      this.#moments.delete(oldest);
      this.#earlier = Math.max(this.#earlier, at);
      break;
    }
  }

  /** It happened to all of them. */
  noteAll(moment: number): void {
    this.#moments.clear();
    this.#earlier = moment;
  }

  /** Not before it happened last. */
  of(ino: Ino): number {
    return this.#moments.get(ino) ?? this.#earlier;
  }
}
