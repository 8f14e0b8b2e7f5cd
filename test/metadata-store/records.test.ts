import test from "ava";
import { FsError } from "../../src/base/errno.ts";
import type { GroupId, Ino, NodeId, SessionId } from "../../src/base/ids.ts";
import * as records from "../../src/metadata-store/records.ts";

const session = "00112233445566ff" as SessionId;
const node = "ffeeddccbbaa9900" as NodeId;
const big = 2 ** 53 - 1;

interface Codec {
  readonly what: string;
  readonly bytes: Buffer;
  readonly decode: (from: Buffer) => unknown;
  readonly value: unknown;
  /** Ends in text or bytes of any length: a shorter one is another valid record. */
  readonly open?: number;
}

function codec<T>(
  what: string,
  encode: (value: T) => Buffer,
  decode: (from: Buffer) => T,
  value: T,
  open?: number,
): Codec {
  return { what, bytes: encode(value), decode, value, ...(open === undefined ? {} : { open }) };
}

const inode: records.InodeRecord = {
  flags: 5,
  xattrCount: 1_024,
  mode: 0o106755,
  nlink: 65_000,
  uid: 0xffff_fffe,
  gid: 7,
  rdev: 0x801,
  size: big,
  bytesUsed: 2 ** 40 + 1,
  atime: -(2n ** 63n),
  mtime: 2n ** 63n - 1n,
  ctime: -1n,
  btime: 1_700_000_000_123_456_789n,
  parent: 1,
  content: big as Ino,
};
const block = { group: 65_535 as GroupId, number: 2 ** 48 - 1 };

const codecs: Codec[] = [
  codec("inode", records.encodeInode, records.decodeInode, inode),
  codec("entry", records.encodeEntry, records.decodeEntry, { ino: big as Ino, type: 0o140000 }),
  codec<records.ExtentRecord>("inline extent", records.encodeExtent, records.decodeExtent, {
    kind: "inline",
    length: 16_236,
  }),
  codec<records.ExtentRecord>("block extent", records.encodeExtent, records.decodeExtent, {
    kind: "block",
    length: 4 * 1024 * 1024,
    block,
    blockOffset: 123,
  }),
  codec("block", records.encodeBlock, records.decodeBlock, {
    length: 1,
    references: 4e9,
    liveBytes: big,
    owner: big as Ino,
  }),
  codec("pack", records.encodePack, records.decodePack, { contents: [big as Ino, 2 as Ino] }),
  codec("orphan", records.encodeOrphan, records.decodeOrphan, { sessions: [session, "0".repeat(16) as SessionId] }),
  codec<records.ReclaimRecord>("detached", records.encodeReclaim, records.decodeReclaim, {
    kind: "detached",
    content: 9 as Ino,
  }),
  codec<records.ReclaimRecord>("blocks", records.encodeReclaim, records.decodeReclaim, {
    kind: "blocks",
    freed: -5n,
    blocks: [block, { group: 0 as GroupId, number: 0 }],
  }),
  codec("counter", records.encodeCounter, records.decodeCounter, big),
  codec("group", records.encodeGroup, records.decodeGroup, {
    ...{ epoch: 3, nextNumber: 2 ** 48, replicas: 1 },
    ...{ nodes: ["0".repeat(16) as NodeId, node], copying: [node] },
  }),
  codec<records.NodeRecord>(
    "node",
    records.encodeNode,
    records.decodeNode,
    {
      ...{ state: "draining", host: "hôte", port: 65_535, capacityBytes: big, joined: 1n },
      ...{ out: true, hostLabel: "armoire à gauche" },
    },
    22 + 17,
  ),
  codec("range", records.encodeRange, records.decodeRange, { session, count: 9, named: Buffer.from([255, 1]) }),
  codec("session", records.encodeSession, records.decodeSession, { opened: 5n, clientName: "a client" }, 9),
  codec(
    "reply",
    records.encodeReply,
    records.decodeReply,
    { sequence: 2 ** 40, method: "rename", reply: Buffer.from([1, 2, 3]) },
    16,
  ),
  codec<records.ConversionRecord>("file to convert", records.encodeConversion, records.decodeConversion, {
    kind: "file",
    stamp: big,
  }),
  codec<records.ConversionRecord>("tree to convert", records.encodeConversion, records.decodeConversion, {
    ...{ kind: "tree", stamp: 1, cookie: big, replicas: 5 },
  }),
  codec("ahead", records.encodeAhead, records.decodeAhead, {
    ...{ sequence: 2 ** 40, entries: 256, errno: "ENOSPC" },
    ranges: [
      { first: big, count: 4_096, used: Buffer.alloc(0) },
      { first: 2 ** 40, count: 9, used: Buffer.from([255, 1]) },
    ],
  }),
];

for (const { what, bytes, decode, value, open } of codecs) {
  test(`${what}: a record comes back as it was, and a cut or unknown one is EIO`, (t) => {
    t.deepEqual(decode(bytes), value);
    t.true(bytes.length <= 16_300);
    for (let length = 0; length < (open ?? bytes.length); length++) {
      const error = t.throws(
        () => decode(bytes.subarray(0, length)),
        { instanceOf: FsError },
        `length ${String(length)}`,
      );
      t.is(error.errno, "EIO");
    }
    const newer = Buffer.from(bytes);
    newer[0] = 3;
    t.is(t.throws(() => decode(newer), { instanceOf: FsError }).errno, "EIO");
  });
}

test("the hot records have the layout that is documented", (t) => {
  t.is(records.encodeInode(inode).length, 88);
  t.is(records.encodeEntry({ ino: 0x010203 as Ino, type: 0o040000 }).toString("hex"), "01040302010000000000");
  const extent = { kind: "block" as const, length: 1, block: { group: 2 as GroupId, number: 3 }, blockOffset: 4 };
  t.is(records.encodeExtent(extent).toString("hex"), "010101000000020003000000000004000000");
  t.is(
    records.encodeBlock({ length: 1, references: 2, liveBytes: 3, owner: 4 as Ino }).toString("hex"),
    "02010000000200000003000000000000000400000000000000",
  );
});

test("groups and nodes of the format before are read", (t) => {
  t.deepEqual(
    records.decodeGroup(Buffer.from("01020300000000000000070000000000000000000000000000010000000000000002", "hex")),
    {
      ...{ epoch: 3, nextNumber: 7, replicas: 2, copying: [] },
      nodes: ["0000000000000001", "0000000000000002"] as NodeId[],
    },
  );
  t.deepEqual(records.decodeNode(Buffer.from("0101ff1c05000000000000000600000000000000686f7374", "hex")), {
    ...{ state: "draining", host: "host", port: 0x1cff, capacityBytes: 5, joined: 6n },
    ...{ out: false, hostLabel: "" },
  });
});

test("a block record of format 1 is read, and its owner is not known", (t) => {
  const old = Buffer.from("0101000000020000000300000000000000", "hex");
  t.deepEqual(records.decodeBlock(old), { length: 1, references: 2, liveBytes: 3, owner: 0 });
});

test("the largest records are still valid values", (t) => {
  const blocks = Array.from({ length: records.reclaimBlocksMax }, () => block);
  t.true(records.encodeReclaim({ kind: "blocks", freed: 0n, blocks }).length <= 16_300);
  const contents = Array.from({ length: records.packContentsMax }, (_, i) => i as Ino);
  t.true(records.encodePack({ contents }).length <= 16_300);
  t.true(records.encodeXattr(5, Buffer.alloc(records.xattrPieceBytesMax)).length <= 16_300);
  t.true(records.encodeOrphan({ sessions: Array.from({ length: 1_024 }, () => session) }).length <= 16_300);
});

test("a range knows which numbers are named", (t) => {
  const range = records.freshRange(session, 10);
  t.false(records.isNamed(range, 9));
  range.named[1] = 2;
  t.true(records.isNamed(range, 9));
  t.false(records.isExhausted(range));
  range.named.fill(255);
  t.true(records.isExhausted(range));
});

test("numbers that are not exact are an error of the programmer", (t) => {
  t.throws(() => records.encodeCounter(2 ** 53), { message: /exact/ });
  t.throws(() => records.encodeCounter(-1), { message: /exact/ });
  t.throws(() => records.encodeCounter(0.5), { message: /exact/ });
});
