/**
 * What is still to get another number of copies: one value for each file and directory tree. Numbers are byte offsets.
 *
 *   ConversionRecord   0 format  1 kind  2 stamp:8, and for a tree 10 cookie:8  18 replicas  (10 or 19)
 */
import { checkRecord, readU64, writeU64 } from "./record-codec.ts";

const format = 1;
export const conversionKinds = { file: 0, tree: 1 } as const;

export type ConversionRecord =
  /** Blocks of the file that are not in groups with as many copies as its inode says. */
  | { readonly kind: "file"; readonly stamp: number }
  /** Everything in the directory from this readdir cookie on gets so many copies. */
  | { readonly kind: "tree"; readonly stamp: number; readonly cookie: number; readonly replicas: number };

/** `stamp`: tells whether a record was put anew while somebody worked on it. */
export function encodeConversion(record: ConversionRecord): Buffer {
  const out = Buffer.alloc(record.kind === "file" ? 10 : 19);
  out[0] = format;
  out[1] = conversionKinds[record.kind];
  writeU64(out, record.stamp, 2);
  if (record.kind === "tree") {
    writeU64(out, record.cookie, 10);
    out[18] = record.replicas;
  }
  return out;
}

export function decodeConversion(from: Buffer): ConversionRecord {
  const isFile = from[1] === conversionKinds.file;
  checkRecord(from, "conversion", format, isFile ? 10 : 19);
  const stamp = readU64(from, 2);
  if (isFile) return { kind: "file", stamp };
  return { kind: "tree", stamp, cookie: readU64(from, 10), replicas: from.readUInt8(18) };
}
