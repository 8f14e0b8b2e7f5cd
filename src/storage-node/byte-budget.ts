/** A bound on bytes in use: who asks for more than is left waits in line; who finds the line too long is refused. */
import { FsError } from "../base/errno.ts";

interface Waiter {
  readonly bytes: number;
  readonly go: () => void;
}

export class ByteBudget {
  readonly #bytesMax: number;
  readonly #waitingBytesMax: number;
  readonly #line: Waiter[] = [];
  #used = 0;
  #waitingBytes = 0;

  constructor(bounds: { bytesMax: number; waitingBytesMax: number }) {
    this.#bytesMax = bounds.bytesMax;
    this.#waitingBytesMax = bounds.waitingBytesMax;
  }

  /**
   * Undefined: taken at once; else resolves when taken. More than the whole budget is taken alone. Throws EAGAIN when
   * too much is waiting.
   */
  take(bytes: number): Promise<void> | undefined {
    if (this.#line.length === 0 && this.#fits(bytes)) {
      this.#used += bytes;
      return undefined;
    }
    if (this.#waitingBytes + bytes > this.#waitingBytesMax) {
      throw new FsError(
        "EAGAIN",
        `${String(this.#waitingBytes)} bytes are waiting for memory already: try again later`,
      );
    }
    return new Promise((go) => {
      this.#waitingBytes += bytes;
      this.#line.push({ bytes, go });
    });
  }

  give(bytes: number): void {
    this.#used -= bytes;
    for (let next = this.#line[0]; next !== undefined && this.#fits(next.bytes); next = this.#line[0]) {
      this.#line.shift();
      this.#waitingBytes -= next.bytes;
      this.#used += next.bytes;
      next.go();
    }
  }

  get usedBytes(): number {
    return this.#used;
  }

  #fits(bytes: number): boolean {
    return this.#used === 0 || this.#used + bytes <= this.#bytesMax;
  }
}
