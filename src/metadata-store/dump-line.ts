/**
 * One record as a line of JSON, for people and for `dfs load`: which table, the fields of the key, then those of the value
 * as records.ts has them. DUMP.md has the fields. What cannot be said so without loss is said in bytes (`raw`), so that
 * every store comes back exactly.
 */
import { FsError } from "../base/errno.ts";
import type { BlockId, GroupId, Ino, NodeId, SessionId } from "../base/ids.ts";
import { nameFromBytes, nameToBytes, type Name } from "../base/name.ts";
import {
  blockOfKey,
  entryOfKey,
  groupOfKey,
  inoOfKey,
  keys,
  nodeOfKey,
  offsetOfKey,
  reclaimSequenceOfKey,
  sessionOfKey,
  xattrNameOfKey,
} from "./keys.ts";
import {
  decodeBlock,
  decodeCounter,
  decodeEntry,
  decodeExtent,
  decodeGroup,
  decodeInode,
  decodeNode,
  decodeOrphan,
  decodePack,
  decodeRange,
  decodeReclaim,
  decodeSession,
  decodeXattr,
  encodeBlock,
  encodeCounter,
  encodeEntry,
  encodeExtent,
  encodeGroup,
  encodeInode,
  encodeNode,
  encodeOrphan,
  encodePack,
  encodeRange,
  encodeReclaim,
  encodeSession,
  encodeXattr,
  type BlockRecord,
  type EntryRecord,
  type ExtentRecord,
  type GroupRecord,
  type InodeRecord,
  type NodeRecord,
  type OrphanRecord,
  type PackRecord,
  type RangeRecord,
  type ReclaimRecord,
  type SessionRecord,
} from "./records.ts";
import type { Key } from "./types.ts";
import { fromJson, toJson, type Fields } from "./dump-json.ts";

/** How a table's keys and values are told. `matches`: which of the keys with this first letter. */
interface Table {
  readonly letter: string;
  readonly matches?: (key: Key) => boolean;
  readonly keyFields: (key: Key) => Fields;
  readonly key: (fields: Fields) => Key;
  readonly fields: (value: Buffer) => Fields;
  readonly value: (fields: Fields) => Buffer;
}

const inos = (key: Key): Fields => ({ ino: inoOfKey(key) });
const places = (key: Key): Fields => ({ content: inoOfKey(key), offset: offsetOfKey(key) });
const ino = (fields: Fields): Ino => fields["ino"] as Ino;
const bytes = (value: Buffer): Fields => ({ bytes: value });
const ofBytes = (fields: Fields): Buffer => fields["bytes"] as Buffer;
const nameOf = (fields: Fields): Name => nameFromBytes(fields["name"] as Buffer);

/** A table whose values are records. The decoder checks what it is given; `lineOf` the encoder. */
function record<T>(
  letter: string,
  key: Pick<Table, "keyFields" | "key" | "matches">,
  decode: (value: Buffer) => T,
  encode: (record: T) => Buffer,
): Table {
  return {
    letter,
    ...key,
    fields: (value) => ({ ...decode(value) }) as Fields,
    value: (fields) => encode(fields as T),
  };
}

const configName = (key: Key): Fields => ({ name: Buffer.from(key.slice(1), "latin1") });
const config = {
  keyFields: configName,
  key: (fields: Fields): Key => keys.config((fields["name"] as Buffer).toString("latin1")),
};
const isName = (key: Key): boolean => xattrNameOfKey(key) !== undefined;
const pieceOf = (key: Key): Fields => {
  const end = key.indexOf("\0", 9);
  return { ino: inoOfKey(key), name: Buffer.from(key.slice(9, end), "latin1"), piece: key.charCodeAt(end + 1) };
};

const tables = {
  counter: record<{ count: number }>(
    "c",
    config,
    (value) => ({ count: decodeCounter(value) }),
    ({ count }) => encodeCounter(count),
  ),
  config: { letter: "c", ...config, fields: bytes, value: ofBytes },
  inode: record<InodeRecord>("i", { keyFields: inos, key: (f) => keys.inode(ino(f)) }, decodeInode, encodeInode),
  entry: record<EntryRecord>(
    "d",
    {
      keyFields: (key) => ({ parent: inoOfKey(key), name: nameToBytes(entryOfKey(key).name) }),
      key: (f) => keys.entry(f["parent"] as Ino, nameOf(f)),
    },
    decodeEntry,
    encodeEntry,
  ),
  extent: record<ExtentRecord>(
    "e",
    { keyFields: places, key: (f) => keys.extent(f["content"] as Ino, f["offset"] as number) },
    decodeExtent,
    encodeExtent,
  ),
  inline: {
    letter: "n",
    keyFields: places,
    key: (f) => keys.inline(f["content"] as Ino, f["offset"] as number),
    fields: bytes,
    value: ofBytes,
  },
  xattr: record<{ pieces: number; first: Buffer }>(
    "x",
    {
      matches: isName,
      keyFields: (key) => ({ ino: inoOfKey(key), name: Buffer.from(key.slice(9), "latin1") }),
      key: (f) => keys.xattr(ino(f), nameOf(f)),
    },
    decodeXattr,
    ({ pieces, first }) => encodeXattr(pieces, first),
  ),
  xattrPiece: {
    letter: "x",
    matches: (key) => !isName(key),
    keyFields: pieceOf,
    key: (f) => keys.xattrPiece(ino(f), nameOf(f), f["piece"] as number),
    fields: bytes,
    value: ofBytes,
  },
  symlink: {
    letter: "s",
    keyFields: inos,
    key: (f) => keys.symlink(ino(f)),
    fields: (target) => ({ target }),
    value: (f) => f["target"] as Buffer,
  },
  block: record<BlockRecord>(
    "b",
    { keyFields: (key) => ({ ...blockOfKey(key) }), key: (f) => keys.block(f as unknown as BlockId) },
    decodeBlock,
    encodeBlock,
  ),
  pack: record<PackRecord>(
    "p",
    { keyFields: (key) => ({ ...blockOfKey(key) }), key: (f) => keys.pack(f as unknown as BlockId) },
    decodePack,
    encodePack,
  ),
  group: record<GroupRecord>(
    "g",
    { keyFields: (key) => ({ group: groupOfKey(key) }), key: (f) => keys.group(f["group"] as GroupId) },
    decodeGroup,
    encodeGroup,
  ),
  node: record<NodeRecord>(
    "N",
    { keyFields: (key) => ({ node: nodeOfKey(key) }), key: (f) => keys.node(f["node"] as NodeId) },
    decodeNode,
    encodeNode,
  ),
  orphan: record<OrphanRecord>("o", { keyFields: inos, key: (f) => keys.orphan(ino(f)) }, decodeOrphan, encodeOrphan),
  reclaim: record<ReclaimRecord>(
    "q",
    {
      keyFields: (key) => ({ sequence: reclaimSequenceOfKey(key) }),
      key: (f) => keys.reclaim(f["sequence"] as number),
    },
    decodeReclaim,
    encodeReclaim,
  ),
  range: record<RangeRecord>(
    "r",
    {
      keyFields: (key) => ({ group: groupOfKey(key), first: blockOfKey(key).number }),
      key: (f) => keys.range(f["group"] as GroupId, f["first"] as number),
    },
    decodeRange,
    encodeRange,
  ),
  session: record<SessionRecord>(
    "S",
    { keyFields: (key) => ({ session: sessionOfKey(key) }), key: (f) => keys.session(f["session"] as SessionId) },
    decodeSession,
    encodeSession,
  ),
  raw: {
    letter: "",
    keyFields: (key) => ({ key: Buffer.from(key, "latin1") }),
    key: (f) => (f["key"] as Buffer).toString("latin1"),
    fields: bytes,
    value: ofBytes,
  },
} as const satisfies Record<string, Table>;

const all = Object.entries<Table>(tables);

/** Without its line feed. */
export function lineOf(key: Key, value: Buffer): string {
  for (const [table, how] of all) {
    if (how.letter !== "" && how.letter !== key[0]) continue;
    if (how.matches?.(key) === false) continue;
    const told = attempt(() => {
      const json = toJson({ ...how.keyFields(key), ...how.fields(value) });
      const [backKey, backValue] = readFields(how, fromJson(json));
      return backKey === key && backValue.equals(value) ? JSON.stringify({ table, ...json }) : undefined;
    });
    if (told !== undefined) return told;
  }
  throw new FsError("EIO", "a record that cannot be told");
}

/** The record of a line exactly as `lineOf` writes it. Throws EINVAL for any other. */
export function recordOf(line: string): readonly [Key, Buffer] {
  const found = attempt(() => {
    const { table, ...rest } = JSON.parse(line) as { table: string };
    const how: Table | undefined = Object.hasOwn(tables, table) ? tables[table as keyof typeof tables] : undefined;
    return how === undefined ? undefined : readFields(how, fromJson(rest));
  });
  if (found === undefined || lineOf(...found) !== line) throw new FsError("EINVAL", "not a line that dfs dump writes");
  return found;
}

/** For the manifest: the table of a line. */
export function tableOf(line: string): string {
  return /^\{"table":"([a-zA-Z]+)"/.exec(line)?.[1] ?? "raw";
}

function readFields(how: Table, fields: Fields): readonly [Key, Buffer] {
  return [how.key(fields), how.value(fields)];
}

function attempt<T>(run: () => T): T | undefined {
  try {
    return run();
  } catch {
    return undefined;
  }
}
