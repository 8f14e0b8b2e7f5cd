import test from "ava";
import { checksum } from "../../src/base/checksum.ts";
import { decodeFileHeader, encodeFileHeader } from "../../src/journal/journal-files.ts";
import {
  batchBytes,
  decodeChanges,
  decodeHeader,
  encodeRecord,
  headerBytes,
  isIntact,
  placeRecord,
} from "../../src/journal/journal-record.ts";
import type { Change } from "../../src/metadata-store/types.ts";

const batches: Change[][] = [
  [
    ["ia", Buffer.from("one")],
    ["\u00ff\u0000", null],
  ],
  [["e", Buffer.alloc(0)]],
];
const length = headerBytes + batches.reduce((sum, batch) => sum + batchBytes(batch), 0);
const seed = 0x12345678;

function example(): { bytes: Buffer; crc: number } {
  const bytes = Buffer.alloc(length);
  const crc = encodeRecord(bytes, {
    epoch: 3,
    first: 2 ** 40 + 1,
    durable: 2 ** 40,
    predecessor: 0xdeadbeef,
    batches,
    length,
  });
  placeRecord(bytes, seed, 1024);
  return { bytes, crc };
}

test("a record has the documented bytes", (t) => {
  const { bytes, crc } = example();
  const table = [
    ["magic", 0, "44465352"],
    ["format", 4, "0100"],
    ["zero", 6, "0000"],
    ["length", 8, "62000000"],
    ["batches", 12, "02000000"],
    ["epoch", 16, "0300000000000000"],
    ["first", 24, "0100000000010000"],
    ["durable", 32, "0000000000010000"],
    ["predecessor", 40, "efbeadde"],
    ["zero", 56, "0000000000000000"],
    ["changes", 64, "02000000"],
    ["key length", 68, "0200"],
    ["value length", 70, "03000000"],
    ["key", 74, "6961"],
    ["value", 76, "6f6e65"],
    ["removed", 79, "0200ffffffffff00"],
    ["second batch", 87, "01000000"],
    ["empty value", 91, "01000000000065"],
  ] as const;
  for (const [label, at, hex] of table) t.is(bytes.toString("hex", at, at + hex.length / 2), hex, label);
  t.is(bytes.readUInt32LE(48), crc);
});

test("a record comes back as it was", (t) => {
  const { bytes, crc } = example();
  const header = decodeHeader(bytes, seed, 1024);
  t.like(header, { length, batches: 2, epoch: 3, first: 2 ** 40 + 1, durable: 2 ** 40, predecessor: 0xdeadbeef, crc });
  t.true(header !== undefined && isIntact(header, bytes));
  t.deepEqual(header === undefined ? [] : [...decodeChanges(header, bytes)], batches.flat());
});

test("at another place, in another file, cut or with any bit flipped it is no record", (t) => {
  const { bytes } = example();
  t.is(decodeHeader(bytes, seed, 1536), undefined);
  t.is(decodeHeader(bytes, seed + 1, 1024), undefined);
  for (let cut = 0; cut < length; cut++) {
    const piece = bytes.subarray(0, cut);
    const header = decodeHeader(piece, seed, 1024);
    t.false(header !== undefined && isIntact(header, piece), String(cut));
  }
  for (let bit = 0; bit < 8 * length; bit++) {
    if (bit >= 8 * 56 && bit < 8 * headerBytes) continue;
    const copy = Buffer.from(bytes);
    copy[bit >> 3] = (copy[bit >> 3] ?? 0) ^ (1 << (bit & 7));
    const header = decodeHeader(copy, seed, 1024);
    t.false(header !== undefined && isIntact(header, copy), `bit ${String(bit)}`);
  }
});

test("a file header comes back as it was, and fails with any bit flipped", (t) => {
  const header = { sequence: 9, epoch: 4, first: 1234, predecessor: 0xcafe };
  const { bytes, seed: crc } = encodeFileHeader(header);
  t.deepEqual(decodeFileHeader(bytes), { header, seed: crc });
  for (let bit = 0; bit < 8 * bytes.length; bit++) {
    const copy = Buffer.from(bytes);
    copy[bit >> 3] = (copy[bit >> 3] ?? 0) ^ (1 << (bit & 7));
    t.is(decodeFileHeader(copy), undefined, `bit ${String(bit)}`);
  }
});

for (const [other, advice] of [
  [1, "start the version that wrote it"],
  [3, "start a newer version"],
] as const)
  test(`a journal of format ${String(other)} is refused by name, not taken for damage`, (t) => {
    const { bytes } = encodeFileHeader({ sequence: 1, epoch: 1, first: 1, predecessor: 0 });
    bytes.writeUInt16LE(other, 4);
    bytes.writeUInt32LE(checksum(bytes.subarray(0, 508)), 508);
    t.throws(() => decodeFileHeader(bytes), { message: new RegExp(`format ${String(other)}.*${advice}`) });
  });
