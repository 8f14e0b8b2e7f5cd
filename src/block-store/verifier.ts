/**
 * Reads whole records from the disk itself and compares them with their checksums. It goes past the page cache: what
 * is cached may be right where the disk is not, and a pass over everything must displace nothing. One record at a time,
 * in one memory.
 */
import { alignedBuffer } from "../base/aligned-buffer.ts";
import { errnoOf } from "../base/errno.ts";
import type { BlockId, NodeId } from "../base/ids.ts";
import { isSame } from "./reader.ts";
import { decodeHead, headBytes, recordBytes, recordBytesMax, type Location } from "./record.ts";
import { isWhole } from "./scan.ts";
import type { SegmentFiles } from "./segment-files.ts";
import type { Verdict } from "./types.ts";

export class RecordVerifier {
  readonly #files: SegmentFiles;
  readonly #node: NodeId;
  #memory: Buffer | undefined;
  #last: Promise<unknown> = Promise.resolve();

  constructor(files: SegmentFiles, node: NodeId) {
    this.#files = files;
    this.#node = node;
  }

  /** Rejects only when the file cannot be opened for another reason than its absence or its rot. */
  verify(locate: () => Location | undefined, block: BlockId): Promise<Verdict> {
    const result = this.#last.then(() => this.#verify(locate, block));
    this.#last = result.catch(() => undefined);
    return result;
  }

  async #verify(locate: () => Location | undefined, block: BlockId): Promise<Verdict> {
    for (let location = locate(); location !== undefined;) {
      if (await this.#isWhole(block, location)) return "whole";
      const now = locate();
      // Compaction moved it, or another copy took its place, in the meantime.
      if (now !== undefined && isSame(now, location)) return "damaged";
      location = now;
    }
    return "missing";
  }

  async #isWhole(block: BlockId, location: Location): Promise<boolean> {
    const { segment, offset, length } = location;
    this.#memory ??= alignedBuffer(recordBytesMax);
    const record = this.#memory.subarray(0, recordBytes(length));
    try {
      // Not kept open: a segment that compaction removes must give its space back at once.
      const file = await this.#files.append(segment);
      try {
        if ((await file.read(record, offset)) < record.length) return false;
      } finally {
        await file.close();
      }
    } catch (error) {
      const errno = errnoOf(error);
      if (errno !== "EIO" && errno !== "ENOENT") throw error;
      return false;
    }
    const head = decodeHead(record, { node: this.#node, segment, offset });
    if (head?.location.length !== length || head.block.number !== block.number || head.block.group !== block.group) {
      return false;
    }
    return isWhole(head, record.subarray(headBytes(length)).subarray(0, length));
  }
}
