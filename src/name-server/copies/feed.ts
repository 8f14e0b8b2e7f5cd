/**
 * Where followers get records from: the newest from memory, older ones from the journal's files. The record that is being
 * written is always in memory, so that it travels while the local disk works.
 */
import { limits } from "../../base/limits.ts";
import { splitRecords } from "../../journal/journal-record.ts";
import type { Position } from "../../journal/position.ts";
import type { JournalRecord, JournalSource } from "../../metadata-store/types.ts";

/** `nothing`: the copy has everything; `anew`: it does not lead to where the journal is. */
export type Next =
  | { readonly kind: "records"; readonly pieces: readonly Buffer[]; readonly isRecent: boolean }
  | { readonly kind: "nothing" }
  | { readonly kind: "anew" };

export class Feed {
  readonly #source: JournalSource;
  readonly #recent: JournalRecord[] = [];
  #recentBytes = 0;

  constructor(source: JournalSource) {
    this.#source = source;
  }

  /** Newest position that was given to the disk. */
  get end(): Position {
    return this.#recent.at(-1)?.end ?? this.#source.end;
  }

  add(record: JournalRecord): void {
    this.#recent.push(record);
    this.#recentBytes += record.bytes.length;
    while (this.#recent.length > 1 && this.#recentBytes > limits.journalRecentBytes) {
      this.#recentBytes -= this.#recent.shift()?.bytes.length ?? 0;
    }
  }

  /** What follows `after`. */
  async next(after: Position): Promise<Next> {
    const { end } = this;
    if (after.index >= end.index)
      return { kind: after.index === end.index && after.crc === end.crc ? "nothing" : "anew" };
    const start = this.#recent.findIndex(({ first }) => first === after.index + 1);
    if (start !== -1) {
      if (this.#recent[start]?.predecessor !== after.crc) return { kind: "anew" };
      return { kind: "records", pieces: this.#recentFrom(start), isRecent: true };
    }
    const pieces = await this.#source.readRecords(after.index + 1, limits.journalSendBytesMax);
    const [first] = splitRecords(pieces?.[0] ?? Buffer.alloc(0)) ?? [];
    if (pieces === undefined || first?.header.first !== after.index + 1) return { kind: "anew" };
    return first.header.predecessor === after.crc ? { kind: "records", pieces, isRecent: false } : { kind: "anew" };
  }

  #recentFrom(start: number): Buffer[] {
    const pieces: Buffer[] = [];
    let bytes = 0;
    for (const record of this.#recent.slice(start)) {
      if (pieces.length > 0 && bytes + record.bytes.length > limits.journalSendBytesMax) break;
      pieces.push(record.bytes);
      bytes += record.bytes.length;
    }
    return pieces;
  }
}
