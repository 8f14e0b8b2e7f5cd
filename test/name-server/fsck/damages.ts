/** Kinds of damage to the metadata, by what they are, and how each is told. */
import { fileType } from "../../../src/base/attributes.ts";
import { toGroupId, type Ino } from "../../../src/base/ids.ts";
import { keys } from "../../../src/metadata-store/keys.ts";
import {
  decodeBlock,
  decodeInode,
  detachedFirst,
  encodeBlock,
  encodeCounter,
  encodeEntry,
  encodeExtent,
  encodeInode,
  encodeOrphan,
  encodePack,
  encodeRange,
  encodeReclaim,
  encodeXattr,
  freshRange,
  type InodeRecord,
} from "../../../src/metadata-store/records.ts";
import type { Change } from "../../../src/metadata-store/types.ts";
import { n, otherSession, rootIno, session, type CheckedStore } from "./support.ts";

export const gone = 999 as Ino;

interface Damage {
  readonly make: (made: CheckedStore) => Change[];
  readonly text: RegExp;
  readonly path?: RegExp;
}

export function inode({ store }: CheckedStore, ino: Ino, changes: Partial<InodeRecord>): Change {
  const record = decodeInode(store.get(keys.inode(ino)) as Buffer);
  return [keys.inode(ino), encodeInode({ ...record, ...changes })];
}

const entryOf = (ino: Ino, type: number = fileType.regular): Buffer => encodeEntry({ ino, type });

export const damages: Readonly<Record<string, Damage>> = {
  "an entry that names nothing": {
    make: ({ tree }) => [[keys.entry(tree.folder, n("ghost")), entryOf(gone)]],
    text: /names inode 999, which is not there/,
    path: /^\/folder\/ghost$/,
  },
  "an entry under a wrong hash": {
    make: ({ tree }) => [
      [keys.entry(tree.folder, n("small")), null],
      [keys.entry(tree.folder, n("other")).slice(0, 16) + "small", entryOf(tree.small)],
    ],
    text: /filed under a hash/,
    path: /^\/folder\/small$/,
  },
  "an entry of a wrong type": {
    make: ({ tree }) => [[keys.entry(tree.folder, n("small")), entryOf(tree.small, fileType.fifo)]],
    text: /another type/,
    path: /^\/folder\/small$/,
  },
  "entries in a directory that is not there": {
    make: ({ tree }) => [[keys.entry(gone, n("x")), entryOf(tree.small)]],
    text: /in directory 999, which is not there/,
    path: /^\/folder\/small$/,
  },
  "a directory that says it is elsewhere": {
    make: (made) => [inode(made, made.tree.deep, { parent: made.tree.empty })],
    text: /says that it is in directory/,
    path: /^\/folder\/deep$/,
  },
  "a directory with two names": {
    make: ({ tree }) => [[keys.entry(rootIno, n("again")), entryOf(tree.deep, fileType.directory)]],
    text: /has 2 names/,
    path: /^\/again$/,
  },
  "directories below each other": {
    make: (made) => {
      const { folder, deep } = made.tree;
      return [
        [keys.entry(rootIno, n("folder")), null],
        [keys.entry(deep, n("folder")), entryOf(folder, fileType.directory)],
        inode(made, folder, { parent: deep }),
        inode(made, deep, { nlink: 3, size: decodeInode(made.store.get(keys.inode(deep)) as Buffer).size + 22 }),
      ];
    },
    text: /below itself/,
  },
  "a wrong count of links": {
    make: (made) => [inode(made, made.tree.linked, { nlink: 7 })],
    text: /has 7 links, and 2 names/,
    path: /^\/folder\/deep\/two$/,
  },
  "a file that lost its name": {
    make: ({ tree }) => [[keys.entry(tree.folder, n("small")), null]],
    text: /has no name/,
  },
  "a directory that lost its name": {
    make: ({ tree }) => [[keys.entry(tree.folder, n("deep")), null]],
    text: /has no name/,
  },
  "a directory's size and links": {
    make: (made) => [inode(made, made.tree.folder, { size: 1, nlink: 9 })],
    text: /has size 1 and 9 links/,
    path: /^\/folder$/,
  },
  "an empty directory's size": {
    make: (made) => [inode(made, made.tree.empty, { size: 40 })],
    text: /has size 40/,
    path: /^\/empty$/,
  },
  "an inode that nobody has a claim to": {
    make: ({ tree }) => [[keys.orphan(tree.unnamed), null]],
    text: /nobody's claim/,
  },
  "an orphan of a session that has ended": {
    make: ({ tree }) => [[keys.orphan(tree.unnamed), encodeOrphan({ sessions: [otherSession] })]],
    text: /sessions that have ended/,
  },
  "an orphan of nobody": {
    make: ({ tree }) => [[keys.orphan(tree.unnamed), encodeOrphan({ sessions: [] })]],
    text: /kept for nobody/,
  },
  "an orphan record of what is not there": {
    make: () => [[keys.orphan(gone), encodeOrphan({ sessions: [session] })]],
    text: /kept as an orphan, and is not there/,
  },
  "an orphan record of what has a name": {
    make: ({ tree }) => [[keys.orphan(tree.small), encodeOrphan({ sessions: [session] })]],
    text: /kept as an orphan, and has a name/,
    path: /^\/folder\/small$/,
  },
  "an xattr of nothing": {
    make: () => [[keys.xattr(gone, n("user.x")), encodeXattr(1, Buffer.from("y"))]],
    text: /xattrs of inode 999/,
  },
  "a wrong count of xattrs": {
    make: (made) => [inode(made, made.tree.small, { xattrCount: 5 })],
    text: /counts 5 pieces of xattrs/,
    path: /^\/folder\/small$/,
  },
  "xattrs that are said to be there": {
    make: (made) => [inode(made, made.tree.large, { xattrCount: 1 })],
    text: /says it has xattrs/,
    path: /^\/folder\/deep\/large$/,
  },
  "a target of what is no symlink": {
    make: ({ tree }) => [[keys.symlink(tree.small), Buffer.from("x")]],
    text: /which is no symlink/,
  },
  "a wrong count of inodes": {
    make: () => [[keys.config("inodes"), encodeCounter(1)]],
    text: /1 inodes are counted/,
  },
  "inode numbers that would be given again": {
    make: () => [[keys.config("inosReserved"), encodeCounter(3)]],
    text: /handed out from 3 on/,
  },
  "a file shorter than its extents": {
    make: (made) => [inode(made, made.tree.large, { size: 100 })],
    text: /has 100 bytes, and extents up to 17000/,
    path: /^\/folder\/deep\/large$/,
  },
  "a wrong sum of bytes in use": {
    make: (made) => [inode(made, made.tree.large, { bytesUsed: 100 })],
    text: /100 bytes in use, its extents add up to 12000/,
    path: /^\/folder\/deep\/large$/,
  },
  "bytes in use without extents": {
    make: (made) => [inode(made, made.tree.linked, { bytesUsed: 100 })],
    text: /100 bytes in use, and no extents/,
  },
  "a content that is in use and queued": {
    make: ({ tree }) => [
      [keys.reclaim(detachedFirst + tree.large), encodeReclaim({ kind: "detached", content: tree.large })],
    ],
    text: /in use, and is queued/,
    path: /^\/folder\/deep\/large$/,
  },
  "inline bytes without an extent": {
    make: ({ tree }) => [[keys.inline(tree.small, 4_000), Buffer.from("stray")]],
    text: /which no extent names/,
    path: /^\/folder\/small$/,
  },
  "a symlink without target": {
    make: ({ tree }) => [[keys.symlink(tree.symlink), null]],
    text: /symlink without target/,
    path: /^\/folder\/symlink$/,
  },
  "a symlink of a wrong size": {
    make: (made) => [inode(made, made.tree.symlink, { size: 3 })],
    text: /has size 3, its target 9 bytes/,
    path: /^\/folder\/symlink$/,
  },
  "an xattr that lost a piece": {
    make: (made) => [
      [keys.xattr(made.tree.small, n("user.long")), encodeXattr(3, Buffer.from("first"))],
      [keys.xattrPiece(made.tree.small, n("user.long"), 2), Buffer.from("last")],
      inode(made, made.tree.small, { xattrCount: 4 }),
    ],
    text: /pieces of an xattr .* are missing/,
    path: /^\/folder\/small$/,
  },
  "inline bytes that are lost": {
    make: ({ tree }) => [[keys.inline(tree.small, 0), null]],
    text: /inline bytes at 0 are missing/,
    path: /^\/folder\/small$/,
  },
  "inline bytes that are too few": {
    make: ({ tree }) => [[keys.inline(tree.small, 0), Buffer.from("inli")]],
    text: /inline bytes at 0 are 4, not 14/,
    path: /^\/folder\/small$/,
  },
  "an extent that begins within another": {
    make: ({ tree }) => [
      [
        keys.extent(tree.large, 2_000),
        encodeExtent({ kind: "block", length: 100, block: tree.blocks[1] as never, blockOffset: 0 }),
      ],
    ],
    text: /the extent at 2000 overlaps the one before it/,
    path: /^\/folder\/deep\/large$/,
  },
  "an inline extent that reaches into the next": {
    make: (made) => [
      [keys.extent(made.tree.small, 5), encodeExtent({ kind: "inline", length: 20 })],
      [keys.inline(made.tree.small, 5), Buffer.alloc(20, "x")],
      inode(made, made.tree.small, { size: 25, bytesUsed: 34 }),
    ],
    text: /the extent at 5 overlaps the one before it/,
    path: /^\/folder\/small$/,
  },
  "a wrong sum of small content": {
    make: () => [[keys.config("inlineBytes"), encodeCounter(1_000_000)]],
    text: /small content takes 110 bytes, 1000000 are counted/,
  },
  "an empty extent": {
    make: ({ tree }) => [
      [
        keys.extent(tree.large, 8_000),
        encodeExtent({ kind: "block", length: 0, block: tree.blocks[0] as never, blockOffset: 0 }),
      ],
    ],
    text: /the extent at 8000 is empty/,
    path: /^\/folder\/deep\/large$/,
  },
  "a block's account": {
    make: ({ store, tree }) => {
      const key = keys.block(tree.blocks[0] as never);
      const record = decodeBlock(store.get(key) as Buffer);
      return [[key, encodeBlock({ ...record, references: 4, liveBytes: 1 })]];
    },
    text: /counts 4 extents with 1 bytes/,
    path: /^\/folder\/deep\/large$/,
  },
  "a block without a record": {
    make: ({ tree }) => [[keys.block(tree.blocks[1] as never), null]],
    text: /named by 1 extents, and has no record/,
    path: /^\/folder\/deep\/large$/,
  },
  "a pack record of a block that is gone": {
    make: () => [[keys.pack({ group: toGroupId(1), number: 900 }), encodePack({ contents: [gone] })]],
    text: /pack record of block 1\/900 is of a block that nothing names/,
  },
  "a pack record of a block of one file": {
    make: ({ tree }) => [[keys.pack(tree.blocks[0] as never), encodePack({ contents: [tree.large, tree.small] })]],
    text: /is of a block of one content/,
    path: /^\/folder\/deep\/large$/,
  },
  "a pack record that is cut off": {
    make: ({ store, tree }) => {
      const key = keys.block(tree.blocks[0] as never);
      return [
        [key, encodeBlock({ ...decodeBlock(store.get(key) as Buffer), owner: 0 })],
        [keys.pack(tree.blocks[0] as never), encodePack({ contents: [tree.large, tree.small] }).subarray(0, 15)],
      ];
    },
    text: /pack record of block .* has no known form/,
    path: /^\/folder\/deep\/large$/,
  },
  "a named block that is queued for deletion": {
    make: ({ tree }) => [
      [keys.reclaim(77), encodeReclaim({ kind: "blocks", freed: 0n, blocks: [tree.blocks[0] as never] })],
    ],
    text: /queued for deletion, and is named/,
    path: /^\/folder\/deep\/large$/,
  },
  "a number that may be named again": {
    make: ({ tree }) => {
      const { group, number } = tree.blocks[0] as NonNullable<(typeof tree.blocks)[0]>;
      return [[keys.range(group, number), encodeRange(freshRange(session, 1))]];
    },
    text: /may name it again/,
    path: /^\/folder\/deep\/large$/,
  },
  "numbers of a session that has ended": {
    make: ({ tree }) => [
      [
        keys.range((tree.blocks[0] as NonNullable<(typeof tree.blocks)[0]>).group, 500),
        encodeRange(freshRange(otherSession, 8)),
      ],
    ],
    text: /8 block numbers .* which has ended/,
  },
};
