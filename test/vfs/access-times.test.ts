/** Storing an access time, with other changes of the inode meanwhile. */
import test from "ava";
import type { Attributes, Nanos } from "../../src/base/attributes.ts";
import { toIno } from "../../src/base/ids.ts";
import { limits } from "../../src/base/limits.ts";
import { silentLog } from "../../src/base/log.ts";
import { createAccessTimes } from "../../src/vfs/access-times.ts";
import { createBackground } from "../../src/vfs/background.ts";
import { createInodeTable, type InodeTable } from "../../src/vfs/inode-table.ts";
import { newInode, type Inode } from "../../src/vfs/inode.ts";
import { visibleAttributes } from "../../src/vfs/visible-attributes.ts";
import { ManualClock } from "./mount.ts";

const readAt = 100n;
const attributes: Attributes = {
  ...{ ino: toIno(5), mode: 0o100644, nlink: 1, uid: 0, gid: 0, rdev: 0, size: 1, blocks: 8, hasXattrs: false },
  ...{ atime: 10n, mtime: 20n, ctime: 20n, btime: 5n },
};

interface Scene {
  readonly inode: Inode;
  readonly inodes: InodeTable;
  readonly moment: () => number;
  readonly drop: () => void;
}

/** Read at `readAt`, `meanwhile` happens before the server's answer, `afterwards` behind it; what is shown then. */
async function shownAfter(
  meanwhile: (scene: Scene) => void,
  afterwards: (scene: Scene) => void = () => undefined,
): Promise<Nanos> {
  let moment = 1;
  const inodes = createInodeTable({
    coherence: { nextMoment: () => ++moment, trusts: () => true, holds: () => true } as never,
    ...{ attributesMax: 100, foreseenMax: 100, unused: () => undefined, gone: () => undefined },
  });
  const inode = inodes.enter(attributes, moment);
  let answer: (reply: object) => void = () => undefined;
  const nameServer = {
    nowNanos: () => readAt,
    change: () =>
      new Promise((resolve) => {
        answer = resolve;
      }),
  };
  const times = createAccessTimes({
    nameServer: nameServer as never,
    inodes: () => inodes,
    ...{ clock: new ManualClock(), background: createBackground(silentLog), log: silentLog, enabled: true },
  });
  const drop = (): void => {
    times.drop(inode);
  };
  const scene = { inode, inodes, drop, moment: () => moment };
  times.read(inode);
  const flushed = times.flush();
  meanwhile(scene);
  answer({ attributes: { ...attributes, atime: readAt } });
  await flushed;
  afterwards(scene);
  return visibleAttributes(inode).atime;
}

test("an access time that is stored stays, also behind a change of something else", async (t) => {
  t.is(await shownAfter(() => undefined), readAt);
  const chmod = ({ inodes, inode }: Scene): void => {
    inodes.changedHere(inode, { ...attributes, mode: 0o100600, ctime: 150n });
  };
  t.is(await shownAfter(chmod), readAt);
});

test("an atime that was set meanwhile stays", async (t) => {
  const utimes = ({ inodes, inode, drop }: Scene): void => {
    drop();
    inodes.changedHere(inode, { ...attributes, atime: 7n, ctime: 150n });
  };
  t.is(await shownAfter(utimes), 7n);
  t.is(await shownAfter(() => undefined, utimes), 7n, "and one that was set afterwards");
});

test("an answer that was asked for before the access time was stored does not take it back", async (t) => {
  for (const take of ["changed", "update", "enter"] as const) {
    let since = 0;
    const shown = await shownAfter(
      ({ moment }) => {
        since = moment();
      },
      ({ inodes, inode }) => {
        inodes[take]({ ...attributes, ctime: 150n, mtime: 150n }, since);
        inodes.changedHere(inode, { ...visibleAttributes(inode), ctime: 160n });
      },
    );
    t.is(shown, readAt, take);
  }
});

test("an answer that was asked for afterwards is what the server has: somebody else may have set it", async (t) => {
  const told = ({ inodes, moment }: Scene): void => {
    inodes.update({ ...attributes, atime: 7n, ctime: 150n }, moment());
  };
  t.is(await shownAfter(() => undefined, told), 7n);
});

test("an inode that the kernel forgets meanwhile is kept until its access time is stored", async (t) => {
  let forgotten: boolean | undefined;
  let kept: InodeTable | undefined;
  const forget = ({ inodes, inode }: Scene): void => {
    inodes.forget(inode.ino, 1);
    forgotten = inodes.get(inode.ino) === undefined;
    kept = inodes;
  };
  t.is(await shownAfter(forget), readAt);
  t.false(forgotten);
  t.is(kept?.get(attributes.ino), undefined);
});

test("an answer that was asked for before the access time of a forgotten inode was stored is not believed", async (t) => {
  let since = 0;
  let entered: Inode | undefined;
  const forget = ({ inodes, inode, moment }: Scene): void => {
    since = moment();
    inodes.forget(inode.ino, 1);
  };
  await shownAfter(forget, ({ inodes }) => {
    entered = inodes.enter(attributes, since);
  });
  t.true((entered?.learnedAt ?? 0) < (entered?.staleAt ?? 0));
});

test("while too many wait a read sets no access time", (t) => {
  const times = createAccessTimes({
    nameServer: { nowNanos: () => readAt } as never,
    inodes: () => ({}) as never,
    ...{ clock: new ManualClock(), background: createBackground(silentLog), log: silentLog, enabled: true },
  });
  const readOne = (ino: number): Inode => {
    const inode = newInode(toIno(ino), false);
    inode.attributes = attributes;
    times.read(inode);
    return inode;
  };
  for (let ino = 2; ino < 2 + limits.clientAccessTimesMax; ino++) readOne(ino);
  t.is(visibleAttributes(readOne(99_999)).atime, attributes.atime);
});
