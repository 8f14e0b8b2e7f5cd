/** Holds back the writes of a file while a change of it runs; changes run one after the other. */
export class Gate {
  #closed: Promise<void> | undefined;

  get isClosed(): boolean {
    return this.#closed !== undefined;
  }

  /** Resolves when nothing holds writes back (at that moment). */
  async opened(): Promise<void> {
    while (this.#closed !== undefined) await this.#closed;
  }

  async whileClosed<T>(run: () => Promise<T>): Promise<T> {
    await this.opened();
    let open = (): void => undefined;
    this.#closed = new Promise((resolve) => (open = resolve));
    try {
      return await run();
    } finally {
      this.#closed = undefined;
      open();
    }
  }
}
