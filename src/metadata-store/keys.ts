/**
 * Keys of the metadata store. Numbers are big endian, so that keys sort as their numbers do; names are their bytes.
 *
 *   table           key                                              value (records.ts)
 *   config          'c' name                                         by name: cluster id, counters, format
 *   inode           'i' ino:8                                        InodeRecord
 *   directory entry 'd' parent:8 hash:7 name                         EntryRecord; the hash is the readdir cookie
 *   extent          'e' content:8 offset:8                           ExtentRecord; content as in the InodeRecord
 *   inline content  'n' content:8 offset:8                           the bytes of an inline extent
 *   xattr           'x' ino:8 name                                   XattrRecord: the first piece of the value
 *   xattr piece     'x' ino:8 name 0 piece:1                         the further pieces of a long value
 *   symlink         's' ino:8                                        the target
 *   block           'b' group:2 number:6                             BlockRecord: owner, references, length, live bytes
 *   pack            'p' group:2 number:6                             PackRecord: of a block that was put together from several
 *   group           'g' group:2                                      GroupRecord
 *   node            'N' node:8                                       NodeRecord
 *   orphan          'o' ino:8                                        OrphanRecord: sessions that may still use it
 *   reclaim queue   'q' sequence:8                                   ReclaimRecord: a block to delete, or detached extents
 *   range           'r' group:2 first:6                              RangeRecord: block numbers handed to a session
 *   conversion      'w' kind:1 ino:8                                 ConversionRecord: content to get another number of copies
 *   session         'S' session:8                                    SessionRecord
 *   reply           'R' session:8 slot:1                             ReplyRecord: the last reply of that slot
 *   ahead log       'R' session:8 255                                AheadRecord: how far the session's ahead log is
 *   user, quota     'u', 'Q'                                         (reserved for a later issue)
 */
import { assert } from "../base/assert.ts";
import type { BlockId, GroupId, Ino, NodeId, SessionId } from "../base/ids.ts";
import type { Name } from "../base/name.ts";
import type { Key } from "./types.ts";

export const keys = {
  config: (name: string): Key => "c" + name,
  inode: (ino: Ino): Key => "i" + u64(ino),
  entry: (parent: Ino, name: Name): Key => "d" + u64(parent) + u56(nameHash(name)) + name,
  /** Below all entries of the directory whose hash is greater than or equal to `hash`. */
  entriesFrom: (parent: Ino, hash: number): Key => "d" + u64(parent) + u56(hash),
  entriesEnd: (parent: Ino): Key => "d" + u64(parent + 1),
  extent: (ino: Ino, offset: number): Key => "e" + u64(ino) + u64(offset),
  extentsEnd: (ino: Ino): Key => "e" + u64(ino + 1),
  allExtentsEnd: "f" as Key,
  inline: (ino: Ino, offset: number): Key => "n" + u64(ino) + u64(offset),
  xattr: (ino: Ino, name: Name): Key => "x" + u64(ino) + name,
  /** A name has no NUL, so the pieces of a value come directly after it, before the next name. */
  xattrPiece: (ino: Ino, name: Name, piece: number): Key => "x" + u64(ino) + name + "\0" + chr(piece),
  xattrsFrom: (ino: Ino): Key => "x" + u64(ino),
  xattrsEnd: (ino: Ino): Key => "x" + u64(ino + 1),
  symlink: (ino: Ino): Key => "s" + u64(ino),
  block: (block: BlockId): Key => "b" + u16(block.group) + u48(block.number),
  blocksEnd: "c" as Key,
  pack: (block: BlockId): Key => "p" + u16(block.group) + u48(block.number),
  group: (group: GroupId): Key => "g" + u16(group),
  node: (node: NodeId): Key => "N" + hex(node),
  orphan: (ino: Ino): Key => "o" + u64(ino),
  orphansEnd: "p" as Key,
  reclaim: (sequence: number): Key => "q" + u64(sequence),
  reclaimEnd: "r" as Key,
  range: (group: GroupId, first: number): Key => "r" + u16(group) + u48(first),
  rangesFrom: "r" as Key,
  rangesEnd: "s" as Key,
  /** Files before trees. */
  conversion: (kind: "file" | "tree", ino: Ino): Key => "w" + chr(kind === "file" ? 0 : 1) + u64(ino),
  conversionsFrom: (kind: "file" | "tree"): Key => "w" + chr(kind === "file" ? 0 : 1),
  conversionsEnd: "x" as Key,
  session: (session: SessionId): Key => "S" + hex(session),
  reply: (session: SessionId, slot: number): Key => "R" + hex(session) + String.fromCharCode(slot),
  /** Behind all replies, and removed with them. */
  ahead: (session: SessionId): Key => "R" + hex(session) + "\u00ff",
  repliesEnd: (session: SessionId): Key => "R" + hex(session) + "\u00ff\0",
} as const;

/** Offset (the last field) of an extent or inline key. */
export function offsetOfKey(key: Key): number {
  return readU64(key, 9);
}

export function inoOfKey(key: Key): Ino {
  return readU64(key, 1) as Ino;
}

/** The name in a directory entry's key, and its hash. */
export function entryOfKey(key: Key): { hash: number; name: Name } {
  let hash = 0;
  for (let i = 9; i < 16; i++) hash = hash * 256 + key.charCodeAt(i);
  return { hash, name: key.slice(16) as Name };
}

/** Undefined for the key of a further piece. */
export function xattrNameOfKey(key: Key): Name | undefined {
  return key.includes("\0", 9) ? undefined : (key.slice(9) as Name);
}

/** Group and first number of a range key; group and number of a block key. */
export function blockOfKey(key: Key): BlockId {
  const group = key.charCodeAt(1) * 256 + key.charCodeAt(2);
  let number = 0;
  for (let i = 3; i < 9; i++) number = number * 256 + key.charCodeAt(i);
  return { group: group as GroupId, number };
}

export function inoOfConversionKey(key: Key): Ino {
  return readU64(key, 2) as Ino;
}

export function groupOfKey(key: Key): GroupId {
  return (key.charCodeAt(1) * 256 + key.charCodeAt(2)) as GroupId;
}

export function nodeOfKey(key: Key): NodeId {
  return Buffer.from(key.slice(1), "latin1").toString("hex") as NodeId;
}

export function sessionOfKey(key: Key): SessionId {
  return Buffer.from(key.slice(1, 9), "latin1").toString("hex") as SessionId;
}

export function reclaimSequenceOfKey(key: Key): number {
  return readU64(key, 1);
}

/**
 * 52 bits of a name, at least `firstCookie`: where readdir goes on. Below 2^53, so that a cookie stays an exact number
 * everywhere. (cyrb53's mixing over bytes.)
 */
function nameHash(name: Name): number {
  let h1 = 0xdeadbeef;
  let h2 = 0x41c6ce57;
  for (let i = 0; i < name.length; i++) {
    const byte = name.charCodeAt(i);
    h1 = Math.imul(h1 ^ byte, 2654435761);
    h2 = Math.imul(h2 ^ byte, 1597334677);
  }
  h1 = Math.imul(h1 ^ (h1 >>> 16), 2246822507) ^ Math.imul(h2 ^ (h2 >>> 13), 3266489909);
  h2 = Math.imul(h2 ^ (h2 >>> 16), 2246822507) ^ Math.imul(h1 ^ (h1 >>> 13), 3266489909);
  return (h2 & 0xfffff) * 2 ** 32 + (h1 >>> 0) + firstCookie;
}
/** Smaller cookies are free for `.` and `..`. */
const firstCookie = 16;

const chr = String.fromCharCode;

function u16(value: number): string {
  return chr((value >>> 8) & 0xff, value & 0xff);
}
function u32(value: number): string {
  return chr((value >>> 24) & 0xff, (value >>> 16) & 0xff, (value >>> 8) & 0xff, value & 0xff);
}
function u48(value: number): string {
  assert(value >= 0 && value < 2 ** 48, "not 48 bits");
  return u16(Math.floor(value / 2 ** 32)) + u32(value >>> 0);
}
function u56(value: number): string {
  const high = Math.floor(value / 2 ** 32);
  return chr((high >>> 16) & 0xff, (high >>> 8) & 0xff, high & 0xff) + u32(value >>> 0);
}
function u64(value: number): string {
  return u32(Math.floor(value / 2 ** 32)) + u32(value >>> 0);
}
function readU64(key: Key, at: number): number {
  let value = 0;
  for (let i = at; i < at + 8; i++) value = value * 256 + key.charCodeAt(i);
  return value;
}
function hex(id: string): string {
  return Buffer.from(id, "hex").toString("latin1");
}
