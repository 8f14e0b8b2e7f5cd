/**
 * For each table (a key's first byte) how many values it has and the sum of their CRCs modulo 2^32: kept with every
 * change, compared by snapshot, scrub and recovery, so that a lost or resurrected value shows.
 *
 *   bytes: count of tables:1, then for each, ascending: table:1 sum:4 values:8 (little endian)
 */
import { readU64, writeU64 } from "./record-codec.ts";
import type { Key } from "./types.ts";

export class TableSums {
  readonly #sums = new Uint32Array(256);
  readonly #values = new Float64Array(256);

  add(key: Key, crc: number): void {
    const table = key.charCodeAt(0);
    this.#sums[table] = (this.#sums[table] as number) + crc;
    this.#values[table] = (this.#values[table] as number) + 1;
  }

  subtract(key: Key, crc: number): void {
    const table = key.charCodeAt(0);
    this.#sums[table] = (this.#sums[table] as number) - crc;
    this.#values[table] = (this.#values[table] as number) - 1;
  }

  get count(): number {
    return this.#values.reduce((total, values) => total + values, 0);
  }

  /** Whether both say the same of the tables from `from` to `to`. */
  agrees(other: TableSums, from: number, to: number): boolean {
    for (let table = from; table <= to; table++)
      if (this.#sums[table] !== other.#sums[table] || this.#values[table] !== other.#values[table]) return false;
    return true;
  }

  /** Fresh. Equal sums have equal bytes. */
  encode(): Buffer {
    const tables = [...this.#values.keys()].filter((table) => this.#values[table] !== 0 || this.#sums[table] !== 0);
    const bytes = Buffer.alloc(1 + tables.length * tableBytes);
    bytes[0] = tables.length;
    tables.forEach((table, i) => {
      const at = 1 + i * tableBytes;
      bytes[at] = table;
      bytes.writeUInt32LE(this.#sums[table] as number, at + 1);
      writeU64(bytes, this.#values[table] as number, at + 5);
    });
    return bytes;
  }

  /** Of bytes that a CRC has vouched for. */
  static decode(bytes: Buffer): TableSums {
    const sums = new TableSums();
    for (let at = 1; at + tableBytes <= bytes.length; at += tableBytes) {
      const table = bytes[at] as number;
      sums.#sums[table] = bytes.readUInt32LE(at + 1);
      sums.#values[table] = readU64(bytes, at + 5);
    }
    return sums;
  }
}

const tableBytes = 13;
