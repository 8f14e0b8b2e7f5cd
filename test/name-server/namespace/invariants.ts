/** Everything that must hold in every committed state: a complete check of a store in memory. Returns what is wrong. */
import { fileType, isDirectory, isRegular, isSymlink } from "../../../src/base/attributes.ts";
import { rootIno, type Ino } from "../../../src/base/ids.ts";
import { entryOfKey, inoOfKey, keys, offsetOfKey, xattrNameOfKey } from "../../../src/metadata-store/keys.ts";
import {
  decodeBlock,
  decodeCounter,
  decodeEntry,
  decodeExtent,
  decodeInode,
  decodeOrphan,
  decodeReclaim,
  decodeXattr,
  inodeFlags,
  type InodeRecord,
} from "../../../src/metadata-store/records.ts";
import { inlineBytesSum, inlineTableBytes } from "../../../src/name-server/namespace/inline-sum.ts";
import type { Key, MetadataReader } from "../../../src/metadata-store/types.ts";

export function violations(store: MetadataReader): string[] {
  const wrong: string[] = [];
  const say = (holds: boolean, message: string): void => {
    if (!holds) wrong.push(message);
  };
  const table = (prefix: string): Iterable<readonly [Key, Buffer]> =>
    store.range({ gte: prefix, lt: String.fromCharCode(prefix.charCodeAt(0) + 1) });

  const inodes = new Map<Ino, InodeRecord>();
  for (const [key, value] of table("i")) inodes.set(inoOfKey(key), decodeInode(value));

  // Names.
  const links = new Map<number, number>();
  const directories = new Map<number, number>();
  const sizes = new Map<number, number>();
  for (const [key, value] of table("d")) {
    const parent = inoOfKey(key);
    const entry = decodeEntry(value);
    const inode = inodes.get(entry.ino);
    const name = entryOfKey(key).name;
    say(inode !== undefined, `${name} names inode ${String(entry.ino)}, which is not there`);
    if (inode === undefined) continue;
    say(entry.type === (inode.mode & fileType.mask), `${name} has another type than its inode`);
    const above = inodes.get(parent);
    say(above !== undefined && isDirectory(above.mode) && above.nlink > 0, `${name} is in no living directory`);
    links.set(entry.ino, (links.get(entry.ino) ?? 0) + 1);
    sizes.set(parent, (sizes.get(parent) ?? 0) + 16 + name.length);
    if (!isDirectory(inode.mode)) continue;
    directories.set(parent, (directories.get(parent) ?? 0) + 1);
    say(inode.parent === parent, `directory ${String(entry.ino)} has another parent than its entry`);
  }

  // Inodes.
  const contents = new Map<number, Ino>();
  for (const [ino, record] of inodes) {
    const at = `inode ${String(ino)}: `;
    const named = links.get(ino) ?? 0;
    const orphan = store.get(keys.orphan(ino));
    if (isDirectory(record.mode)) {
      const living = named === 1 || ino === rootIno;
      say(
        record.nlink === (living ? 2 + (directories.get(ino) ?? 0) : 0),
        `${at}directory nlink ${String(record.nlink)}`,
      );
      say(record.size === (sizes.get(ino) ?? 0), `${at}directory size ${String(record.size)}`);
      if (living) say(reachesRoot(inodes, ino), `${at}not below the root`);
    } else say(record.nlink === named, `${at}nlink ${String(record.nlink)}, named ${String(named)}`);
    say((orphan !== undefined) === (record.nlink === 0), `${at}orphan record and nlink differ`);
    if (orphan !== undefined) say(decodeOrphan(orphan).sessions.length > 0, `${at}an orphan of nobody`);
    say(record.ctime >= record.btime, `${at}changed before its birth`);
    say((store.get(keys.symlink(ino)) !== undefined) === isSymlink(record.mode), `${at}symlink target`);
    if (isRegular(record.mode)) {
      say(!contents.has(record.content), `${at}content of another inode too`);
      contents.set(record.content, ino);
    }
    checkXattrs(store, ino, record, say);
  }
  for (const [key] of table("o")) say(inodes.has(inoOfKey(key)), `orphan ${String(inoOfKey(key))} has no inode`);
  for (const [key] of table("x"))
    say(inodes.has(inoOfKey(key)), `xattr of ${String(inoOfKey(key))}, which is not there`);
  for (const [key] of table("s"))
    say(inodes.has(inoOfKey(key)), `target of ${String(inoOfKey(key))}, which is not there`);
  const counted = store.get(keys.config("inodes"));
  say(counted !== undefined && decodeCounter(counted) === inodes.size, "the count of inodes");

  // Content.
  const detached = new Set<number>();
  const freed = new Set<string>();
  for (const [, value] of table("q")) {
    const record = decodeReclaim(value);
    if (record.kind === "detached") detached.add(record.content);
    else
      for (const { group, number } of record.blocks) {
        const name = `${String(group)}/${String(number)}`;
        say(!freed.has(name), `block ${name} is queued twice`);
        freed.add(name);
      }
  }
  const named = new Map<Key, { references: number; liveBytes: number }>();
  const used = new Map<number, number>();
  const inline = new Set<Key>();
  let lastContent = -1;
  let lastEnd = 0;
  for (const [key, value] of table("e")) {
    const content = inoOfKey(key);
    const offset = offsetOfKey(key);
    const extent = decodeExtent(value);
    const at = `content ${String(content)} at ${String(offset)}: `;
    const ino = contents.get(content);
    say((ino !== undefined) !== detached.has(content), `${at}belongs to a file or to the queue`);
    say(content !== lastContent || offset >= lastEnd, `${at}overlap`);
    lastContent = content;
    lastEnd = offset + extent.length;
    if (ino !== undefined) say(lastEnd <= (inodes.get(ino)?.size ?? 0), `${at}beyond the end`);
    used.set(content, (used.get(content) ?? 0) + extent.length);
    if (extent.kind === "inline") {
      inline.add(keys.inline(content, offset));
      say(store.get(keys.inline(content, offset))?.length === extent.length, `${at}inline bytes`);
      continue;
    }
    const block = keys.block(extent.block);
    const sum = named.get(block) ?? { references: 0, liveBytes: 0 };
    named.set(block, { references: sum.references + 1, liveBytes: sum.liveBytes + extent.length });
    say(!freed.has(`${String(extent.block.group)}/${String(extent.block.number)}`), `${at}names a block to be deleted`);
  }
  for (const [content, ino] of contents) {
    const record = inodes.get(ino);
    say(record?.bytesUsed === (used.get(content) ?? 0), `inode ${String(ino)}: bytesUsed ${String(record?.bytesUsed)}`);
  }
  let inlineSum = 0;
  for (const [key, value] of table("n")) {
    say(inline.has(key), "inline bytes without an extent");
    inlineSum += inlineTableBytes(value.length);
  }
  say(
    inlineSum === inlineBytesSum(store),
    `inline content takes ${String(inlineSum)}, ${String(inlineBytesSum(store))} is kept`,
  );
  for (const [key] of table("p")) say(store.get("b" + key.slice(1)) !== undefined, "a pack record without its block");
  let blocks = 0;
  for (const [key, value] of table("b")) {
    blocks++;
    const record = decodeBlock(value);
    const sum = named.get(key);
    const right = sum?.references === record.references && sum.liveBytes === record.liveBytes;
    say(right, `a block with ${JSON.stringify(record)}, but ${JSON.stringify(sum ?? null)}`);
  }
  say(blocks === named.size, "a block is named without a record");
  return wrong;
}

function reachesRoot(inodes: ReadonlyMap<Ino, InodeRecord>, from: Ino): boolean {
  let ino: number = from;
  for (let steps = 0; steps < 1_000; steps++) {
    if (ino === rootIno) return true;
    ino = inodes.get(ino as Ino)?.parent ?? 0;
  }
  return false;
}

function checkXattrs(
  store: MetadataReader,
  ino: Ino,
  record: InodeRecord,
  say: (holds: boolean, message: string) => void,
): void {
  let keysFound = 0;
  let pieces = 0;
  let flags = record.flags & inodeFlags.linkable;
  for (const [key, value] of store.range({ gte: keys.xattrsFrom(ino), lt: keys.xattrsEnd(ino) })) {
    keysFound++;
    const name = xattrNameOfKey(key);
    if (name === undefined) continue;
    pieces += decodeXattr(value).pieces;
    if (name === "system.posix_acl_access") flags |= inodeFlags.accessAcl;
    if (name === "system.posix_acl_default") flags |= inodeFlags.defaultAcl;
    if (name === "security.capability") flags |= inodeFlags.capability;
  }
  say(
    pieces === record.xattrCount && pieces === keysFound,
    `inode ${String(ino)}: ${String(record.xattrCount)} xattr pieces`,
  );
  say(flags === record.flags, `inode ${String(ino)}: flags`);
}
