/**
 * Buffers that are used again: writing into fresh memory is 6 times slower than into warm memory on a virtual machine.
 * Sizes are rounded up to powers of two from 64 KiB; smaller requests are allocated plainly.
 */
export interface BufferPool {
  /** A buffer of exactly `bytes` bytes with arbitrary content; the caller owns it until `give`. */
  take(bytes: number): Buffer;
  /** Returns a buffer from `take`; the caller lets go. Giving nothing back is allowed (it is then collected). */
  give(buffer: Buffer): void;
}

const smallest = 64 * 1024;

/** @param idleBytesMax how much unused memory the pool keeps at most */
export function createBufferPool(idleBytesMax: number): BufferPool {
  const idle = new Map<number, ArrayBuffer[]>();
  let idleBytes = 0;
  return {
    take(bytes) {
      if (bytes < smallest) return Buffer.allocUnsafe(bytes);
      const size = 2 ** Math.ceil(Math.log2(bytes));
      const found = idle.get(size)?.pop();
      if (found === undefined) return Buffer.from(new ArrayBuffer(size), 0, bytes);
      idleBytes -= size;
      return Buffer.from(found, 0, bytes);
    },
    give(buffer) {
      const memory = buffer.buffer;
      const size = memory.byteLength;
      if (buffer.byteOffset !== 0 || size < smallest || 2 ** Math.round(Math.log2(size)) !== size) return;
      if (!(memory instanceof ArrayBuffer) || idleBytes + size > idleBytesMax) return;
      const list = idle.get(size);
      if (list === undefined) idle.set(size, [memory]);
      else list.push(memory);
      idleBytes += size;
    },
  };
}
