/**
 * The bytes of one journal record: batches of changes that became durable together.
 *
 *   header, 64 bytes, little endian
 *      0  magic "DFSR"         :4
 *      4  format 1             :2
 *      6  zero                 :2
 *      8  length               :4   of the whole record, header included
 *     12  batches              :4
 *     16  epoch                :8   of the name server that made it
 *     24  first                :8   index of the first batch; the others follow it
 *     32  durable              :8   highest index known durable when the record was written
 *     40  predecessor          :4   `crc` of the record before
 *     44  body CRC             :4   bytes 64 to length
 *     48  crc                  :4   bytes 0 to 48: stands for the whole record, the same in every copy
 *     52  place CRC            :4   bytes 0 to 52, seeded with file and offset: a stale or moved record fails
 *     56  zero                 :8
 *   body: for each batch: changes:4, then for each: key length:2, value length:4 (0xffffffff removes), key, value
 */
import { checksum } from "../base/checksum.ts";
import { assert } from "../base/assert.ts";
import { readU64, writeU64 } from "../base/u64.ts";
import type { Change } from "./change.ts";

export interface RecordHeader {
  readonly length: number;
  readonly batches: number;
  readonly epoch: number;
  readonly first: number;
  readonly durable: number;
  readonly predecessor: number;
  readonly bodyCrc: number;
  readonly crc: number;
}

export const headerBytes = 64;
export const recordFormat = 1;
const magic = 0x52534644;
const removed = 0xffffffff;
const changeHeaderBytes = 6;

export function batchBytes(changes: readonly Change[]): number {
  let bytes = 4;
  for (const [key, value] of changes) bytes += changeHeaderBytes + key.length + (value?.length ?? 0);
  return bytes;
}

/** Writes the record to the start of `into`, which is large enough; its place CRC is still missing. Returns `crc`. */
export function encodeRecord(
  into: Buffer,
  record: {
    readonly epoch: number;
    readonly first: number;
    readonly durable: number;
    readonly predecessor: number;
    readonly batches: readonly (readonly Change[])[];
    /** 64 plus the `batchBytes` of all batches. */
    readonly length: number;
  },
): number {
  let at = headerBytes;
  for (const changes of record.batches) at = encodeBatch(into, at, changes);
  assert(at === record.length, "a journal record has another length than was computed");
  into.fill(0, 0, headerBytes);
  into.writeUInt32LE(magic, 0);
  into.writeUInt16LE(recordFormat, 4);
  into.writeUInt32LE(record.length, 8);
  into.writeUInt32LE(record.batches.length, 12);
  writeU64(into, record.epoch, 16);
  writeU64(into, record.first, 24);
  writeU64(into, record.durable, 32);
  into.writeUInt32LE(record.predecessor, 40);
  into.writeUInt32LE(checksum(into.subarray(headerBytes, record.length)), 44);
  const crc = checksum(into.subarray(0, 48));
  into.writeUInt32LE(crc, 48);
  return crc;
}

function encodeBatch(into: Buffer, start: number, changes: readonly Change[]): number {
  let at = into.writeUInt32LE(changes.length, start);
  for (const [key, value] of changes) {
    into.writeUInt16LE(key.length, at);
    into.writeUInt32LE(value === null ? removed : value.length, at + 2);
    at += changeHeaderBytes;
    into.write(key, at, "latin1");
    at += key.length;
    if (value === null) continue;
    into.set(value, at);
    at += value.length;
  }
  return at;
}

/** Binds an encoded record to the place in the file where it is going to be written. */
export function placeRecord(record: Buffer, seed: number, offset: number): void {
  record.writeUInt32LE(placeChecksum(record, seed, offset), 52);
}

/** The header at the start of `bytes`, or undefined if there is none that was written to this place. */
export function decodeHeader(bytes: Buffer, seed: number, offset: number): RecordHeader | undefined {
  if (bytes.length < headerBytes || bytes.readUInt32LE(0) !== magic) return undefined;
  if (bytes.readUInt32LE(52) !== placeChecksum(bytes, seed, offset)) return undefined;
  return readHeader(bytes);
}

/**
 * The records that travelled together: whole, and each the successor of the one before. Slices. Undefined if one is not.
 * (On its way a record has no place, so its place CRC says nothing.)
 */
export function splitRecords(bytes: Buffer): { readonly header: RecordHeader; readonly bytes: Buffer }[] | undefined {
  const records: { readonly header: RecordHeader; readonly bytes: Buffer }[] = [];
  for (let at = 0; at < bytes.length;) {
    const rest = bytes.subarray(at);
    const header = rest.length >= headerBytes && rest.readUInt32LE(0) === magic ? readHeader(rest) : undefined;
    if (header === undefined) return undefined;
    const record = rest.subarray(0, header.length);
    if (!isIntact(header, record)) return undefined;
    const before = records.at(-1)?.header;
    if (before !== undefined && (header.first !== lastIndex(before) + 1 || header.predecessor !== before.crc))
      return undefined;
    records.push({ header, bytes: record });
    at += header.length;
  }
  return records;
}

/** Index of the last batch in it. */
export function lastIndex(header: RecordHeader): number {
  return header.first + header.batches - 1;
}

function readHeader(bytes: Buffer): RecordHeader | undefined {
  const length = bytes.readUInt32LE(8);
  if (bytes.readUInt16LE(4) !== recordFormat || length < headerBytes) return undefined;
  return {
    length,
    batches: bytes.readUInt32LE(12),
    epoch: readU64(bytes, 16),
    first: readU64(bytes, 24),
    durable: readU64(bytes, 32),
    predecessor: bytes.readUInt32LE(40),
    bodyCrc: bytes.readUInt32LE(44),
    crc: bytes.readUInt32LE(48),
  };
}

/** `record`: all its bytes. */
export function isIntact(header: RecordHeader, record: Buffer): boolean {
  return (
    record.length === header.length &&
    checksum(record.subarray(headerBytes)) === header.bodyCrc &&
    checksum(record.subarray(0, 48)) === header.crc
  );
}

/** All changes of an intact record in order; values are slices of it. */
export function* decodeChanges(header: RecordHeader, record: Buffer): Generator<Change, undefined> {
  let at = headerBytes;
  for (let batch = 0; batch < header.batches; batch++) {
    const changes = record.readUInt32LE(at);
    at += 4;
    for (let i = 0; i < changes; i++) {
      const keyEnd = at + changeHeaderBytes + record.readUInt16LE(at);
      const valueBytes = record.readUInt32LE(at + 2);
      const key = record.toString("latin1", at + changeHeaderBytes, keyEnd);
      at = valueBytes === removed ? keyEnd : keyEnd + valueBytes;
      yield [key, valueBytes === removed ? null : record.subarray(keyEnd, at)];
    }
  }
}

function placeChecksum(record: Buffer, seed: number, offset: number): number {
  return checksum(record.subarray(0, 52), (seed ^ Math.imul(offset, 0x9e3779b1)) >>> 0);
}
