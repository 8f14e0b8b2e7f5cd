/**
 * Reads stretches of blocks. A cold stretch costs one read of the disk: the checksums of a block stand together in its
 * record's head, which is verified when it is read and remembered (1 KiB for each MiB).
 */
import { LRUCache } from "lru-cache";
import { unitCount } from "../base/checksum.ts";
import { errnoOf, FsError } from "../base/errno.ts";
import { blockName, type BlockId, type NodeId } from "../base/ids.ts";
import { limits } from "../base/limits.ts";
import { decodeHead, headBytes, pageBytes, type Head, type Location } from "./record.ts";
import { cutShort, type SegmentFiles } from "./segment-files.ts";

export interface Stretch {
  readonly start: number;
  readonly bytes: Buffer;
  /** Shared with later reads: not to be changed. */
  readonly checksums: Buffer;
}

type Take = (bytes: number) => Buffer;

const unit = limits.checksumUnitBytes;
/** A cold stretch that ends so near behind its head is read together with it. */
const nearBytes = 64 * 1024;
/** Longer reads go to the disk as several: the kernel reads ahead for each. */
const pieceBytes = 1024 * 1024;

export class RecordReader {
  readonly #files: SegmentFiles;
  readonly #node: NodeId;
  readonly #checksums = new LRUCache<number, Buffer>({
    maxSize: limits.checksumCacheBytes,
    sizeCalculation: (sums) => sums.length + 128,
  });

  constructor(files: SegmentFiles, node: NodeId) {
    this.#files = files;
    this.#node = node;
  }

  async get(
    locate: (block: BlockId) => Location | undefined,
    block: BlockId,
    range: { offset: number; length: number; take: Take },
  ): Promise<Stretch> {
    for (let location = locate(block); ;) {
      if (location === undefined) throw new FsError("ENOENT", `no block ${blockName(block)} here`);
      try {
        return await this.#read(block, location, range);
      } catch (error) {
        const now = locate(block);
        // Compaction moved it between the look into the index and the read.
        if (errnoOf(error) !== "ENOENT" || (now !== undefined && isSame(now, location))) throw damaged(block, error);
        location = now;
      }
    }
  }

  /** The head of a record. Rejects with EIO when it is damaged, ENOENT when the segment is gone. */
  async head(block: BlockId, location: Location): Promise<Head> {
    const bytes = Buffer.allocUnsafe(headBytes(location.length));
    const got = await this.#files.read(location.segment, bytes, location.offset);
    return this.#decode(block, location, bytes.subarray(0, got));
  }

  async #read(
    block: BlockId,
    location: Location,
    range: { offset: number; length: number; take: Take },
  ): Promise<Stretch> {
    const { offset, length } = range;
    if (offset >= location.length || length < 1) {
      throw new FsError("EINVAL", `block ${blockName(block)} has ${String(location.length)} bytes`);
    }
    const first = Math.floor(offset / unit);
    const start = first * unit;
    const end = Math.min(unitCount(offset + length) * unit, location.length);
    const payloadAt = headBytes(location.length);
    let sums = this.#checksums.get(cacheKey(location));
    let bytes: Buffer;
    if (sums === undefined && payloadAt + end <= nearBytes) {
      const all = Buffer.allocUnsafe(payloadAt + end);
      if ((await this.#files.read(location.segment, all, location.offset)) < all.length) throw short(location);
      sums = this.#decode(block, location, all).checksums;
      bytes = range.take(end - start);
      all.copy(bytes, 0, payloadAt + start, payloadAt + end);
    } else {
      bytes = range.take(end - start);
      const reading = this.#fill(location, bytes, location.offset + payloadAt + start);
      if (sums === undefined) {
        const [head] = await Promise.all([this.head(block, location), reading]);
        sums = head.checksums;
      } else await reading;
    }
    return { start, bytes, checksums: sums.subarray(first * 4, unitCount(end) * 4) };
  }

  async #fill(location: Location, into: Buffer, position: number): Promise<void> {
    const { segment } = location;
    if (into.length <= pieceBytes) {
      if ((await this.#files.read(segment, into, position)) < into.length) throw short(location);
      return;
    }
    const pieces: Promise<number>[] = [];
    for (let at = 0; at < into.length; at += pieceBytes) {
      pieces.push(this.#files.read(segment, into.subarray(at, at + pieceBytes), position + at));
    }
    let got = 0;
    for (const read of await Promise.all(pieces)) got += read;
    if (got < into.length) throw short(location);
  }

  /** Remembers the checksums. */
  #decode(block: BlockId, location: Location, bytes: Buffer): Head {
    const { segment, offset, length } = location;
    const head = decodeHead(bytes, { node: this.#node, segment, offset });
    if (head?.location.length !== length || head.block.number !== block.number || head.block.group !== block.group) {
      throw new FsError("EIO", `the record of block ${blockName(block)} is damaged`);
    }
    const checksums = Buffer.from(head.checksums);
    this.#checksums.set(cacheKey(location), checksums);
    return { ...head, checksums };
  }
}

export function isSame(a: Location, b: Location): boolean {
  return a.segment === b.segment && a.offset === b.offset;
}

/** Segment numbers and records are never reused, so the place names the record. */
function cacheKey({ segment, offset }: Location): number {
  return segment * 2 ** 20 + offset / pageBytes;
}

function short({ segment, offset }: Location): FsError {
  return cutShort(segment, offset);
}

function damaged(block: BlockId, error: unknown): Error {
  if (error instanceof FsError && (error.errno === "EINVAL" || error.errno === "EIO")) return error;
  return new FsError("EIO", `block ${blockName(block)} cannot be read`, { cause: error });
}
