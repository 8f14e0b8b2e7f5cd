/** A sparse file in memory: chunks of 64 KiB, a missing one is a hole. The first chunk grows with its file. */
const chunkBytes = 64 * 1024;
const zeros = Buffer.alloc(chunkBytes);

export class MemoryContent {
  size = 0;
  private readonly chunks = new Map<number, Buffer>();

  get allocatedBytes(): number {
    let bytes = 0;
    for (const chunk of this.chunks.values()) bytes += chunk.length;
    return bytes;
  }

  read(offset: number, length: number): Buffer[] {
    const end = Math.min(offset + length, this.size);
    const pieces: Buffer[] = [];
    for (let at = offset; at < end;) {
      const within = at % chunkBytes;
      const count = Math.min(chunkBytes - within, end - at);
      const chunk = this.chunks.get((at - within) / chunkBytes);
      const there = chunk === undefined ? 0 : Math.max(0, Math.min(count, chunk.length - within));
      if (there > 0) pieces.push(chunk?.subarray(within, within + there) ?? zeros);
      if (there < count) pieces.push(zeros.subarray(0, count - there));
      at += count;
    }
    return pieces;
  }

  write(offset: number, content: Buffer): void {
    const end = offset + content.length;
    for (let at = offset; at < end;) {
      const within = at % chunkBytes;
      const count = Math.min(chunkBytes - within, end - at);
      content.copy(this.chunk((at - within) / chunkBytes, within + count), within, at - offset, at - offset + count);
      at += count;
    }
    this.size = Math.max(this.size, end);
  }

  truncate(size: number): void {
    if (size < this.size) this.zero(size, this.size - size);
    this.size = size;
  }

  /** Makes a range read as zeros; whole chunks become holes. */
  zero(offset: number, length: number): void {
    const end = offset + length;
    for (const [number, chunk] of this.chunks) {
      const start = number * chunkBytes;
      if (start >= end || start + chunkBytes <= offset) continue;
      if (offset <= start && end >= start + chunkBytes) this.chunks.delete(number);
      else if (offset <= start && end >= start + chunk.length) this.chunks.delete(number);
      else chunk.fill(0, Math.max(0, offset - start), Math.max(0, Math.min(chunk.length, end - start)));
    }
  }

  allocate(offset: number, length: number): void {
    for (let at = offset - (offset % chunkBytes); at < offset + length; at += chunkBytes) {
      this.chunk(at / chunkBytes, Math.min(chunkBytes, offset + length - at));
    }
  }

  /** The first offset from `from` on that is (or is not) in a hole; the size when there is none. */
  seek(from: number, what: "data" | "hole"): number {
    for (let at = from; at < this.size; at += chunkBytes - (at % chunkBytes)) {
      const isData = this.chunks.has((at - (at % chunkBytes)) / chunkBytes);
      if (isData === (what === "data")) return at;
    }
    return this.size;
  }

  private chunk(number: number, bytes: number): Buffer {
    const found = this.chunks.get(number);
    if (found !== undefined && found.length >= bytes) return found;
    const grown = Buffer.alloc(Math.min(chunkBytes, Math.max(4096, 2 ** Math.ceil(Math.log2(bytes)))));
    found?.copy(grown);
    this.chunks.set(number, grown);
    return grown;
  }
}
