/**
 * Commits the index behind the puts: when it is behind by many blocks or bytes, or after a second. A put does not wait
 * for it, unless the index is far behind.
 */
import type { Clock, Timer } from "../base/clock.ts";
import { limits } from "../base/limits.ts";
import type { BlockIndex } from "./block-index.ts";

export class IndexCommitter {
  readonly #index: BlockIndex;
  readonly #clock: Clock;
  readonly #onFailed: (error: unknown) => void;
  #timer: Timer | undefined;
  #behindBytes = 0;

  constructor(options: { index: BlockIndex; clock: Clock; onFailed: (error: unknown) => void }) {
    this.#index = options.index;
    this.#clock = options.clock;
    this.#onFailed = options.onFailed;
  }

  /** The index has changed by `bytes` of records. */
  note(bytes: number): void {
    this.#behindBytes += bytes;
    if (this.#index.pending >= limits.indexPendingMax || this.#behindBytes >= limits.indexBehindBytesMax) {
      this.#commitLater();
    } else {
      this.#timer ??= this.#clock.after(
        limits.indexCommitMillis,
        () => {
          this.#commitLater();
        },
        { unref: true },
      );
    }
  }

  /** Whether writers should wait for `now` first. */
  get isFarBehind(): boolean {
    return this.#index.pending >= 4 * limits.indexPendingMax;
  }

  /** Resolves when everything so far is durable; rejects when the index failed, which is then reported as well. */
  async now(): Promise<void> {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#behindBytes = 0;
    try {
      await this.#index.commit();
    } catch (error) {
      this.#onFailed(error);
      throw error;
    }
  }

  stop(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  #commitLater(): void {
    this.now().catch(() => undefined);
  }
}
