/** How many bytes may be on their way at once; those who wait go on first come, first served. */
export class ByteBudget {
  inUse = 0;
  readonly bytesMax: number;
  readonly #waiting: { readonly bytes: number; readonly go: () => void }[] = [];

  constructor(bytesMax: number) {
    this.bytesMax = bytesMax;
  }

  /** Takes `bytes` if they fit now and nobody waits; what is larger than the budget fits when nothing is in use. */
  tryTake(bytes: number): boolean {
    if (this.#waiting.length > 0 || !this.#fits(bytes)) return false;
    this.inUse += bytes;
    return true;
  }

  take(bytes: number): Promise<void> | undefined {
    if (this.tryTake(bytes)) return undefined;
    return new Promise((go) => this.#waiting.push({ bytes, go }));
  }

  give(bytes: number): void {
    this.inUse -= bytes;
    for (let next = this.#waiting[0]; next !== undefined && this.#fits(next.bytes); next = this.#waiting[0]) {
      this.#waiting.shift();
      this.inUse += next.bytes;
      next.go();
    }
  }

  #fits(bytes: number): boolean {
    return this.inUse === 0 || this.inUse + bytes <= this.bytesMax;
  }
}
