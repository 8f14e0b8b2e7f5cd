/**
 * Writing one file: into memory where that is allowed and there is room for it, else later or through to the server.
 *
 * Invariants: without an exclusive lease a write has been committed when it resolves; nothing is written while a change
 * of the file runs; while the server decides where an append goes, nobody here knows where the end is.
 */
import { FsError } from "../base/errno.ts";
import type { ContentContext } from "./content-context.ts";
import type { Gate } from "./gate.ts";
import type { ContentOwner, WriteOptions } from "./types.ts";
import type { WriteBuffer } from "./write-buffer.ts";

export interface WrittenFile {
  readonly owner: ContentOwner;
  /** Closed while a change runs. */
  readonly gate: Gate;
  readonly buffer: WriteBuffer;
  readonly size: () => number;
  /** Not while what was told of the size may be newer than what is known here. */
  readonly isSizeKnown: () => boolean;
  /** Something was put: memory may be scarce now. */
  readonly written: () => void;
}

export class FileWriter {
  readonly #context: ContentContext;
  readonly #file: WrittenFile;
  /** Appends under way whose place the server decides. */
  #appending = 0;

  constructor(context: ContentContext, file: WrittenFile) {
    this.#context = context;
    this.#file = file;
  }

  write(offset: number, content: Buffer, terms: WriteOptions): void | Promise<void> {
    if (offset + content.length > this.#context.limits.fileBytesMax) {
      throw new FsError(
        "EFBIG",
        `inode ${String(this.#file.owner.ino)}: a write up to ${String(offset + content.length)}`,
      );
    }
    if (content.length === 0) return undefined;
    if (!this.#canTakeNow(content.length)) return this.#writeLater(() => offset, content, terms).then(() => undefined);
    this.#put(offset, content, terms);
    return undefined;
  }

  append(content: Buffer, terms: WriteOptions): number | Promise<number> {
    const offset = this.#file.size();
    if (content.length === 0) return offset;
    if (!this.#file.isSizeKnown() || !this.#canTakeNow(content.length)) {
      return this.#writeLater(undefined, content, terms);
    }
    this.#put(offset, content, terms);
    return offset;
  }

  /** Without waiting for anything: see `write`. */
  #canTakeNow(bytes: number): boolean {
    return this.#mayPut && !this.#file.gate.isClosed && this.#context.memory.fits(bytes) && this.#hasSpaceFor(bytes);
  }

  get #mayPut(): boolean {
    return this.#file.owner.mayBuffer && this.#appending === 0;
  }

  /** Whether the cluster has room for what is dirty and this: if not, each write waits for its own success. */
  #hasSpaceFor(bytes: number): boolean {
    const { nameServer, memory } = this.#context;
    return memory.inUseBytes + bytes <= nameServer.bytesFree;
  }

  /** Resolves with the offset; at the end of the file if `where` is undefined. */
  async #writeLater(where: (() => number) | undefined, content: Buffer, terms: WriteOptions): Promise<number> {
    // Where the end is says the server, unless it is known here.
    const mayPut = (): boolean => this.#mayPut && (where !== undefined || this.#file.isSizeKnown());
    for (;;) {
      await this.#file.gate.opened();
      if (where === undefined && !mayPut()) await this.#file.buffer.written();
      const grant = await this.#context.memory.waitFor(content.length);
      try {
        if (this.#file.gate.isClosed) continue;
        if (!mayPut() && where === undefined) {
          // Where the end is, what was written before decides.
          if (!this.#file.buffer.isWritten) continue;
          const appended = this.#append(content, terms);
          grant.release();
          return await appended;
        }
        const offset = where?.() ?? this.#file.size();
        if (mayPut() && this.#hasSpaceFor(content.length)) this.#put(offset, content, terms);
        else {
          const written = this.#file.buffer.writeThrough(offset, content, terms);
          grant.release();
          await written;
        }
        return offset;
      } finally {
        grant.release();
      }
    }
  }

  /** What is longer than a block goes in several steps, between which others may append. */
  async #append(content: Buffer, terms: WriteOptions): Promise<number> {
    const { blockBytesMax } = this.#context.limits;
    this.#appending++;
    try {
      const first = await this.#file.buffer.append(content.subarray(0, blockBytesMax), terms);
      for (let done = blockBytesMax; done < content.length; done += blockBytesMax) {
        await this.#file.buffer.append(content.subarray(done, done + blockBytesMax), terms);
      }
      return first;
    } finally {
      this.#appending--;
    }
  }

  #put(offset: number, content: Buffer, terms: WriteOptions): void {
    this.#file.buffer.put(offset, content, terms);
    this.#file.written();
  }
}
