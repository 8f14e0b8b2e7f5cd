/**
 * The memory for dirty data: chunks of a power of two bytes, used again (writing into fresh memory is several times
 * slower than into warm), under one bound for all files.
 *
 * Invariants: `heldBytes` (chunks in use, idle chunks, and what is charged for their bookkeeping) stays at or below the
 * bound, except that one write larger than the bound is let in while nothing else is held. A chunk is in use while
 * anything refers to it: dirty ranges, flights, readers. Writers that wait are let in first come, first served.
 */
import { assert } from "../base/assert.ts";

export interface Chunk {
  readonly bytes: Buffer;
  /** Bytes from the start that have been given to ranges. */
  used: number;
  /** Ranges, flights and readers that need it; at 0 its memory is used again. */
  references: number;
  /** Readers among them: while there are any, nothing is overwritten in place. */
  readers: number;
}

/** Room that a waiting writer got: counted as held until `release`, which comes in the same turn as the `take`s. */
export interface Grant {
  release(): void;
}

const smallest = 4 * 1024;

interface Waiter {
  readonly bytes: number;
  readonly grant: (grant: Grant) => void;
  readonly refuse: (error: Error) => void;
}

export class ChunkMemory {
  /** Chunks in use and charges. */
  inUseBytes = 0;
  /** Dirty bytes that are not on their way, and those that are, of all files. */
  openBytes = 0;
  flyingBytes = 0;
  /** Called when a writer starts to wait, and again when data has landed and it still waits. */
  onWaiting: () => void = () => undefined;
  readonly bytesMax: number;
  readonly chunkBytesMax: number;
  readonly #idle = new Map<number, Buffer[]>();
  #idleBytes = 0;
  #grantedBytes = 0;
  readonly #waiters: Waiter[] = [];
  #isAboutToAsk = false;

  constructor(options: { bytesMax: number; chunkBytesMax: number }) {
    this.bytesMax = options.bytesMax;
    this.chunkBytesMax = options.chunkBytesMax;
  }

  get heldBytes(): number {
    return this.inUseBytes + this.#idleBytes;
  }

  /** Half of it is used up. */
  get isScarce(): boolean {
    return this.inUseBytes > this.bytesMax / 2;
  }

  get isWaitedFor(): boolean {
    return this.#waiters.length > 0;
  }

  /** Whether a write of so many bytes could take its chunks now, with nobody waiting before it. */
  fits(bytes: number): boolean {
    return this.#waiters.length === 0 && this.#hasRoom(chunkBytesFor(bytes, this.chunkBytesMax));
  }

  /** Resolves when there is room for a write of so many bytes, in the order of calling. */
  async waitFor(bytes: number, signal?: AbortSignal): Promise<Grant> {
    const granted = new Promise<Grant>((grant, refuse) => {
      const waiter = { bytes: chunkBytesFor(bytes, this.chunkBytesMax), grant, refuse };
      this.#waiters.push(waiter);
      signal?.addEventListener(
        "abort",
        () => {
          const at = this.#waiters.indexOf(waiter);
          if (at < 0) return;
          this.#waiters.splice(at, 1);
          refuse(signal.reason as Error);
          this.#letIn();
        },
        { once: true },
      );
    });
    this.#letIn();
    this.#askForRoom();
    return granted;
  }

  /** Nobody will be let in any more (shutdown). */
  refuseWaiters(error: Error): void {
    for (const waiter of this.#waiters.splice(0)) waiter.refuse(error);
  }

  /**
   * A chunk with room for at least `bytes` (at most `chunkBytesMax`), and if possible for `wanted`, without references.
   * The caller has seen `fits`, or holds a grant.
   */
  take(bytes: number, wanted: number): Chunk {
    let size = powerOfTwo(Math.min(Math.max(bytes, wanted), this.chunkBytesMax));
    if (!this.#hasRoom(size)) size = powerOfTwo(bytes);
    this.inUseBytes += size;
    const memory = this.#idle.get(size)?.pop();
    if (memory !== undefined) {
      this.#idleBytes -= size;
      return { bytes: memory, used: 0, references: 0, readers: 0 };
    }
    this.#evictIdle();
    return { bytes: Buffer.allocUnsafeSlow(size), used: 0, references: 0, readers: 0 };
  }

  hold(chunk: Chunk): void {
    chunk.references++;
  }

  drop(chunk: Chunk): void {
    assert(chunk.references > 0, "a chunk was dropped more often than held");
    if (--chunk.references > 0) return;
    const size = chunk.bytes.length;
    this.inUseBytes -= size;
    if (this.#idleBytes + size <= this.bytesMax / 2 && this.heldBytes + size <= this.bytesMax) {
      const list = this.#idle.get(size);
      if (list === undefined) this.#idle.set(size, [chunk.bytes]);
      else list.push(chunk.bytes);
      this.#idleBytes += size;
    }
    this.#letIn();
  }

  /** So much of a flight's data needs its memory no more. */
  landed(bytes: number): void {
    this.flyingBytes -= bytes;
    this.#askForRoom();
  }

  /** Counts bookkeeping (or, negative, its end). */
  charge(bytes: number): void {
    this.inUseBytes += bytes;
    if (bytes < 0) this.#letIn();
    else this.#evictIdle();
  }

  /** Whether a copy of so many bytes for a flush may be made: within what writers leave free. Ends by `charge(-bytes)`. */
  borrow(bytes: number): boolean {
    if (this.inUseBytes + bytes > this.bytesMax) return false;
    this.charge(bytes);
    return true;
  }

  /** A thirty-second part is kept back from writers, for what a flush has to copy. */
  #hasRoom(bytes: number): boolean {
    const inUse = this.inUseBytes + this.#grantedBytes;
    return inUse + bytes <= this.bytesMax - this.bytesMax / 32 || inUse === 0;
  }

  #letIn(): void {
    for (let first = this.#waiters[0]; first !== undefined && this.#hasRoom(first.bytes); first = this.#waiters[0]) {
      this.#waiters.shift();
      const { bytes } = first;
      this.#grantedBytes += bytes;
      let released = false;
      first.grant({
        release: () => {
          if (released) return;
          released = true;
          this.#grantedBytes -= bytes;
          this.#letIn();
        },
      });
    }
  }

  /** In a turn of its own: whoever changes the memory is in the middle of something. */
  #askForRoom(): void {
    if (!this.isWaitedFor || this.#isAboutToAsk) return;
    this.#isAboutToAsk = true;
    queueMicrotask(() => {
      this.#isAboutToAsk = false;
      if (this.isWaitedFor) this.onWaiting();
    });
  }

  #evictIdle(): void {
    for (const [size, list] of this.#idle) {
      while (this.heldBytes > this.bytesMax && list.pop() !== undefined) this.#idleBytes -= size;
      if (list.length === 0) this.#idle.delete(size);
    }
  }
}

function powerOfTwo(bytes: number): number {
  let size = smallest;
  while (size < bytes) size *= 2;
  return size;
}

/** What chunks for a write may take at most: whole ones, and the smallest one for the rest. */
function chunkBytesFor(bytes: number, chunkBytesMax: number): number {
  const rest = bytes % chunkBytesMax;
  return bytes - rest + (rest === 0 ? 0 : powerOfTwo(rest)) + chargePerWrite;
}

/** Bookkeeping of the few ranges that one write makes. */
const chargePerWrite = 1024;
