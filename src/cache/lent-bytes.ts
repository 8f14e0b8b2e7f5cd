/**
 * Bytes in memory that is used again: given back when neither the cache keeps them nor anybody reads them. Memory that
 * rotates costs the garbage collector nothing, and writing into it is several times faster than into fresh memory.
 */
import type { Payload } from "../remote/types.ts";

export class LentBytes {
  /** The cache has it, or will. */
  #isKept = true;
  #readers = 0;
  #payload: Payload | undefined;

  /** They are there. */
  arrived(payload: Payload): void {
    this.#payload = payload;
    this.#settle();
  }

  /** Until `letGo`, which comes once for each `hold`. */
  hold(): void {
    this.#readers++;
  }

  letGo(): void {
    this.#readers--;
    this.#settle();
  }

  /** The cache has let go. */
  dropped(): void {
    this.#isKept = false;
    this.#settle();
  }

  #settle(): void {
    if (this.#isKept || this.#readers > 0) return;
    this.#payload?.release();
    this.#payload = undefined;
  }
}
