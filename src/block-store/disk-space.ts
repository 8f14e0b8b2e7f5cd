/**
 * What is free on the disk below, asked at most once a second: other processes use it, too. What was appended since counts
 * as taken. The reserve of the capacity is one of the disk as well: growing stops at it, removal and compaction may use it.
 */
import type { Clock } from "../base/clock.ts";
import type { Disk } from "../base/disk.ts";
import type { Log } from "../base/log.ts";

const askMillis = 1_000;

export class DiskSpace {
  readonly #disk: Disk;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #reserveBytes: number;
  #askedAt = -Infinity;
  #freeBytes = Infinity;
  #asking: Promise<void> | undefined;

  constructor(options: { disk: Disk; clock: Clock; log: Log; reserveBytes: number }) {
    this.#disk = options.disk;
    this.#clock = options.clock;
    this.#log = options.log;
    this.#reserveBytes = options.reserveBytes;
  }

  /** What may be appended; below zero within the reserve. As last heard; asks again in the background when that is old. */
  get freeBytes(): number {
    if (this.#clock.monotonicMillis() - this.#askedAt >= askMillis) void this.ask();
    return this.#freeBytes - this.#reserveBytes;
  }

  take(bytes: number): void {
    this.#freeBytes -= bytes;
  }

  /** Never rejects: what was known stays. */
  ask(): Promise<void> {
    this.#asking ??= this.#disk
      .space()
      .then(
        ({ freeBytes }) => {
          this.#freeBytes = freeBytes;
        },
        (error: unknown) => {
          this.#log.warn({ err: error }, "cannot tell how much of the disk is free");
        },
      )
      .finally(() => {
        this.#askedAt = this.#clock.monotonicMillis();
        this.#asking = undefined;
      });
    return this.#asking;
  }
}
