/**
 * Recognises sequential readers of one file, several at once, and says how far ahead to read for each.
 *
 * A stream is born by a read at the start of the file that is larger than a glance at its header, or by a second read
 * right behind another one. Its window starts at 1 MiB and doubles with each read up to 16 MiB. An established stream
 * may be fed a little out of order (the kernel has several READs in flight).
 */
export interface ReadStream {
  /** End of what was read so far. */
  next: number;
  hits: number;
  windowBytes: number;
  /** Everything below has been asked for. */
  aheadTo: number;
}

const MiB = 1024 * 1024;
const streamsMax = 4;
const windowBytesMin = 1 * MiB;
const windowBytesMax = 16 * MiB;
const glanceBytes = 16 * 1024;
const disorderBytes = 1 * MiB;

export class ReadStreams {
  /** Least recently used first. */
  readonly #streams: ReadStream[] = [];

  /** Notes a read; returns its stream, whose window is 0 while it may be random. */
  note(offset: number, length: number): ReadStream {
    const at = this.#streams.findIndex((stream) => continues(stream, offset));
    const known = this.#streams[at];
    if (known === undefined) return this.#begin(offset, length);
    if (at < this.#streams.length - 1) {
      this.#streams.splice(at, 1);
      this.#streams.push(known);
    }
    known.hits++;
    known.next = Math.max(known.next, offset + length);
    known.windowBytes = Math.min(Math.max(known.windowBytes * 2, windowBytesMin), windowBytesMax);
    return known;
  }

  clear(): void {
    this.#streams.length = 0;
  }

  #begin(offset: number, length: number): ReadStream {
    if (this.#streams.length === streamsMax) this.#streams.shift();
    const windowBytes = offset === 0 && length >= glanceBytes ? windowBytesMin : 0;
    const stream = { next: offset + length, hits: 1, windowBytes, aheadTo: offset + length };
    this.#streams.push(stream);
    return stream;
  }
}

function continues(stream: ReadStream, offset: number): boolean {
  if (offset === stream.next) return true;
  return stream.hits > 2 && Math.abs(offset - stream.next) <= disorderBytes;
}
