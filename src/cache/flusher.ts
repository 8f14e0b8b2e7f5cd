/**
 * Background flushing: of data that is older than its age, of files nobody writes any more, and when dirty memory
 * becomes scarce; a bounded number of files at once, those that have been dirty longest first. What failed is tried
 * again after a while, each time later; data that failed again and again is given up when others need its memory, or
 * after a number of tries.
 */
import type { Clock, Timer } from "../base/clock.ts";
import { FsError } from "../base/errno.ts";
import type { Log } from "../base/log.ts";
import type { ChunkMemory } from "./chunk-memory.ts";
import type { CachedFile } from "./file-content.ts";

export interface FlusherOptions {
  readonly clock: Clock;
  readonly log: Log;
  readonly memory: ChunkMemory;
  readonly ageMillis: number;
}

interface DirtyFile {
  /** When it is flushed at the latest; after an error: when it is tried again. */
  readonly dueAt: number;
  readonly error: Error | undefined;
}

const filesAtOnceMax = 16;
const retryMillisMin = 1_000;
const retryMillisMax = 30_000;
/** About three minutes of tries, each of which may itself wait for space or nodes. */
const failuresMax = 10;
const failuresMaxUnderPressure = 2;

export class Flusher {
  readonly #options: FlusherOptions;
  /** In the order of becoming dirty. */
  readonly #dirty = new Map<CachedFile, DirtyFile>();
  readonly #soon = new Set<CachedFile>();
  readonly #active = new Set<CachedFile>();
  #timer: Timer | undefined;
  #timerAt = 0;
  #isClosed = false;

  constructor(options: FlusherOptions) {
    this.#options = options;
    options.memory.onWaiting = () => {
      this.relieve();
    };
  }

  /** The file has open data now. */
  dirtied(file: CachedFile): void {
    this.#dirty.delete(file);
    this.#dirty.set(file, { dueAt: this.#now() + this.#options.ageMillis, error: undefined });
    if (this.#timer === undefined) this.#arm();
  }

  /** A flush failed whose data is kept. */
  failed(file: CachedFile, error: Error): void {
    const { log } = this.#options;
    const { failures } = file.buffer;
    if (failures >= failuresMax) {
      this.#giveUp(file, error);
      return;
    }
    const wait = Math.min(retryMillisMin * 2 ** (failures - 1), retryMillisMax);
    this.#dirty.set(file, { dueAt: this.#now() + wait, error });
    log.warn({ ino: file.ino, error, failures, retryMillis: wait }, "a flush failed, its data is kept");
    this.#arm();
  }

  soon(file: CachedFile): void {
    if (file.buffer.dirty.openBytes === 0) return;
    this.#soon.add(file);
    this.#run();
  }

  /** Held-back work of the file may go on. */
  released(): void {
    this.#run();
  }

  /**
   * Flushes the oldest when half of the memory is used up or somebody waits for some, unless most of it is on its way
   * already: what is being written just now should first become whole blocks.
   */
  relieve(): void {
    const { memory } = this.#options;
    const isScarce = memory.isWaitedFor || memory.isScarce;
    const isWorthIt = memory.openBytes > memory.bytesMax / 8 || (memory.isWaitedFor && memory.flyingBytes === 0);
    if (!isScarce || !isWorthIt) return;
    const now = this.#now();
    for (const [file, { dueAt, error }] of this.#dirty) {
      if (this.#soon.size + this.#active.size >= filesAtOnceMax) break;
      if ((error === undefined || dueAt <= now) && file.buffer.dirty.openBytes > 0) this.#soon.add(file);
    }
    this.#run();
    if (memory.isWaitedFor && memory.flyingBytes === 0) this.#relieveFromFailed();
  }

  forget(file: CachedFile): void {
    this.#dirty.delete(file);
    this.#soon.delete(file);
  }

  close(): void {
    this.#isClosed = true;
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  #now(): number {
    return this.#options.clock.monotonicMillis();
  }

  #run(): void {
    for (const file of this.#soon) {
      if (this.#active.size >= filesAtOnceMax || this.#isClosed) return;
      if (file.isHeld) continue;
      this.#soon.delete(file);
      if (this.#active.has(file) || file.buffer.dirty.openBytes === 0) continue;
      this.#dirty.delete(file);
      this.#active.add(file);
      file.buffer.seal();
      void this.#finish(file);
    }
  }

  async #finish(file: CachedFile): Promise<void> {
    await file.buffer.queue.drained();
    this.#active.delete(file);
    if (file.buffer.dirty.openBytes > 0 && !this.#dirty.has(file)) this.dirtied(file);
    this.#run();
    this.relieve();
  }

  /** Only data that failed before is left, and somebody waits: it gets a last chance, or goes. */
  #relieveFromFailed(): void {
    for (const [file, { error }] of [...this.#dirty]) {
      if (error === undefined || file.isHeld) continue;
      if (file.buffer.failures >= failuresMaxUnderPressure) this.#giveUp(file, error);
      else this.#soon.add(file);
    }
    this.#run();
  }

  #giveUp(file: CachedFile, error: Error): void {
    this.#options.log.error({ ino: file.ino, error }, "unwritten data is given up: it could not be flushed");
    this.forget(file);
    const context = `inode ${String(file.ino)}: unwritten data was given up`;
    const cause = error instanceof FsError ? new FsError(error.errno, context, { cause: error }) : error;
    file.lose(cause);
  }

  /** Makes sure that the timer runs when the next file is due. */
  #arm(): void {
    if (this.#isClosed) return;
    let next = Infinity;
    for (const { dueAt } of this.#dirty.values()) next = Math.min(next, dueAt);
    if (next === Infinity || (this.#timer !== undefined && this.#timerAt <= next)) return;
    this.#timer?.cancel();
    const wait = Math.max(next - this.#now(), timerMillisMin);
    this.#timerAt = this.#now() + wait;
    const fire = (): void => {
      this.#timer = undefined;
      this.#flushDue();
    };
    this.#timer = this.#options.clock.after(wait, fire, { unref: true });
  }

  #flushDue(): void {
    const now = this.#now();
    for (const [file, { dueAt }] of this.#dirty) {
      if (file.buffer.dirty.openBytes === 0) this.#dirty.delete(file);
      else if (dueAt <= now) this.#soon.add(file);
    }
    this.#run();
    this.#arm();
  }
}

/** Files that become due close to each other are flushed in one go. */
const timerMillisMin = 100;
