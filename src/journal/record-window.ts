/** Reads a file front to back through one buffer, in large pieces. */
import type { DiskFile } from "../base/disk.ts";

export class RecordWindow {
  readonly #file: DiskFile;
  #buffer = Buffer.allocUnsafeSlow(256 * 1024);
  #start = 0;
  #length = 0;

  constructor(file: DiskFile) {
    this.#file = file;
  }

  /** `length` bytes from `offset` on, fewer at the end of the file; borrowed until the next call. */
  at(offset: number, length: number): Buffer | Promise<Buffer> {
    if (offset >= this.#start && offset + length <= this.#start + this.#length) return this.#slice(offset, length);
    return this.#load(offset, length);
  }

  async #load(offset: number, length: number): Promise<Buffer> {
    if (length > this.#buffer.length) {
      const left = (await this.#file.size()) - offset;
      // A damaged length must not make us allocate gigabytes.
      if (length > left) return Buffer.alloc(0);
      this.#buffer = Buffer.allocUnsafeSlow(length);
    }
    this.#start = offset;
    this.#length = await this.#file.read(this.#buffer, offset);
    return this.#slice(offset, Math.min(length, this.#length));
  }

  #slice(offset: number, length: number): Buffer {
    return this.#buffer.subarray(offset - this.#start, offset - this.#start + length);
  }
}
