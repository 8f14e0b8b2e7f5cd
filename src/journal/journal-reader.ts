/**
 * Reading records back from the files of a journal that is being written: for those who are behind. Remembers where it
 * left off, so that reading on costs what it reads. Whoever changes the files (trims, recycles) does not while `read` runs.
 */
import type { Disk } from "../base/disk.ts";
import { FsError } from "../base/errno.ts";
import { decodeFileHeader, journalPath, journalSlotBytes, slotAfter } from "./journal-files.ts";
import { decodeHeader, headerBytes, isIntact, lastIndex } from "./journal-record.ts";
import { RecordWindow } from "./record-window.ts";

export interface ReadableFile {
  readonly sequence: number;
  readonly first: number;
}

export class JournalReader {
  readonly #disk: Disk;
  #cursor: { readonly sequence: number; readonly index: number; readonly offset: number } | undefined;

  constructor(disk: Disk) {
    this.#disk = disk;
  }

  /**
   * The records from the one with batch `first` on up to batch `until` (the end of a record): about `bytesMax`, at least
   * one. Fresh. Empty: `first` is beyond `until`; undefined: it is below the files. EIO: damaged.
   * @param files all, ascending
   */
  async read(
    files: readonly ReadableFile[],
    range: { readonly first: number; readonly until: number; readonly bytesMax: number },
  ): Promise<Buffer[] | undefined> {
    const start = files.findLastIndex((file) => file.first <= range.first);
    if (start === -1) return undefined;
    const records: Buffer[] = [];
    let bytes = 0;
    for (let i = start, next = range.first; i < files.length && next <= range.until; i++) {
      const until = Math.min(range.until, (files[i + 1]?.first ?? Infinity) - 1);
      for await (const record of this.#from(files[i] as ReadableFile, next, until)) {
        if (records.length > 0 && bytes + record.bytes.length > range.bytesMax) return records;
        records.push(record.bytes);
        bytes += record.bytes.length;
        next = record.last + 1;
        this.#cursor = { sequence: (files[i] as ReadableFile).sequence, index: next, offset: record.end };
      }
    }
    return records;
  }

  async *#from(
    { sequence, first }: ReadableFile,
    wanted: number,
    until: number,
  ): AsyncGenerator<{ bytes: Buffer; last: number; end: number }> {
    const path = journalPath(sequence);
    const file = await this.#disk.open(path, "open");
    try {
      const header = Buffer.alloc(journalSlotBytes);
      await file.read(header, 0);
      const seed = decodeFileHeader(header)?.seed;
      if (seed === undefined) throw damaged(path, first);
      const window = new RecordWindow(file);
      const isKnown = this.#cursor?.sequence === sequence && this.#cursor.index <= wanted;
      let index = isKnown ? (this.#cursor?.index ?? first) : first;
      let offset = isKnown ? (this.#cursor?.offset ?? journalSlotBytes) : journalSlotBytes;
      while (index <= until) {
        const record = decodeHeader(await window.at(offset, headerBytes), seed, offset);
        if (record?.first !== index) throw damaged(path, index);
        const end = slotAfter(offset + record.length);
        const last = lastIndex(record);
        if (last >= wanted) {
          const bytes = Buffer.from(await window.at(offset, record.length));
          if (!isIntact(record, bytes)) throw damaged(path, index);
          yield { bytes, last, end };
        }
        index = last + 1;
        offset = end;
      }
    } finally {
      await file.close();
    }
  }
}

function damaged(path: string, index: number): FsError {
  return new FsError("EIO", `${path}: batch ${String(index)} is damaged`);
}
