/** Puts arriving payloads together: one buffer per call, filled piece by piece. */
import type { BufferPool } from "../base/buffer-pool.ts";
import { FrameError } from "./frames.ts";
import type { Payload } from "./types.ts";

export const emptyPayload: Payload = { bytes: Buffer.alloc(0), release: () => undefined };

interface Incoming {
  readonly bytes: Buffer;
  filled: number;
  readonly complete: (payload: Payload) => void;
}

export class Inbox {
  readonly #pool: BufferPool;
  readonly #incoming = new Map<string, Incoming>();
  /** The call whose raw bytes are the next message. */
  #announced: string | undefined;

  constructor(pool: BufferPool) {
    this.#pool = pool;
  }

  /** Whether the next message is raw payload, not a frame. */
  get expectsRaw(): boolean {
    return this.#announced !== undefined;
  }

  /** Bytes held for payloads that are not complete yet. */
  pendingBytes = 0;

  /** A message with `total` payload bytes came, the first of them in `beginning`. `complete` is called once, maybe at once. */
  begin(key: string, total: number, beginning: Buffer, complete: (payload: Payload) => void): void {
    if (total === 0) {
      complete(emptyPayload);
    } else if (beginning.length === total) {
      // A view of the message that carried it: small, and let go with it.
      complete({ bytes: beginning, release: () => undefined });
    } else {
      if (this.#incoming.has(key)) throw new FrameError(`two payloads at once for call ${key}`);
      const bytes = this.#pool.take(total);
      beginning.copy(bytes);
      this.pendingBytes += total;
      this.#incoming.set(key, { bytes, filled: beginning.length, complete });
    }
  }

  announce(key: string): void {
    this.#announced = key;
  }

  /** The next bytes of the raw message that was announced, which may come in several pieces; borrowed. */
  raw(piece: Buffer, isLast: boolean): void {
    const key = this.#announced as string;
    if (isLast) this.#announced = undefined;
    const incoming = this.#incoming.get(key);
    // A call that was cancelled or timed out here: its payload is on its way all the same.
    if (incoming === undefined) return;
    if (incoming.filled + piece.length > incoming.bytes.length)
      throw new FrameError(`too much payload for call ${key}`);
    piece.copy(incoming.bytes, incoming.filled);
    incoming.filled += piece.length;
    if (incoming.filled < incoming.bytes.length || !isLast) return;
    this.#incoming.delete(key);
    this.pendingBytes -= incoming.bytes.length;
    incoming.complete({
      bytes: incoming.bytes,
      release: once(() => {
        this.#pool.give(incoming.bytes);
      }),
    });
  }

  /** The call was given up: what still comes for it is thrown away. */
  drop(key: string): void {
    const incoming = this.#incoming.get(key);
    if (incoming === undefined) return;
    this.#incoming.delete(key);
    this.pendingBytes -= incoming.bytes.length;
    this.#pool.give(incoming.bytes);
  }

  close(): void {
    for (const key of [...this.#incoming.keys()]) this.drop(key);
  }
}

function once(fn: () => void): () => void {
  let called = false;
  return () => {
    if (called) return;
    called = true;
    fn();
  };
}

export function requestKey(call: number): string {
  return `q${String(call)}`;
}

export function replyKey(call: number): string {
  return `r${String(call)}`;
}
