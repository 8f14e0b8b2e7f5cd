/**
 * Values of the metadata store that describe files. (block-records.ts has those of blocks, cluster-records.ts those of nodes
 * and sessions, ahead-record.ts that of ahead logs; all are re-exported here.) Each codec is the only place that knows its layout; numbers in the tables are byte offsets.
 *
 *   InodeRecord   0 format  1 flags  2 xattrCount:2  4 mode:4  8 nlink:4  12 uid:4  16 gid:4  20 rdev:4  24 size:8
 *                 32 bytesUsed:8  40 atime:8  48 mtime:8  56 ctime:8  64 btime:8  72 parent:8  80 content:8  (88)
 *   EntryRecord   0 format  1 type  2 ino:8  (10)
 *   ExtentRecord  0 format  1 kind  2 length:4, and for a block 6 group:2  8 number:6  14 blockOffset:4  (6 or 18)
 *   XattrRecord   0 format  1 pieces  2 bytes of the value (at most 16,000; the other pieces are bytes alone)
 *   OrphanRecord  0 format  1 count:2  3 session:8 ...
 *   ReclaimRecord 0 format  1 kind, then detached: 2 content:8  (10), or blocks: 2 freed:8  10 count:2  12 (group:2 number:6) ...
 *   counter       0 format  1 value:8  (9)
 */
import type { Nanos } from "../base/attributes.ts";
import type { BlockId, GroupId, Ino, SessionId } from "../base/ids.ts";
import {
  checkLength,
  checkRecord,
  readHex,
  readNanos,
  readU48,
  readU64,
  writeHex,
  writeNanos,
  writeU48,
  writeU64,
} from "./record-codec.ts";

export * from "./ahead-record.ts";
export * from "./block-records.ts";
export * from "./cluster-records.ts";
export * from "./conversion-record.ts";

const format = 1;

/**
 * Which special xattrs an inode has, so that the common inode without them costs no look; and whether it was made
 * without a name (O_TMPFILE) and may still get one.
 */
export const inodeFlags = { accessAcl: 1, defaultAcl: 2, capability: 4, linkable: 8 } as const;
/** Those that tell of an extended attribute. */
export const inodeXattrsMask = inodeFlags.accessAcl | inodeFlags.defaultAcl | inodeFlags.capability;

/** Three bits of the flags: how many copies the blocks of a file are to have, or of what is made in a directory; 0: default. */
const replicasShift = 4;
export const inodeReplicasMask = 7 << replicasShift;

/** Undefined: as many as the cluster has by default. */
export function replicasOfInode({ flags }: Pick<InodeRecord, "flags">): number | undefined {
  const replicas = (flags & inodeReplicasMask) >>> replicasShift;
  return replicas === 0 ? undefined : replicas;
}

export function withReplicas(record: InodeRecord, replicas: number): InodeRecord {
  return { ...record, flags: (record.flags & ~inodeReplicasMask) | (replicas << replicasShift) };
}

export interface InodeRecord {
  /** `inodeFlags` and `inodeReplicasMask`. */
  readonly flags: number;
  readonly xattrCount: number;
  readonly mode: number;
  readonly nlink: number;
  readonly uid: number;
  readonly gid: number;
  readonly rdev: number;
  /** Bytes; of a directory: the bytes of its entries (16 and the name each). */
  readonly size: number;
  /** Sum of the lengths of the file's extents. */
  readonly bytesUsed: number;
  readonly atime: Nanos;
  readonly mtime: Nanos;
  readonly ctime: Nanos;
  readonly btime: Nanos;
  /** The directory that holds a directory (the root: itself); 0 for everything else. */
  readonly parent: number;
  /** Under which number extents and inline content are kept: the ino, until a large truncation gives a fresh one. */
  readonly content: Ino;
}

export function encodeInode(record: InodeRecord): Buffer {
  const out = Buffer.allocUnsafe(88);
  out[0] = format;
  out[1] = record.flags;
  out.writeUInt16LE(record.xattrCount, 2);
  out.writeUInt32LE(record.mode, 4);
  out.writeUInt32LE(record.nlink, 8);
  out.writeUInt32LE(record.uid, 12);
  out.writeUInt32LE(record.gid, 16);
  out.writeUInt32LE(record.rdev, 20);
  writeU64(out, record.size, 24);
  writeU64(out, record.bytesUsed, 32);
  writeNanos(out, record.atime, 40);
  writeNanos(out, record.mtime, 48);
  writeNanos(out, record.ctime, 56);
  writeNanos(out, record.btime, 64);
  writeU64(out, record.parent, 72);
  writeU64(out, record.content, 80);
  return out;
}

export function decodeInode(from: Buffer): InodeRecord {
  checkRecord(from, "inode", format, 88);
  return {
    flags: from.readUInt8(1),
    xattrCount: from.readUInt16LE(2),
    mode: from.readUInt32LE(4),
    nlink: from.readUInt32LE(8),
    uid: from.readUInt32LE(12),
    gid: from.readUInt32LE(16),
    rdev: from.readUInt32LE(20),
    size: readU64(from, 24),
    bytesUsed: readU64(from, 32),
    atime: readNanos(from, 40),
    mtime: readNanos(from, 48),
    ctime: readNanos(from, 56),
    btime: readNanos(from, 64),
    parent: readU64(from, 72),
    content: readU64(from, 80) as Ino,
  };
}

export interface EntryRecord {
  readonly ino: Ino;
  /** `mode & fileType.mask`. */
  readonly type: number;
}

export function encodeEntry(record: EntryRecord): Buffer {
  const out = Buffer.allocUnsafe(10);
  out[0] = format;
  out[1] = record.type >>> 12;
  writeU64(out, record.ino, 2);
  return out;
}

export function decodeEntry(from: Buffer): EntryRecord {
  checkRecord(from, "directory entry", format, 10);
  return { type: from.readUInt8(1) << 12, ino: readU64(from, 2) as Ino };
}

/** The offset is in the key, the bytes of an inline extent under `keys.inline`. */
export type ExtentRecord =
  | { readonly kind: "inline"; readonly length: number }
  | { readonly kind: "block"; readonly length: number; readonly block: BlockId; readonly blockOffset: number };

const extentKinds = { inline: 0, block: 1 } as const;

export function encodeExtent(record: ExtentRecord): Buffer {
  const out = Buffer.allocUnsafe(record.kind === "inline" ? 6 : 18);
  out[0] = format;
  out[1] = extentKinds[record.kind];
  out.writeUInt32LE(record.length, 2);
  if (record.kind === "block") {
    out.writeUInt16LE(record.block.group, 6);
    writeU48(out, record.block.number, 8);
    out.writeUInt32LE(record.blockOffset, 14);
  }
  return out;
}

export function decodeExtent(from: Buffer): ExtentRecord {
  checkRecord(from, "extent", format, 6);
  const length = from.readUInt32LE(2);
  if (from[1] === extentKinds.inline) return { kind: "inline", length };
  checkLength(from, "extent", 18);
  const block = { group: from.readUInt16LE(6) as GroupId, number: readU48(from, 8) };
  return { kind: "block", length, block, blockOffset: from.readUInt32LE(14) };
}

/** Bytes of an xattr value in one key; with its header the piece stays a valid value. */
export const xattrPieceBytesMax = 16_000;

/** The first piece of a value that has `pieces` of them (itself included). */
export function encodeXattr(pieces: number, first: Buffer): Buffer {
  const out = Buffer.allocUnsafe(2 + first.length);
  out[0] = format;
  out[1] = pieces;
  first.copy(out, 2);
  return out;
}

/** `first` is a view of `from`. */
export function decodeXattr(from: Buffer): { pieces: number; first: Buffer } {
  checkRecord(from, "xattr", format, 2);
  return { pieces: from.readUInt8(1), first: from.subarray(2) };
}

/** The sessions that may still use an inode without a name. */
export interface OrphanRecord {
  readonly sessions: readonly SessionId[];
}

export function encodeOrphan(record: OrphanRecord): Buffer {
  const out = Buffer.allocUnsafe(3 + record.sessions.length * 8);
  out[0] = format;
  out.writeUInt16LE(record.sessions.length, 1);
  record.sessions.forEach((session, i) => {
    writeHex(out, session, 3 + i * 8);
  });
  return out;
}

export function decodeOrphan(from: Buffer): OrphanRecord {
  checkRecord(from, "orphan", format, 3);
  const count = from.readUInt16LE(1);
  checkLength(from, "orphan", 3 + count * 8);
  return { sessions: Array.from({ length: count }, (_, i) => readHex(from, 3 + i * 8) as SessionId) };
}

/**
 * The reclaim queue is two: blocks in order of their time below this sequence, detached contents from it on (the
 * sequence is `detachedFirst` + content, so that nothing is queued twice).
 */
export const detachedFirst = 2 ** 52;

export type ReclaimRecord =
  /** Everything under `content` belongs to no file any more: its blocks are to be dereferenced. */
  | { readonly kind: "detached"; readonly content: Ino }
  /** Since `freed` no extent names these blocks: to be deleted from their nodes once the grace time has passed. */
  | { readonly kind: "blocks"; readonly freed: Nanos; readonly blocks: readonly BlockId[] };

/** Blocks in one ReclaimRecord, so that it stays a valid value. */
export const reclaimBlocksMax = 2_000;
const reclaimKinds = { detached: 0, blocks: 1 } as const;

export function encodeReclaim(record: ReclaimRecord): Buffer {
  const detached = record.kind === "detached";
  const out = Buffer.allocUnsafe(detached ? 10 : 12 + record.blocks.length * 8);
  out[0] = format;
  out[1] = reclaimKinds[record.kind];
  if (detached) {
    writeU64(out, record.content, 2);
    return out;
  }
  writeNanos(out, record.freed, 2);
  out.writeUInt16LE(record.blocks.length, 10);
  record.blocks.forEach((block, i) => {
    out.writeUInt16LE(block.group, 12 + i * 8);
    writeU48(out, block.number, 14 + i * 8);
  });
  return out;
}

export function decodeReclaim(from: Buffer): ReclaimRecord {
  checkRecord(from, "reclaim", format, 10);
  if (from[1] === reclaimKinds.detached) return { kind: "detached", content: readU64(from, 2) as Ino };
  checkRecord(from, "reclaim", format, 12);
  const count = from.readUInt16LE(10);
  checkLength(from, "reclaim", 12 + count * 8);
  const blocks = Array.from({ length: count }, (_, i) => ({
    group: from.readUInt16LE(12 + i * 8) as GroupId,
    number: readU48(from, 14 + i * 8),
  }));
  return { kind: "blocks", freed: readNanos(from, 2), blocks };
}

/** Whole numbers under `keys.config(name)`. */
export function encodeCounter(value: number): Buffer {
  const out = Buffer.allocUnsafe(9);
  out[0] = format;
  writeU64(out, value, 1);
  return out;
}

export function decodeCounter(from: Buffer): number {
  checkRecord(from, "counter", format, 9);
  return readU64(from, 1);
}
