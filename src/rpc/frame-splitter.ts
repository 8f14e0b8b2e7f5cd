/**
 * Stands between a socket and `ws`: takes the payload of bulk messages out of the stream as it arrives, so that it is
 * copied once, to where it belongs, instead of being put together first (4 MiB in messages of 256 KiB: a copy of each
 * byte and as much fresh memory, which the garbage collector then has to look after).
 *
 * Everything else passes to `ws` unchanged and in order: handshakes, checks and control frames are its business. A
 * frame is bulk only if somebody expects one and it is the plainest kind: one whole binary message, not masked with
 * anything but zeros, within the bound. Invariant: `ws` sees whole frames only, except while one of its own is passing.
 */
import { limits } from "../base/limits.ts";

export interface SplitterOptions {
  /** Frames from clients carry a mask, those from servers do not. */
  readonly fromClient: boolean;
  /** Whether the next data message is bulk. */
  readonly expectsBulk: () => boolean;
  /** A piece of a bulk message; borrowed. */
  readonly onBulk: (piece: Buffer, isLast: boolean) => void;
  /** Everything else. */
  readonly pass: (bytes: Buffer) => void;
}

/** FIN and the opcode for binary; and with them masked what tells data frames from control frames. */
const wholeBinary = 0x82;
const finBit = 0x80;
const controlBit = 0x08;
const maskBit = 0x80;
const lengthBits = 0x7f;

interface Header {
  readonly bytes: number;
  readonly payloadBytes: number;
  readonly hasZeroMask: boolean;
}

export class FrameSplitter {
  readonly #options: SplitterOptions;
  /** Of a header that is cut off at the end of what has arrived. */
  #start: Buffer | undefined;
  /** Bytes of the present frame that are still to come, and whose they are. */
  #left = 0;
  #isBulk = false;
  /** A message of several frames is on its way: none of them is bulk. */
  #isFragmented = false;

  constructor(options: SplitterOptions) {
    this.#options = options;
  }

  /** Borrows what is bulk; the rest is passed on as views. */
  write(arrived: Buffer): void {
    let bytes = arrived;
    if (this.#start !== undefined) {
      bytes = Buffer.concat([this.#start, arrived]);
      this.#start = undefined;
    }
    let at = 0;
    while (at < bytes.length) {
      if (this.#left === 0) {
        const header = readHeader(bytes, at);
        if (header === undefined) {
          this.#start = Buffer.from(bytes.subarray(at));
          return;
        }
        at += this.#begin(header, bytes[at] as number, bytes[at + 1] as number);
      }
      const end = Math.min(at + this.#left, bytes.length);
      const piece = at === 0 && end === bytes.length ? bytes : bytes.subarray(at, end);
      this.#left -= end - at;
      at = end;
      if (this.#isBulk) this.#options.onBulk(piece, this.#left === 0);
      else this.#options.pass(piece);
    }
  }

  /** Returns how many bytes of the header are done with: those of a frame for `ws` go there together with the rest. */
  #begin(header: Header, first: number, second: number): number {
    const isMasked = (second & maskBit) !== 0;
    this.#isBulk =
      first === wholeBinary &&
      !this.#isFragmented &&
      isMasked === this.#options.fromClient &&
      header.hasZeroMask &&
      header.payloadBytes > 0 &&
      header.payloadBytes <= limits.frameBytesMax &&
      this.#options.expectsBulk();
    if ((first & controlBit) === 0) this.#isFragmented = (first & finBit) === 0;
    this.#left = this.#isBulk ? header.payloadBytes : header.bytes + header.payloadBytes;
    return this.#isBulk ? header.bytes : 0;
  }
}

/** The header of the frame that begins at `at`; undefined: it is not all there. */
function readHeader(bytes: Buffer, at: number): Header | undefined {
  const second = bytes[at + 1];
  if (second === undefined) return undefined;
  const short = second & lengthBits;
  const lengthBytes = short === 126 ? 2 : short === 127 ? 8 : 0;
  const maskAt = at + 2 + lengthBytes;
  const isMasked = (second & maskBit) !== 0;
  const end = isMasked ? maskAt + 4 : maskAt;
  if (end > bytes.length) return undefined;
  const payloadBytes =
    lengthBytes === 0
      ? short
      : lengthBytes === 2
        ? bytes.readUInt16BE(at + 2)
        : bytes.readUInt32BE(at + 2) * 2 ** 32 + bytes.readUInt32BE(at + 6);
  return { bytes: end - at, payloadBytes, hasZeroMask: !isMasked || bytes.readUInt32LE(maskAt) === 0 };
}
