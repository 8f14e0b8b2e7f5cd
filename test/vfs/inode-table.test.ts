/** Answers that a change has overtaken: what they say of the inode is not taken. */
import test from "ava";
import type { Attributes } from "../../src/base/attributes.ts";
import { toIno } from "../../src/base/ids.ts";
import { createInodeTable, type InodeTable } from "../../src/vfs/inode-table.ts";
import type { Inode } from "../../src/vfs/inode.ts";

const before: Attributes = {
  ...{ ino: toIno(2), mode: 0o100644, nlink: 1, uid: 0, gid: 0, rdev: 0, size: 100, blocks: 8, hasXattrs: false },
  ...{ atime: 10n, mtime: 20n, ctime: 20n, btime: 5n },
};
/** A flush keeps the ctime of a change before it. */
const flushed = { ...before, size: 5_000 };

interface Scene {
  readonly inodes: InodeTable;
  readonly inode: Inode;
  readonly moment: () => number;
}

/** `trusted`: whether what is known may be believed, as with a lease. */
function start(trusted: boolean): Scene {
  let moment = 1;
  const inodes = createInodeTable({
    coherence: { nextMoment: () => ++moment, trusts: () => trusted, holds: () => trusted } as never,
    ...{ attributesMax: 100, foreseenMax: 100, unused: () => undefined, gone: () => undefined },
  });
  return { inodes, inode: inodes.enter(before, moment), moment: () => moment };
}

for (const trusted of [true, false]) {
  const how = trusted ? "with a lease" : "without a lease";

  test(`an answer from before a flush does not take its size back, ${how}`, (t) => {
    for (const take of ["enter", "update", "foresee"] as const) {
      const { inodes, inode, moment } = start(trusted);
      const since = moment();
      inodes.changed(flushed, moment());
      inodes[take](before, since);
      t.is(inode.attributes?.size, 5_000, take);
      t.true(inode.learnedAt >= inode.staleAt || !trusted, "what is known is believed as before");
    }
  });

  test(`nor when the flush's answer is older than a change that ran ahead, ${how}`, (t) => {
    const { inodes, inode, moment } = start(trusted);
    inodes.changedHere(inode, { ...before, nlink: 2, ctime: 30n });
    const since = moment();
    // As its owner does: what the flush tells of the size is kept all the same.
    inodes.changed(flushed, moment());
    t.true(inode.learnedAt >= inode.staleAt || !trusted, "what is known is believed as before");
    inode.attributes = { ...before, nlink: 2, ctime: 30n, size: 5_000 };
    inodes.update({ ...before, nlink: 2, ctime: 30n }, since);
    t.is(inode.attributes.size, 5_000);
  });
}

test("nor does an answer from before something else's change take back what was asked for since", (t) => {
  const { inodes, inode, moment } = start(false);
  const since = moment();
  inodes.markStale(inode);
  inodes.update(flushed, moment());
  inodes.update(before, since);
  t.is(inode.attributes?.size, 5_000);
});

test("an answer that was asked for later is taken, also with the same ctime", (t) => {
  const { inodes, inode, moment } = start(false);
  inodes.markStale(inode);
  inodes.update(flushed, moment());
  t.is(inode.attributes?.size, 5_000);
});

test("an answer that something else has made doubtful is taken: nothing newer is known", (t) => {
  const { inodes, inode, moment } = start(false);
  const since = moment();
  inodes.markStale(inode);
  inodes.update(flushed, since);
  t.is(inode.attributes?.size, 5_000);
});
