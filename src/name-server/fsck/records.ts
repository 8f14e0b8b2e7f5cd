/** Records of a pinned state, decoded; one that cannot be decoded is as good as none, and is reported where it is met. */
import { isRegular } from "../../base/attributes.ts";
import type { Ino } from "../../base/ids.ts";
import { keys } from "../../metadata-store/keys.ts";
import { decodeInode, encodeInode, type InodeRecord } from "../../metadata-store/records.ts";
import type { Key } from "../../metadata-store/types.ts";
import { keyText } from "../../metadata-store/value-checksum.ts";
import type { Check } from "./types.ts";

interface Reader {
  get(key: Key): Buffer | undefined;
}

export function inodeOf(reader: Reader, ino: Ino): InodeRecord | undefined {
  const value = reader.get(keys.inode(ino));
  return value === undefined ? undefined : attempt(() => decodeInode(value));
}

/** Reports what cannot be decoded, naming the key. */
export function decoded<T>({ report }: Pick<Check, "report">, key: Key, decode: () => T): T | undefined {
  const record = attempt(decode);
  if (record === undefined) report({ text: `the record ${keyText(key)} has no known form`, about: { kind: "none" } });
  return record;
}

/** Whether the living inode is still as it was found, but for its access time. */
export function isUnchanged(reader: Reader, ino: Ino, found: InodeRecord): boolean {
  const now = inodeOf(reader, ino);
  return now !== undefined && encodeInode({ ...now, atime: found.atime }).equals(encodeInode(found));
}

/** Whether this inode's extents are kept under this number. */
export function ownsContent(record: InodeRecord | undefined, content: Ino): record is InodeRecord {
  return record !== undefined && isRegular(record.mode) && record.content === content;
}

function attempt<T>(decode: () => T): T | undefined {
  try {
    return decode();
  } catch {
    return undefined;
  }
}
